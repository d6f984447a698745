"""What a person looks at: tables on the terminal, a page, a picture, a model card."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from handstream.model.assess import Assessment
from handstream.model.corpus import Corpus

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

BASELINES = {
    "static": "one hand in one frame (what a still recognizer can know)",
    "dtw": "nearest neighbour by time warping of hand paths",
}


def show(found: Assessment, labels: Sequence[str]) -> None:
    """Tables on standard output."""
    console = Console(highlight=False, markup=False, emoji=False)
    takes = found.takes
    console.print(
        f"{found.split}: {takes['count']} takes, accuracy {takes['accuracy']:.3f}, macro-F1 {takes['macro_f1']:.3f}; "
        f"windows: {found.windows['accuracy']:.3f}"
    )
    for name, accuracy in found.baselines.items():
        console.print(f"  {name}: {accuracy:.3f}  ({BASELINES[name]})")
    table = Table("label", "takes", "precision", "recall")
    for label in labels:
        row = takes["labels"][label]
        table.add_row(label, f"{row['count']:.0f}", f"{row['precision']:.2f}", f"{row['recall']:.2f}")
    console.print(table)
    for title, groups in (("subject", found.subjects), ("view", found.views), *found.columns.items()):
        if len(groups) > 1:
            worst = next(iter(groups))
            mean = np.mean([row["accuracy"] for row in groups.values()])
            console.print(f"by {title}: mean {mean:.3f}, worst {worst} {groups[worst]['accuracy']:.3f}")


def write(folder: Path, found: Assessment, labels: Sequence[str]) -> None:
    """confusion.png, report.html and figures.json."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = confusion_picture(np.array(found.takes["confusion"]), labels)
    (folder / "confusion.png").write_bytes(picture)
    (folder / "figures.json").write_text(json.dumps(asdict(found), ensure_ascii=False, indent=1), encoding="utf-8")
    (folder / "report.html").write_text(page(found, labels, picture), encoding="utf-8")


def confusion_picture(confusion: np.ndarray, labels: Sequence[str]) -> bytes:
    """A PNG: a row for each true label, a column for what was said, the last for takes without a hand."""
    columns = [*labels, "(no hand)"]
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    size = 2.5 + 0.42 * len(columns)
    figure, axes = plt.subplots(figsize=(size, size * 0.92), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, int(count), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("said")
    axes.set_ylabel("true")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    plt.close(figure)
    return file.getvalue()


_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}img{max-width:100%}"""


def page(found: Assessment, labels: Sequence[str], picture: bytes) -> str:
    """A page that needs nothing else."""
    takes = found.takes
    parts = [
        f"<h1>{html.escape(found.split)}: {takes['accuracy']:.1%} of {takes['count']} takes right</h1>",
        f"<p>Macro-F1 {takes['macro_f1']:.3f}; of single windows {found.windows['accuracy']:.1%} are right; "
        f"{takes['without_hands']} takes showed no hand, and count as wrong. Confidence is off by "
        f"{takes['calibration_error']:.3f} in the mean.</p>",
        _table(("beside it", "accuracy"), [(BASELINES[n], f"{a:.1%}") for n, a in found.baselines.items()]),
        f'<img alt="confusion" src="data:image/png;base64,{base64.b64encode(picture).decode()}">',
        _table(
            ("label", "takes", "precision", "recall", "F1"),
            [
                (label, f"{row['count']:.0f}", f"{row['precision']:.2f}", f"{row['recall']:.2f}", f"{row['f1']:.2f}")
                for label, row in ((label, takes["labels"][label]) for label in labels)
            ],
        ),
        _table(
            ("answered only when surer than", "answered", "right of these"),
            [(t, f"{row['answered']:.1%}", f"{row['accuracy']:.1%}") for t, row in takes["thresholds"].items()],
        ),
    ]
    for title, groups in (("subject", found.subjects), ("view", found.views), *found.columns.items()):
        rows = [(name, f"{row['count']}", f"{row['accuracy']:.1%}") for name, row in groups.items()]
        parts.append(_table((f"by {title}", "takes", "accuracy"), rows))
    parts.append("<h2>Takes whose label was thought least likely</h2>")
    worst = [(row["take"], row["subject"], row["label"], row["said"], f"{row['chance']:.2f}") for row in found.worst]
    parts.append(_table(("take", "subject", "label", "said", "chance of the label"), worst))
    return (
        f"<!doctype html><meta charset=utf-8><title>Evaluation</title><style>{_STYLE}</style>" + "\n".join(parts) + "\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], kind: str) -> str:
        return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>" if rows else ""


def card(description: dict[str, Any], found: Mapping[str, Assessment], corpus: Corpus) -> str:
    """A model card in Markdown."""
    lines = ["# A gesture model", "", f"Labels: {', '.join(corpus.labels)}.", "", "## Data", ""]
    for split in ("train", "validation", "test"):
        subjects = {s for d in corpus.datasets for s in d.description["splits"][split]["subjects"]}
        takes = sum(d.description["splits"][split]["takes"] for d in corpus.datasets)
        lines.append(f"- {split}: {takes} takes of {len(subjects) or 'unknown'} subjects")
    lines += ["", "## Figures (takes)", "", "| split | accuracy | macro-F1 | takes |", "|---|---|---|---|"]
    for split, a in found.items():
        lines.append(f"| {split} | {a.takes['accuracy']:.3f} | {a.takes['macro_f1']:.3f} | {a.takes['count']} |")
    for a in found.values():
        for name, accuracy in a.baselines.items():
            lines.append(f"| {a.split}, {name}: {BASELINES[name]} | {accuracy:.3f} | | |")
        if len(a.subjects) > 1:
            worst = next(iter(a.subjects))
            lines.append(f"| {a.split}, worst subject ({worst}) | {a.subjects[worst]['accuracy']:.3f} | | |")
    kind = description["input"]["kind"]
    lines += [
        "",
        "## What it is",
        "",
        f"Network `{description['network']}` on `{kind}` landmarks of up to {description['input']['hands']} hands, "
        f"{description['input']['steps']} moments a window. It knows the labels above and nothing else: of any "
        "movement it names the likeliest. Figures hold for people, cameras and light like those of the test split; "
        "where that split has few takes they are uncertain.",
        "",
    ]
    return "\n".join(lines)
