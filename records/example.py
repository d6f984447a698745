"""A window as the bytes of a `tf.train.Example`, without TensorFlow.

The messages are TensorFlow's (tensorflow/core/example/feature.proto and example.proto), under a package name of our
own, so that they live beside TensorFlow's in one process. The bytes are the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from handstream.records.window import FEATURES, Window

PACKAGE = "handstream.records"


@cache
def _example_class() -> Any:
    """The message class Example {Features {map<string, Feature {BytesList | FloatList | Int64List}>}}."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="handstream/records/example.proto", package=PACKAGE, syntax="proto3")

    def message(name: str, parent: Any = file.message_type) -> Any:
        return parent.add(name=name)

    def field(owner: Any, name: str, number: int, kind: int, repeated: bool = False, of: str = "") -> Any:
        label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
        added = owner.field.add(name=name, number=number, type=kind, label=label)
        if of:
            added.type_name = f".{PACKAGE}.{of}"
        return added

    field(message("BytesList"), "value", 1, kinds.TYPE_BYTES, repeated=True)
    field(message("FloatList"), "value", 1, kinds.TYPE_FLOAT, repeated=True)
    field(message("Int64List"), "value", 1, kinds.TYPE_INT64, repeated=True)
    feature = message("Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, of) in enumerate(
        [("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")], 1
    ):
        field(feature, name, number, kinds.TYPE_MESSAGE, of=of).oneof_index = 0
    features = message("Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    field(entry, "key", 1, kinds.TYPE_STRING)
    field(entry, "value", 2, kinds.TYPE_MESSAGE, of="Feature")
    field(features, "feature", 1, kinds.TYPE_MESSAGE, repeated=True, of="Features.FeatureEntry")
    field(message("Example"), "features", 1, kinds.TYPE_MESSAGE, of="Features")

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Example"))


def _varint(number: int) -> bytes:
    r"""A length in protobuf's base 128.

    >>> _varint(300)
    b'\xac\x02'
    """
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*result, number])


def encode_example(values: dict[str, list[bytes] | np.ndarray]) -> bytes:
    """Serialise features: bytes lists, or flat float32 or int64 arrays. Equal values give equal bytes."""
    example = _example_class()()
    feature = example.features.feature
    for name, value in values.items():
        if isinstance(value, list):
            feature[name].bytes_list.value.extend(value)
        elif value.dtype == np.float32:
            # As the packed field that it becomes: millions of floats pass without an object each.
            data = value.astype("<f4").tobytes()
            feature[name].float_list.MergeFromString(b"\x0a" + _varint(len(data)) + data)
        elif value.dtype == np.int64:
            feature[name].int64_list.value.extend(value.ravel().tolist())
        else:
            raise TypeError(f"feature {name!r} has type {value.dtype}, not float32 or int64")
    return bytes(example.SerializeToString(deterministic=True))


def encode_window(window: Window) -> bytes:
    """The window as a serialised `tf.train.Example`.

    Raises:
        ValueError: where an array has not the shape of the contract.
    """
    views, hands = window.side.shape
    values: dict[str, list[bytes] | np.ndarray] = {}
    for name, feature in FEATURES.items():
        value = getattr(window, name)
        if feature.kind == "bytes":
            texts = value if isinstance(value, tuple) else (value,)
            values[name] = [text.encode() for text in texts]
            continue
        array = np.asarray(value, np.float32 if feature.kind == "float" else np.int64)
        expected = tuple(len(window.time) if n < 0 else n for n in feature.dimensions(views, hands))
        if array.shape != expected:
            raise ValueError(f"{name} has shape {array.shape}, expected {expected}")
        values[name] = array
    return encode_example(values)
