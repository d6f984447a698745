import os
import re
import unicodedata
from itertools import product

import pytest
from handstream.records.errors import InputError
from handstream.transforms.layouts import Folders, Pattern, clean, parse_layout, split_name, stem
from hypothesis import example, given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=150)


@pytest.mark.parametrize(
    ("name", "label", "take"),
    [
        ("wave/a.mp4", "wave", "wave/a"),
        ("wave/monday/a.b.mp4", "wave", "wave/monday/a.b"),
        ("a.mp4", "", "a"),
        ('it\'s "q" 🖐/new\nline.mp4', 'it\'s "q" 🖐', 'it\'s "q" 🖐/new\nline'),
        ("a[1]*?/{x}.mp4", "a[1]*?", "a[1]*?/{x}"),
        ("wave/" + "x" * 200 + ".mp4", "wave", "wave/" + "x" * 200),
    ],
)
def test_the_first_folder_is_the_label(name, label, take):
    assert parse_layout("folders").read(name) == {"label": label, "take": take}


@pytest.mark.parametrize(
    ("pattern", "name", "fields"),
    [
        (
            "{split}/{subject}/{view}/{label}_{take}.mp4",
            "val/s 1/cam0/wave_07.mp4",
            {"split": "val", "subject": "s 1", "label": "wave", "take": "07", "view": "cam0"},
        ),
        ("{view}_{take}.mp4", "cam0_test.mp4", {"take": "test", "view": "cam0"}),
        ("{label}/{take:[0-9]{4}}*.mp4", "wave/0012-b.mp4", {"label": "wave", "take": "0012"}),
        ("**/{label}/{take}.*", "x/y/wave/3.mov", {"label": "wave", "take": "3"}),
        ("{label}/{subject:[^_]+}_{take}.mp4", "a/s1_x_y.mp4", {"subject": "s1", "label": "a", "take": "x_y"}),
        ("(a+b)/{take}.mp4", "(a+b)/3.mp4", {"take": "3"}),
        ("{label}/{take}.mp4", "été \n🖐/[1]*.mp4", {"label": "été \n🖐", "take": "[1]*"}),
    ],
)
def test_a_pattern_reads_fields(pattern, name, fields):
    assert parse_layout(pattern).read(name) == fields


@pytest.mark.parametrize("name", ["a/b/c.mp4", "a.mp4", "a/b.mov", "/b.mp4", "a/.mp4", "x/a/b.mp4", "a/b.mp4\n"])
def test_a_path_that_does_not_fit_is_left_alone(name):
    assert parse_layout("{label}/{take}.mp4").read(name) is None


@pytest.mark.parametrize(
    ("pattern", "name", "take"),
    [
        ("{label}/{view}/*.mp4", "wave/cam0/01.mp4", "wave/01"),
        ("{view}/{label}/*.mp4", "cam0/wave/01.mp4", "wave/01"),
        ("{label}/*_{view:cam[0-9]}.mp4", "wave/01_cam1.mp4", "wave/01"),
        ("{label}/01_{view:[ab]}_x.mp4", "wave/01_a_x.mp4", "wave/01_x"),
        ("{view}.mp4", "cam0.mp4", "take"),
        ("{label}/*.mp4", "wave/01.mp4", "wave/01"),
    ],
)
def test_without_a_take_it_is_the_path_without_view_and_ending(pattern, name, take):
    assert parse_layout(pattern).read(name)["take"] == take


@pytest.mark.parametrize(
    ("pattern", "one", "other"),
    [
        ("{label}/{view}_*.mp4", "wave/cam0_01.mp4", "wave/cam1_01.mp4"),
        ("*/{view}_*.mp4", "wave/cam0_01.mp4", "wave/cam1_01.mp4"),
        ("{label}/{view:[^_]+}*", "wave/cam0_01.mp4", "wave/cam1_01.mp4"),
        ("{view}/*.*", "cam0/01.mp4", "cam1/01.mp4"),
        ("{view:cam[0-9]}.*", "cam0.mp4", "cam1.mov"),
    ],
)
def test_views_of_one_take_have_the_same_take(pattern, one, other):
    layout = parse_layout(pattern)
    assert layout.read(one)["take"] == layout.read(other)["take"]


def test_a_take_is_never_empty():
    assert parse_layout("{label:[^_]+}_{take:[0-9]*}.mp4").read("wave_.mp4")["take"]


@pytest.mark.parametrize(
    ("pattern", "one", "other"),
    [
        ("{view}/*.mp4", "cam0/a_b.mp4", "cam1/a__b.mp4"),
        ("{view}/*.mp4", "cam0/a.mp4", "cam1/a_.mp4"),
        ("{view}/*.mp4", "cam0/_a.mp4", "cam1/a.mp4"),
    ],
)
def test_files_of_other_names_are_other_takes(pattern, one, other):
    layout = parse_layout(pattern)
    assert layout.read(one)["take"] != layout.read(other)["take"]


@quick
@example("a_b_c", "_")
@given(st.text("ab_-", min_size=1, max_size=8), st.sampled_from(["_", "-", "__"]))
def test_a_pattern_is_read_in_the_only_way_or_refused(name, separator):
    pattern = parse_layout(f"{{subject}}{separator}{{label}}-{{take}}")
    cuts = product(range(len(name) + 1), repeat=3)
    ways = {
        (name[:a], name[a + len(separator) : b], name[b + 1 :])
        for a, b, _ in cuts
        if a > 0
        and b > a + len(separator)
        and b + 1 < len(name)
        and name[a : a + len(separator)] == separator
        and name[b : b + 1] == "-"
    }
    if len(ways) > 1:
        with pytest.raises(InputError, match="ambiguous"):
            pattern.read(name)
    else:
        read = pattern.read(name)
        assert ({(read["subject"], read["label"], read["take"])} if read else set()) == ways


def test_an_ambiguous_pattern_says_file_both_ways_and_the_way_out():
    with pytest.raises(InputError) as error:
        parse_layout("{subject}_{take}.mp4").read("s1_a_b.mp4")
    text = str(error.value)
    assert "'{subject}_{take}.mp4' is ambiguous for 's1_a_b.mp4'" in text
    assert "'s1'" in text
    assert "'s1_a'" in text
    assert "regular expression, such as {take:[0-9]+}" in text


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("{lable}/{take}.mp4", ["no field {lable}", "Did you mean label?", "Use *"]),
        ("{qqq}.mp4", ["no field {qqq}", "split, subject, label, take, view"]),
        ("{take}/{take}.mp4", ["{take}", "twice"]),
        ("{take:[}.mp4", ["'{take:[}.mp4'", "unterminated"]),
        ("*.mp4", ["neither 'folders' nor a pattern such as"]),
        ("folder", ["'folder'", "neither 'folders' nor"]),
        ("{", ["names no field", "{split}, {subject}", "'folders'"]),
    ],
)
def test_a_wrong_layout_is_refused_at_once_with_the_way_out(layout, words):
    with pytest.raises(InputError) as error:
        parse_layout(layout)
    for word in words:
        assert word in str(error.value)


def test_layouts_can_be_sent_to_workers():
    import pickle

    pattern = Pattern("{view}_{take}.mp4")
    assert pickle.loads(pickle.dumps(pattern)).read("a_b.mp4") == {"take": "b", "view": "a"}
    assert pickle.loads(pickle.dumps(Folders())) == Folders()


def test_splits_have_short_names():
    assert [split_name(word) for word in ("Train", "val", "dev", "TEST", "")] == [
        *("train", "validation", "validation", "test", "")
    ]
    with pytest.raises(InputError, match="split 'tset' is none of train, validation, test"):
        split_name("tset")


@quick
@given(st.binary(max_size=12))
def test_any_file_name_becomes_clean_text(raw):
    text = clean(raw.decode("utf-8", "surrogateescape"))
    text.encode()
    assert unicodedata.is_normalized("NFC", text)
    assert clean(text) == text


def test_both_forms_of_an_accent_are_one_name():
    assert clean("cafe\u0301") == clean("caf\u00e9") == "caf\u00e9"
    assert clean(b"\xff.mp4".decode("utf-8", "surrogateescape")) == "\\xff.mp4"


@quick
@given(st.text("a./", min_size=1, max_size=8))
def test_a_stem_is_never_empty(name):
    assert stem(name)
    assert re.fullmatch(r"(\.[^./]*)?", name[len(stem(name)) :])
    assert name.startswith(os.path.dirname(name))
