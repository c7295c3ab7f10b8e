"""Integer tables and the range coder."""

from __future__ import annotations

import numpy as np
import pytest

from vaecodec.bitstream.coder import VALUE_LIMIT, Decoder, Encoder, SymbolTables, check_tables
from vaecodec.bitstream.spec import SCALE_MIN, SCALES, SCALES_PER_OCTAVE
from vaecodec.bitstream.tables import TOTAL, PackedTables, hyper_tables, latent_tables, pack, quantise
from vaecodec.errors import FormatError, ModelError


@pytest.fixture(scope="module")
def tables() -> SymbolTables:
    return SymbolTables(latent_tables(np.eye(SCALES)))


@pytest.mark.parametrize("mixtures", [np.eye(SCALES), np.full((SCALES, SCALES), 1 / SCALES)])
def test_latent_tables_are_normalised_symmetric_and_reproduced_by_constriction(mixtures: np.ndarray) -> None:
    packed = latent_tables(mixtures)
    assert len(packed) == SCALES
    for index in range(SCALES):
        counts = packed.table(index).astype(np.int64)
        assert counts.sum() == TOTAL
        assert counts.min() >= 1
        inner = counts[:-1]
        centre = len(inner) // 2
        assert np.abs(np.delete(inner - inner[::-1], centre)).max() <= 1
    assert check_tables(packed)


def test_coded_size_is_the_entropy(tables: SymbolTables) -> None:
    random = np.random.default_rng(0)
    for index in (5, 20, 40, 63):
        sigma = SCALE_MIN * 2 ** (index / SCALES_PER_OCTAVE)
        symbols = np.rint(random.normal(0, sigma, 50_000)).astype(np.int32)
        encoder = Encoder()
        encoder.encode(symbols, np.full(len(symbols), index), tables)
        counts = tables.packed.table(index)[symbols + int(tables.radius[index])]
        bits = -np.log2(counts / TOTAL).sum()
        assert bits <= len(encoder.finish()) * 8 <= bits * 1.0005 + 64


def test_round_trip_with_escapes(tables: SymbolTables) -> None:
    random = np.random.default_rng(1)
    encoder, calls = Encoder(), []
    for count in (0, 1, 3000, 7):
        index = random.integers(0, SCALES, count)
        symbols = np.rint(random.normal(0, 1, count) * SCALE_MIN * 2 ** (index / 6)).astype(np.int32)
        symbols[random.random(count) < 0.02] = VALUE_LIMIT
        symbols[random.random(count) < 0.02] = -VALUE_LIMIT
        encoder.encode(symbols, index, tables)
        calls.append((symbols, index))
    decoder = Decoder(encoder.finish())
    for symbols, index in calls:
        assert np.array_equal(decoder.decode(index, tables), symbols)
    decoder.finish()


def test_surplus_words_and_broken_words_are_refused(tables: SymbolTables) -> None:
    encoder = Encoder()
    encoder.encode(np.zeros(10, np.int32), np.full(10, 30), tables)
    stream = encoder.finish()
    decoder = Decoder(stream + bytes(range(1, 13)))
    decoder.decode(np.full(10, 30), tables)
    with pytest.raises(FormatError):
        decoder.finish()
    with pytest.raises(FormatError):
        Decoder(stream[:-1])


def test_random_streams_never_raise_anything_but_format_errors(tables: SymbolTables) -> None:
    random = np.random.default_rng(2)
    for _ in range(200):
        decoder = Decoder(random.bytes(4 * int(random.integers(0, 20))))
        try:
            symbols = decoder.decode(random.integers(1, SCALES, 500), tables)
            assert np.abs(symbols).max() <= VALUE_LIMIT
            decoder.finish()
        except FormatError:
            pass


def test_hyper_tables_cover_what_is_probable() -> None:
    probabilities = np.zeros((1, 2, 9))
    probabilities[0, 0, 4] = 1
    probabilities[0, 1] = [0, 0, 0.1, 0.2, 0.4, 0.2, 0.1, 0, 0]
    packed = hyper_tables(probabilities)
    assert packed.radius.tolist() == [0, 2]
    assert packed.table(0).tolist() == [TOTAL - 1, 1]
    assert np.allclose(packed.table(1)[:5] / TOTAL, [0.1, 0.2, 0.4, 0.2, 0.1], atol=1e-5)


def test_inconsistent_tables_are_refused() -> None:
    good = pack([quantise(np.ones(4)), quantise(np.ones(6))])
    for counts, radius in (
        (good.counts[:-1], good.radius),
        (good.counts, good.radius[::-1]),
        (good.counts + 1, good.radius),
        (good.counts[:0], good.radius[:0]),
    ):
        with pytest.raises(ModelError):
            PackedTables(counts, radius)
