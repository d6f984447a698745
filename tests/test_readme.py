"""What the README shows, done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from handstream.pipelines.cli import main

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["tensorflow", "plain"])
def test_the_ways_to_read_a_record(reference, snippet, monkeypatch, capsys):
    if "tensorflow" in snippet:
        pytest.importorskip("tensorflow")
    monkeypatch.chdir(reference.parent)
    exec(snippet, {})
    assert re.search(r"(point|open) \((1, )?\d+, 2, 2, 21, 3\)", capsys.readouterr().out)


def test_every_flag_in_it_is_one(capsys):
    for command in ("extract", "synth", "train", "evaluate"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
    known = capsys.readouterr().out
    for flag in set(re.findall(r"(?<!`)(--[a-z][a-z-]+)", README.read_text())):
        assert flag in known or flag in ("--take", "--runner", "--direct"), flag
