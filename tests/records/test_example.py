import dataclasses

import numpy as np
import pytest
from handstream.records.dataset import Dataset, shape_window
from handstream.records.example import encode_example, encode_window
from handstream.records.window import FEATURES, Window
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tfrecord_lite import decode_example

quick = settings(deadline=None, max_examples=40)
floats = st.floats(width=32, allow_nan=True, allow_infinity=True)
int64 = st.integers(-(2**63), 2**63 - 1)
# Files' names are cleaned before they come here, so lone surrogates do not.
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@st.composite
def windows(draw):
    frames, views, hands = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    shape = (frames, views, hands)
    points = random.normal(size=(2, *shape, 21, 3)).astype(np.float32)
    points[random.random(points.shape) < 0.2] = np.nan
    return Window(
        take=draw(texts),
        views=tuple(draw(texts) for _ in range(views)),
        subject=draw(texts),
        label=draw(texts),
        label_id=draw(st.integers(-1, 1000)),
        start_us=draw(int64),
        end_us=draw(int64),
        time=draw(arrays(np.float32, frames, elements=floats)),
        hand_landmarks=points[0],
        hand_world_landmarks=points[1],
        handedness=draw(arrays(np.float32, shape, elements=floats)),
        state=draw(arrays(np.int64, shape, elements=st.integers(0, 3))),
        side=draw(arrays(np.int64, (views, hands), elements=st.integers(-1, 1))),
        image_size=draw(arrays(np.int64, (views, 2), elements=st.integers(0, 10000))),
    )


def shapes_of(window: Window) -> Dataset:
    views, hands = window.side.shape
    return Dataset("", {"views": views, "hands": hands})


@quick
@given(windows())
def test_what_is_encoded_is_read_by_tfrecord_lite(window):
    read = shape_window(shapes_of(window), decode_example(encode_window(window), list(FEATURES)))
    assert list(read) == list(FEATURES)
    for name, feature in FEATURES.items():
        value = getattr(window, name)
        if feature.kind == "bytes":
            assert read[name] == (list(value) if isinstance(value, tuple) else value)
        else:
            np.testing.assert_array_equal(read[name], value, name)
            assert not feature.shape or read[name].dtype == value.dtype


@quick
@given(windows())
def test_equal_windows_give_equal_bytes(window):
    twin = dataclasses.replace(window, hand_landmarks=window.hand_landmarks.copy())
    assert encode_window(window) == encode_window(twin)


def test_the_order_of_features_does_not_count():
    values = {"a": [b"1"], "b": np.array([1.5], np.float32), "c": np.array([-1], np.int64)}
    assert encode_example(values) == encode_example(dict(reversed(values.items())))


def test_an_array_of_another_shape_is_refused_by_name(make_window):
    bad = dataclasses.replace(make_window("take", 5), side=np.zeros((2, 3), np.int64))
    with pytest.raises(ValueError, match=r"hand_landmarks has shape \(5, 2, 2, 21, 3\), expected"):
        encode_window(bad)


def test_another_type_is_refused_by_name():
    with pytest.raises(TypeError, match="'time' has type float64"):
        encode_example({"time": np.zeros(1)})


def test_the_bytes_are_tensorflows_own(tf, make_window):
    window = make_window("wave/été 🖐", 5)
    theirs = tf.train.Example()
    for name, feature in FEATURES.items():
        value = getattr(window, name)
        into = theirs.features.feature[name]
        if feature.kind == "bytes":
            into.bytes_list.value.extend(v.encode() for v in (value if isinstance(value, tuple) else (value,)))
        elif feature.kind == "float":
            into.float_list.value.extend(np.ravel(value).tolist())
        else:
            into.int64_list.value.extend(np.ravel(value).tolist())
    assert encode_window(window) == theirs.SerializeToString(deterministic=True)
