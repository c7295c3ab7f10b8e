"""Range coding of quantised latents with integer tables, through constriction.

Symbols are grouped by table, so that each group is one call into constriction: within a group in raster order, groups
in the order of their table. An outlier beyond its table's radius is coded as the escape. Its value follows, after all
groups of the same call, as one uniform 16-bit symbol.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.tables import PackedTables
from vaecodec.errors import FormatError

VALUE_LIMIT = 32767
"""Symbols lie in [-VALUE_LIMIT, VALUE_LIMIT]."""
_ESCAPE = constriction.stream.model.Uniform(2 * VALUE_LIMIT + 1)


class SymbolTables:
    """The tables of a model as constriction models, each built on first use."""

    def __init__(self, packed: PackedTables) -> None:
        self.radius = packed.radius.astype(np.int64)
        self.packed = packed
        self.model = functools.lru_cache(maxsize=None)(self._model)

    def _model(self, index: int) -> constriction.stream.model.Categorical:
        # constriction reserves one count for every symbol and distributes the rest in proportion to the weights.
        # Weights of counts - 1 sum to exactly that rest, so the result is our counts (`check_tables` verifies it at
        # export).
        weights = self.packed.table(index).astype(np.float64) - 1
        return constriction.stream.model.Categorical(weights, perfect=False)


class Encoder:
    """Collects groups of symbols into one stream of bytes."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols: NDArray[np.int32], table: NDArray[Any], tables: SymbolTables) -> None:
        """Append symbols (N,), each coded with the table of its index (N,); entries are in raster order."""
        order = np.argsort(table, kind="stable")
        ordered = symbols[order]
        radius = tables.radius[table[order]]
        outlier = np.abs(ordered) > radius
        coded = np.where(outlier, 2 * radius + 1, ordered + radius).astype(np.int32)
        for index, start, stop in _groups(table[order]):
            self._coder.encode(coded[start:stop], tables.model(index))
        if outlier.any():
            self._coder.encode((ordered[outlier] + VALUE_LIMIT).astype(np.int32), _ESCAPE)

    def finish(self) -> bytes:
        """The stream: little-endian 32-bit words."""
        return self._coder.get_compressed().astype("<u4").tobytes()


class Decoder:
    """Reads what Encoder wrote."""

    def __init__(self, stream: bytes) -> None:
        if len(stream) % 4:
            raise FormatError("a coded stream is not a whole number of words")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(stream, "<u4").astype(np.uint32))

    def decode(self, table: NDArray[Any], tables: SymbolTables) -> NDArray[np.int32]:
        """Symbols (N,) whose table indices (N,) are known; raises FormatError if the stream is invalid."""
        order = np.argsort(table, kind="stable")
        radius = tables.radius[table[order]]
        coded = np.empty(len(table), np.int32)
        try:
            for index, start, stop in _groups(table[order]):
                coded[start:stop] = self._coder.decode(tables.model(index), stop - start)
            outlier = coded == 2 * radius + 1
            ordered = coded - radius.astype(np.int32)
            if outlier.any():
                ordered[outlier] = self._coder.decode(_ESCAPE, int(outlier.sum())) - VALUE_LIMIT
        except (AssertionError, ValueError) as error:
            raise FormatError("a coded stream is invalid") from error
        symbols = np.empty_like(ordered)
        symbols[order] = ordered
        return symbols

    def finish(self) -> None:
        """Raises FormatError if the stream holds more than was decoded."""
        if not self._coder.maybe_exhausted():
            raise FormatError("a coded stream is longer than its symbols")


def _groups(ordered: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Runs of equal table indices in a sorted array: (index, start, stop)."""
    bounds = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)] if len(ordered) else [0]
    return [(int(ordered[a]), a, b) for a, b in itertools.pairwise(bounds)]


def check_tables(packed: PackedTables) -> bool:
    """Whether constriction codes with exactly our counts: decodes the first and the last point of every interval."""
    tables = SymbolTables(packed)
    scale = (2**64 - 1) >> 24  # for a fresh 64-bit range at 24 bits of precision
    for index in range(len(packed)):
        ends = np.cumsum(packed.table(index).astype(np.int64)).tolist()
        for symbol, (first, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            for point in (first * scale, end * scale - 1):
                words = np.array([point >> 32, point & 0xFFFFFFFF], np.uint32)
                decoded = constriction.stream.queue.RangeDecoder(words).decode(tables.model(index), 1)
                if decoded[0] != symbol:
                    return False
    return True
