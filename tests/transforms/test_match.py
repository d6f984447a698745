import os

import pytest
from handstream.records.errors import InputError
from handstream.transforms.clips import Clip, SourceClips
from handstream.transforms.layouts import parse_layout
from handstream.transforms.match import check_clips, group_by_source, match_inputs, read_plan, write_plan

FOLDERS = parse_layout("folders")
NAMES = (
    "sp ace.mp4",
    'it\'s "q".mp4',
    "new\nline.mp4",
    "🖐.mp4",
    "x" * 200 + ".mp4",
    "a[1]*?.mp4",
    "back\\slash.mp4",
    "{take}.mp4",
)


@pytest.fixture
def files(tmp_path):
    """Makes empty files below a folder, whose path is returned."""

    def make(*names: str, folder: str = "in") -> str:
        root = tmp_path / folder
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return str(root)

    return make


def names_in(inputs, layout=FOLDERS) -> list[str]:
    return [clip.name for clip in match_inputs(inputs, layout).clips]


def refusal(inputs, layout=FOLDERS) -> str:
    with pytest.raises(InputError) as error:
        match_inputs(inputs, layout)
    return str(error.value)


def test_a_folder_is_searched_to_the_bottom(files):
    root = files("wave/a.mp4", "wave/x/b.MOV", "push/c.png", "d.mkv", "notes.txt", "wave/README")
    matched = match_inputs([root], FOLDERS, mirrored=True)
    assert [(clip.name, clip.label, clip.take) for clip in matched.clips] == [
        ("d.mkv", "", "d"),
        ("push/c.png", "push", "push/c"),
        ("wave/a.mp4", "wave", "wave/a"),
        ("wave/x/b.MOV", "wave", "wave/x/b"),
    ]
    assert all(clip.mirrored for clip in matched.clips)
    assert matched.passed_over == {".txt": 1, "no ending": 1}


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_is_found_in_a_folder_and_by_itself(files, name):
    root = files(f"wave/{name}", "wave/other.mp4")
    assert f"wave/{name}" in names_in([root])
    (clip,) = match_inputs([f"{root}/wave/{name}"], FOLDERS).clips
    assert (clip.path, clip.name) == (f"{root}/wave/{name}", name)


@pytest.mark.parametrize("folder", ["in [1]", "in*", "it's\nin", "🖐"])
def test_any_folder_name_is_searched(files, folder):
    root = files("wave/a.mp4", folder=folder)
    files("wave/b.mp4", folder="in 1")
    assert names_in([root]) == ["wave/a.mp4"]


def test_a_name_that_is_no_utf8_is_found(files):
    root = files("wave/a.mp4")
    with open(os.fsencode(root) + b"/wave/\xff.mp4", "w"):
        pass
    clip = match_inputs([root], FOLDERS).clips[-1]
    assert clip.name == "wave/\\xff.mp4"
    assert os.fsencode(clip.path).endswith(b"/wave/\xff.mp4")


def test_globs_choose_files(files):
    root = files("wave/a.mp4", "wave/b.mp4", "push/a.mp4")
    assert names_in([f"{root}/*/a.mp4"]) == ["push/a.mp4", "wave/a.mp4"]
    assert names_in([f"{root}/**.mp4"]) == ["push/a.mp4", "wave/a.mp4", "wave/b.mp4"]
    assert names_in([f"{root}/wave/[b-z].mp4"]) == ["b.mp4"]


def test_a_file_that_two_inputs_name_is_one_clip(files):
    root = files("wave/a.mp4")
    assert names_in([root, f"{root}/wave/a.mp4", root + "/"]) == ["wave/a.mp4"]


def test_a_file_named_outright_needs_no_ending(files):
    assert names_in([files("recording") + "/recording"]) == ["recording"]


def test_relative_inputs_are_found(files, monkeypatch):
    monkeypatch.chdir(files("wave/a.mp4"))
    (clip,) = match_inputs(["."], FOLDERS).clips
    assert clip.name == "wave/a.mp4"
    assert os.path.isabs(clip.path)


def test_what_matches_nothing_is_refused(files, tmp_path):
    root = files("wave/a.mp4")
    assert f"{root}/push: no such file or folder" in refusal([f"{root}/push"])
    assert f"{root}/*.mov: no such file or folder, and no file matches it" in refusal([root, f"{root}/*.mov"])
    os.mkdir(tmp_path / "empty")
    assert f"{tmp_path}/empty: holds no video and no image" in refusal([f"{tmp_path}/empty"])


def test_a_folder_without_videos_says_what_it_holds_and_what_is_wanted(files):
    text = refusal([files("a.txt", "b.txt", "c.csv", folder="texts")])
    assert "/texts: holds no video and no image, only 2 .txt, 1 .csv" in text
    assert ".mp4" in text
    assert ".jpg" in text


def test_a_refusal_counts_the_files_of_its_own_input(files):
    text = refusal([files("a.mp4", "a.txt"), files("b.csv", folder="tables")])
    assert "/tables: holds no video and no image, only 1 .csv." in text


def test_a_pattern_that_fits_nothing_is_refused_with_an_example(files):
    text = refusal([files("wave/a.mp4", "wave/b.mp4")], parse_layout("{subject}/{label}/{take}.mp4"))
    assert "'{subject}/{label}/{take}.mp4' fits none of the 2 files, for example 'wave/a.mp4'" in text
    assert "held against the path below the input folder" in text


def test_a_file_that_does_not_fit_is_skipped_with_the_reason(files):
    root = files("train/wave_1.mp4", "train/odd.mp4", "._train.mp4", "train/._wave_1.mp4")
    matched = match_inputs([root], parse_layout("{split}/{label:[^_]+}_{take}.mp4"))
    assert {clip.name: clip.skipped for clip in matched.clips} == {
        "._train.mp4": "macOS metadata, not a video",
        "train/._wave_1.mp4": "macOS metadata, not a video",
        "train/odd.mp4": "does not fit --layout",
        "train/wave_1.mp4": "",
    }
    assert [clip.split for clip in matched.clips if not clip.skipped] == ["train"]


def test_an_unknown_split_is_refused_with_the_file(files):
    text = refusal([files("train/a.mp4", "extra/b.mp4")], parse_layout("{split}/{take}.mp4"))
    assert "'extra' is none of train, validation, test" in text
    assert "extra/b.mp4" in text


def clip(name="a.mp4", take="t", **fields) -> Clip:
    return Clip(f"/in/{name}", name, take, **fields)


def test_clips_that_can_be_told_apart_are_accepted():
    check_clips(
        [
            clip("a.mp4", view="cam0"),
            clip("b.mp4", view="cam1"),
            clip("c.mp4", view="cam0", label="wave"),
            clip("d.mp4", view="cam0", subject="s1"),
            clip("e.mp4", view="cam0", split="test"),
            clip("f.mp4", "u", start=1.0, end=2.0),
            clip("f.mp4", "v", start=2.0, end=3.0),
        ]
    )


def test_two_clips_of_one_view_are_refused():
    with pytest.raises(InputError) as error:
        check_clips([clip("wave/a.mp4"), clip("wave/a.mov")])
    text = str(error.value)
    assert "wave/a.mp4 and wave/a.mov both claim the only view of take 't'" in text
    assert "{view} or {take} in --layout" in text


def test_skipped_clips_claim_nothing():
    check_clips([clip("a.mp4"), clip("._a.mp4", skipped="macOS metadata, not a video")])


def test_equal_parts_are_refused():
    with pytest.raises(InputError, match=r"a\.mp4: stands in the manifest twice.*Remove one row"):
        check_clips([clip(take="t", start=1.0), clip(take="u", start=1.0)])


def test_a_plan_is_sorted_and_survives_its_file(tmp_path):
    clips = [clip("b\n🖐.mp4"), clip("a.mp4", "v", start=2.0), clip("a.mp4", "u", end=2.0, columns={"x": "1"})]
    sources = group_by_source(clips)
    assert sources == group_by_source(reversed(clips))
    assert sources == [SourceClips("/in/a.mp4", (clips[2], clips[1])), SourceClips("/in/b\n🖐.mp4", (clips[0],))]
    path = f"{tmp_path}/plan/clips.jsonl"
    write_plan(str(tmp_path), path, sources)
    assert list(read_plan(path)) == sources
