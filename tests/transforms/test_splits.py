import unicodedata
from collections import Counter

import pytest
from handstream.records.dataset import SPLITS
from handstream.records.errors import InputError
from handstream.transforms.clips import Clip
from handstream.transforms.splits import (
    Shares,
    assign_splits,
    empty_split_advice,
    format_splits,
    group_hash,
    group_of,
    read_splits,
    split_sizes,
    subjects_in_two_splits,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=120)


def clip(path: str, take: str = "", **fields) -> Clip:
    return Clip(path, path, take or path, **fields)


takes = [clip(f"{n}.mp4") for n in range(20)]
small = st.builds(
    clip,
    st.sampled_from(["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4", "f.mp4"]),
    st.sampled_from(["1", "2", "3", "4", "s1"]),
    subject=st.sampled_from(["", "", "s1", "s2"]),
    label=st.sampled_from(["", "wave", "push"]),
    view=st.sampled_from(["", "cam0", "cam1"]),
)
shares = st.tuples(*[st.floats(0.05, 1)] * 3).map(lambda s: Shares(tuple(x / sum(s) for x in s)))


def split_of(clips, known=None, by=None) -> dict[Clip, str]:
    result, _ = assign_splits(clips, by or Shares(), known or {})
    return {before.path: after.split for before, after in zip(clips, result, strict=True)}


@quick
@given(st.lists(small, max_size=12), shares)
def test_no_file_and_no_take_is_torn_apart(clips, by):
    result, assigned = assign_splits(clips, by, {})
    for together in (lambda c: c.path, lambda c: (c.subject, c.label, c.take), group_of):
        splits = {}
        for one in result:
            assert splits.setdefault(together(one), one.split) == one.split
    assert all(one.split == assigned[group_of(one)] for one in result)


@quick
@given(st.lists(small, max_size=12), shares, st.randoms())
def test_the_order_of_clips_does_not_count(clips, by, random):
    shuffled = random.sample(clips, len(clips))
    assert assign_splits(clips, by, {})[1] == assign_splits(shuffled, by, {})[1]


@quick
@given(st.lists(small, max_size=12), shares, st.data())
def test_nobody_known_is_moved(clips, by, data):
    groups = sorted({group_of(one) for one in clips} | {"gone"})
    known = data.draw(st.dictionaries(st.sampled_from(groups), st.sampled_from(SPLITS)))
    try:
        result, assigned = assign_splits(clips, by, known)
    except InputError:
        assume(False)
    assert known.items() <= assigned.items()
    assert all(one.split == known.get(group_of(one), one.split) for one in result)


@quick
@given(st.integers(1, 60), st.integers(1, 60), shares)
def test_growing_moves_nobody(before, more, by):
    subjects = [clip(f"{n}.mp4", subject=f"s{n}") for n in range(before + more)]
    _, first = assign_splits(subjects[:before], by, {})
    _, second = assign_splits(subjects, by, first)
    assert first.items() <= second.items()
    assert assign_splits(subjects, by, second)[1] == second


@quick
@given(st.integers(3, 200), shares)
def test_from_three_groups_on_no_split_is_empty(count, by):
    assert set(split_of([clip(str(n), subject=f"s{n}") for n in range(count)], by=by).values()) == set(SPLITS)


@quick
@given(st.integers(3, 20), st.integers(3, 20))
def test_takes_are_dealt_out_within_each_label(waves, pushes):
    clips = [clip(f"wave{n}", label="wave") for n in range(waves)] + [
        clip(f"push{n}", label="push") for n in range(pushes)
    ]
    splits = split_of(clips)
    for label in ("wave", "push"):
        assert {split for path, split in splits.items() if path.startswith(label)} == set(SPLITS)


def test_shares_are_kept():
    splits = split_of([clip(str(n), subject=f"s{n}") for n in range(100)], by=Shares.parse("70,20,10"))
    assert Counter(splits.values()) == {"train": 70, "validation": 20, "test": 10}


def test_the_choice_does_not_change_from_version_to_version():
    assert group_hash("caf\u00e9") == group_hash("cafe\u0301") == 9588020413419552649
    splits = split_of(takes)
    held_out = {split: [path for path in splits if splits[path] == split] for split in ("validation", "test")}
    assert held_out == {"validation": ["3.mp4", "10.mp4"], "test": ["1.mp4", "18.mp4"]}


def test_many_groups_are_split_by_hash_alone():
    clips = [clip(str(n), subject=f"s{n}") for n in range(1500)]
    few, many = split_of(clips[:1100]), split_of(clips)
    assert few.items() <= many.items()
    counts = Counter(many.values())
    assert 1100 < counts["train"] < 1300
    assert min(counts.values()) > 100


def test_the_users_own_word_holds():
    clips = [clip("a", split="test"), clip("b"), clip("c", skipped="does not fit --layout")]
    result, assigned = assign_splits(clips, Shares(), {})
    assert [one.split for one in result] == ["test", "train", ""]
    assert assigned == {"b": "train"}


def test_parts_of_one_file_in_two_splits_are_refused():
    clips = [
        Clip("/in/a.mp4", "a.mp4", "1", end=1.0, split="train"),
        Clip("/in/a.mp4", "a.mp4", "2", start=1.0, split="test"),
    ]
    with pytest.raises(InputError) as error:
        assign_splits(clips, Shares(), {})
    assert "a.mp4: its parts are in train and test" in str(error.value)
    assert "Give all parts of a file one split" in str(error.value)


@pytest.mark.parametrize("split", SPLITS)
def test_views_of_a_take_are_not_torn_apart_where_only_one_names_its_split(split):
    clips = [clip("a", "t", view="cam0", split=split), clip("b", "t", view="cam1")]
    try:
        result, _ = assign_splits(clips, Shares(), {})
    except InputError:
        return
    assert {one.split for one in result} == {split}


def test_splits_csv_that_tears_a_file_apart_is_refused_with_the_way_out():
    clips = [clip("a.mp4", "1", subject="anna"), clip("a.mp4", "2", subject="ben")]
    with pytest.raises(InputError) as error:
        assign_splits(clips, Shares(), {"anna": "train", "ben": "test"})
    assert "anna and ben belong into one split" in str(error.value)
    assert "test and train" in str(error.value)
    assert "Put all into one." in str(error.value)


def test_subjects_in_two_splits_are_named():
    clips = [clip("a", subject="s1", split="train"), clip("b", subject="s1", split="test"), clip("c", split="test")]
    assert subjects_in_two_splits(clips) == ["s1"]


def test_empty_splits_are_said_with_the_way_out():
    text = empty_split_advice([clip("a", split="train")])
    assert text.startswith("validation and test will be empty")
    assert "{split} in --layout" in text
    assert "three groups" in text
    assert empty_split_advice([clip(split, split=split) for split in SPLITS]) == ""


@pytest.mark.parametrize("subjects", [True, False])
def test_with_groups_enough_no_more_are_asked_for(subjects):
    by_hand = dict.fromkeys("abcd", "train")
    clips = [clip(f"{name}.mp4", name, subject=name if subjects else "") for name in by_hand]
    text = empty_split_advice(assign_splits(clips, Shares(), by_hand)[0])
    assert text.startswith("validation and test will be empty: ")
    assert "three groups" not in text
    assert "splits.csv puts every group elsewhere" in text


def test_takes_of_one_file_are_one_group():
    clips = [clip("a.mp4", str(n)) for n in range(5)]
    assert "three groups" in empty_split_advice(assign_splits(clips, Shares(), {})[0])


any_shares = st.tuples(*[st.sampled_from([0, 0.01, 0.1, 0.5, 0.98]) | st.floats(0, 1)] * 3).filter(any)


@quick
@given(st.integers(0, 50), any_shares)
def test_sizes_add_up_and_leave_no_share_out(groups, parts):
    by = Shares(tuple(part / sum(parts) for part in parts))
    sizes = split_sizes(groups, by)
    assert list(sizes) == list(SPLITS)
    assert sum(sizes.values()) == groups
    assert min(sizes.values()) >= 0
    if groups >= 3:
        assert all(size > 0 for size, share in zip(sizes.values(), by.shares, strict=True) if share)


@pytest.mark.parametrize(
    ("text", "parsed"), [("80,10,10", (0.8, 0.1, 0.1)), ("1/1/2", (0.25, 0.25, 0.5)), ("1,0,0", (1, 0, 0))]
)
def test_shares_are_any_three_numbers(text, parsed):
    assert Shares.parse(text).shares == pytest.approx(parsed)


@pytest.mark.parametrize("text", ["80", "80,20", "a,b,c", "", "-1,1,1", "0,0,0", "nan,1,1", "inf,1,1", "1,1,1,1"])
def test_other_shares_are_refused(text):
    with pytest.raises(InputError, match="--split"):
        Shares.parse(text)


# Names of groups are cleaned, so lone surrogates do not come here.
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=10)


@quick
@given(
    st.dictionaries(names | st.sampled_from(["a\nb", "a\rb", 'a"b', "a,b", " a ", "group"]), st.sampled_from(SPLITS))
)
def test_any_group_survives_splits_csv(assigned):
    assigned = {unicodedata.normalize("NFC", group): split for group, split in assigned.items()}
    assert read_splits(format_splits(assigned)) == assigned


def test_an_edited_splits_csv_is_read():
    assert read_splits('\ufeffgroup,split\r\n\r\nanna, val \r\n"b,c",TEST\r\n'.encode()) == {
        "anna": "validation",
        "b,c": "test",
    }
    assert read_splits(b"anna,val\nanna,validation\n") == {"anna": "validation"}
    assert read_splits(b"") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("group,split\nanna,tset\n", "splits.csv, line 2: split 'tset' is none of train, validation, test"),
        ("group,split\nanna,train\nben\n", "splits.csv, line 3: two cells are wanted, group and split"),
        ("group,split\nanna,\n", "splits.csv, line 2: two cells are wanted"),
        ("group,split\nanna,train\nben,test\nanna,val\n", "line 4: 'anna' is in validation, and in train in line 2"),
        ("group,split\nanna,train,x\n", "splits.csv, line 2: two cells are wanted"),
    ],
)
def test_a_bad_line_of_splits_csv_is_named(text, words):
    with pytest.raises(InputError) as error:
        read_splits(text.encode())
    assert words in str(error.value)
