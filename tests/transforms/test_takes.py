import pytest
from handstream.transforms.assemble import WindowOptions
from handstream.transforms.clips import Clip, Source, TakeKey
from handstream.transforms.landmarks import Receipt
from handstream.transforms.takes import plan_take
from hypothesis import given
from hypothesis import strategies as st

KEY = TakeKey("train", "s1", "wave", "t\n🖐")
PARTS = [
    (Clip("/in/b.mp4", "b.mp4", KEY.take, view="cam1"), Source("/in/b.mp4", "b")),
    (Clip("/in/a.mp4", "a.mp4", KEY.take, view="cam0"), Source("/in/a.mp4", "a")),
    Receipt(300, 200),
    Receipt(150, 0),
    Receipt(450, 9, "broke off"),
]


def options(**fields) -> WindowOptions:
    return WindowOptions(**{"labels": ("wave",), "views": 2, "view_names": (), "hands": 2, "by_side": True, **fields})


@given(st.permutations(PARTS))
def test_a_plan_does_not_depend_on_the_order_in_which_its_parts_come(parts):
    plan = plan_take((KEY.encode(), iter(parts)), options())
    assert plan == plan_take((KEY.encode(), PARTS), options())
    assert plan.key == KEY
    assert [clip.view for clip, _ in plan.clips] == ["cam0", "cam1"]


def test_the_size_is_about_that_of_the_windows():
    # 900 frames of two views are 450 ticks of 2 x 2 hands, each 2 x 63 floats, a score and a state.
    assert plan_take((KEY.encode(), PARTS), options()).bytes == pytest.approx(450 * 4 * (2 * 63 * 4 + 4), rel=0.05)


def test_windows_that_overlap_take_up_more():
    whole = plan_take((KEY.encode(), PARTS), options()).bytes
    assert plan_take((KEY.encode(), PARTS), options(window=1.0)).bytes == whole
    assert plan_take((KEY.encode(), PARTS), options(window=1.0, hop=0.25)).bytes == pytest.approx(4 * whole, rel=0.01)


def test_a_take_of_which_nothing_was_read_has_a_size():
    assert plan_take((KEY.encode(), PARTS[:1]), options()).bytes > 0
