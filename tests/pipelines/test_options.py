from __future__ import annotations

import pytest
from handstream.pipelines import options
from handstream.records.errors import InputError
from handstream.transforms.match import Matched


def test_the_last_word_is_where_it_goes():
    args, flags = options.parse(["a.mp4", "b.mp4", "--num-hands", "4", "out"])
    assert (args.inputs, args.out, args.num_hands, flags) == (["a.mp4", "b.mp4"], "out", 4, [])


def test_unknown_flags_go_to_beam_with_their_values():
    _, flags = options.parse(["in", "--runner", "FlinkRunner", "--flink-master=h:1", "out", "--streaming"])
    assert flags == ["--runner=FlinkRunner", "--flink_master=h:1", "--streaming"]


def test_a_flag_that_nobody_knows_names_the_nearest():
    with pytest.raises(InputError, match=r"no flag --num-hand\. Did you mean --num-hands\?"):
        options.parse(["in", "out", "--num-hand", "3"])
    with pytest.raises(InputError, match="Did you mean --direct_num_workers"):
        options.parse(["in", "out", "--direct_num_worker=3"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no OUT"),
        (["out"], "no INPUT"),
        (["in", "out", "--manifest", "m.csv"], "INPUT and --manifest"),
        (["out", "--manifest", "m.csv", "--layout", "{take}.mp4"], "--layout and --manifest"),
        (["in", "out", "--num-hands", "0"], "one at least"),
        (["in", "out", "--num-hands", "x"], "invalid int"),
        (["in", "out", "--rate", "-1"], "more than zero"),
        (["in", "out", "--rate", "nan"], "more than zero"),
        (["in", "out", "--window", "long"], "'clip' or a number"),
        (["in", "out", "--rate", "1e9"], "at most 1000"),
        (["in", ""], "an empty word"),
        (["in", "out", "--hop", "2"], "--hop needs --window"),
        (["in", "out", "--sample-fps", "5", "--running-mode", "video"], "--running-mode image"),
        (["in", "out", "--split", "80,20"], "three numbers"),
        (["in", "out", "--runner"], "wants a value"),
    ],
)
def test_wrong_usage_is_said(words, message):
    with pytest.raises(InputError, match=message):
        options.parse(words)


def test_sampling_looks_at_each_frame_for_itself():
    args, _ = options.parse(["in", "out", "--sample-fps", "5"])
    assert args.running_mode == "image"


def test_more_than_two_hands_have_a_slot_a_track():
    assert options.parse(["in", "out", "--num-hands", "4"])[0].slots == "track"
    assert options.parse(["in", "out"])[0].slots == "side"


def test_images_do_not_depend_on_the_mode_for_videos():
    from collections import Counter

    from handstream.transforms.clips import Clip

    args, _ = options.parse(["in", "out"])
    photos = Matched([Clip("/a.jpg", "a.jpg", "a")], Counter())
    both = Matched([*photos.clips, Clip("/a.mp4", "a.mp4", "b")], Counter())
    alone = options.detection(args, photos, ("m.task", "0"))
    mixed = options.detection(args, both, ("m.task", "0"))
    assert (alone.running_mode, mixed.running_mode) == ("image", "video")
    assert alone.digest("image", False) == mixed.digest("image", False)
    assert mixed.digest("video", False) != mixed.digest("video", True)


def test_help_fits_on_a_screen(capsys):
    with pytest.raises(SystemExit) as ended:
        options.parse(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 50
    assert "examples:" in text
