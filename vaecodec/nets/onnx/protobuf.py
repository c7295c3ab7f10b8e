"""Writes ONNX graphs as protobuf bytes: the few messages and operators that the nets need.

The onnx package would do the same, but is larger than all but one of our run-time dependencies. The wire format
(https://onnx.ai, onnx.proto3) is small and frozen. The tests check the bytes with the onnx package.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
IR_VERSION = 8
FLOAT, UINT8, INT64 = 1, 2, 7
_TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): UINT8, np.dtype(np.int64): INT64}


def _varint(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, value: int | float | str | list[int]) -> bytes:
    """AttributeProto: name 1, f 2, i 3, s 4, ints 8, type 20."""
    if isinstance(value, str):
        body = _bytes(4, value) + _int(20, 3)
    elif isinstance(value, float):
        body = _varint(2 << 3 | 5) + struct.pack("<f", value) + _int(20, 1)
    elif isinstance(value, int):
        body = _int(3, value) + _int(20, 2)
    else:
        body = b"".join(_int(8, v) for v in value) + _int(20, 7)
    return _bytes(1, name) + body


def _tensor(name: str, array: NDArray[Any]) -> tuple[bytes, memoryview]:
    """TensorProto: dims 1, data_type 2, name 8, raw_data 9; its values apart, since copies of weights take time."""
    values = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    head = b"".join(_int(1, size) for size in array.shape) + _int(2, _TYPES[array.dtype]) + _bytes(8, name)
    return head + _varint(9 << 3 | 2) + _varint(values.nbytes), values.reshape(-1).view(np.uint8).data


def _value_info(name: str, element: int, shape: list[int | str]) -> bytes:
    """ValueInfoProto with a tensor type; strings are free dimensions."""
    dims = b"".join(_bytes(1, _bytes(2, s) if isinstance(s, str) else _int(1, s)) for s in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, element) + _bytes(2, dims)))


class Graph:
    """A graph under construction; methods add a node and return the name of its output."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[bytes] = []
        self._initializers: list[tuple[bytes, memoryview]] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._count = 0

    def _fresh(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def input(self, name: str, shape: list[int | str], element: int = FLOAT) -> str:
        self._inputs.append(_value_info(name, element, shape))
        return name

    def constant(self, array: NDArray[Any] | np.floating[Any]) -> str:
        name = self._fresh()
        self._initializers.append(_tensor(name, np.asarray(array)))
        return name

    def node(self, op: str, *inputs: str, **attributes: int | float | str | list[int]) -> str:
        """NodeProto: input 1, output 2, op_type 4, attribute 5."""
        name = self._fresh()
        body = b"".join(_bytes(1, i) for i in inputs) + _bytes(2, name) + _bytes(4, op)
        body += b"".join(_bytes(5, _attribute(key, value)) for key, value in attributes.items())
        self._nodes.append(body)
        return name

    def output(self, value: str, name: str, shape: list[int | str], element: int = FLOAT) -> None:
        self._nodes.append(_bytes(1, value) + _bytes(2, name) + _bytes(4, "Identity"))
        self._outputs.append(_value_info(name, element, shape))

    def conv(self, x: str, weight: NDArray[Any], bias: NDArray[Any] | None = None, groups: int = 1) -> str:
        """Pointwise or depthwise 3x3 convolution with zero padding."""
        inputs = [x, self.constant(weight.astype(np.float32, copy=False))]
        if bias is not None:
            inputs.append(self.constant(bias.astype(np.float32, copy=False)))
        kernel = weight.shape[-1]
        return self.node("Conv", *inputs, group=groups, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)

    def clip(self, x: str, low: float, high: float) -> str:
        return self.node("Clip", x, self.constant(np.float32(low)), self.constant(np.float32(high)))

    def space_to_depth(self, x: str, size: int) -> str:
        return self.node("SpaceToDepth", x, blocksize=size)

    def depth_to_space(self, x: str, size: int) -> str:
        return self.node("DepthToSpace", x, blocksize=size, mode="DCR")

    def serialize(self) -> bytes:
        """ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8 (version 2).

        GraphProto: node 1, name 2, initializer 5, input 11, output 12.
        """
        parts: list[bytes | memoryview] = [_bytes(1, node) for node in self._nodes]
        for head, values in self._initializers:
            parts += [_varint(5 << 3 | 2) + _varint(len(head) + len(values)) + head, values]
        parts += [_bytes(field, info) for field, infos in ((11, self._inputs), (12, self._outputs)) for info in infos]
        parts.append(_bytes(2, self._name))
        size = sum(map(len, parts))
        parts.insert(0, _int(1, IR_VERSION) + _bytes(2, "vaecodec") + _varint(7 << 3 | 2) + _varint(size))
        parts.append(_bytes(8, _int(2, OPSET)))
        return b"".join(parts)
