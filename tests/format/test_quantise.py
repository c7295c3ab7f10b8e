"""Rounding by rate and distortion."""

from __future__ import annotations

import numpy as np

from vaecodec.bitstream.spec import SCALES
from vaecodec.bitstream.tables import TOTAL, latent_tables
from vaecodec.coding.quantise import BITS_PER_SQUARED_ERROR, Quantiser


def test_symbols_never_grow_and_stay_within_one_of_plain_rounding() -> None:
    random = np.random.default_rng(0)
    residual = random.normal(0, 3, (8, 40, 50)).astype(np.float32)
    index = random.integers(0, 64, residual.shape).astype(np.uint8)
    symbols = Quantiser(latent_tables(np.eye(SCALES)))(residual, index)
    plain = np.rint(residual) * (index > 0)
    assert symbols.dtype == np.int32
    assert (np.abs(symbols) <= np.abs(plain)).all()
    assert (np.abs(symbols - plain) <= 1).all()
    assert (symbols * plain >= 0).all()
    assert (symbols != plain).any()


def test_strength_zero_is_plain_rounding() -> None:
    residual = np.linspace(-9.99, 9.99, 1001, dtype=np.float32)
    index = np.full(residual.shape, 30, np.uint8)
    assert np.array_equal(Quantiser(latent_tables(np.eye(SCALES)), 0.0)(residual, index), np.rint(residual))


def test_full_strength_lowers_the_cost_of_what_it_codes() -> None:
    random = np.random.default_rng(1)
    tables = latent_tables(np.eye(SCALES))
    index = np.full(100_000, 14, np.uint8)
    residual = random.normal(0, 0.11 * 2 ** (14 / 6), index.shape).astype(np.float32)

    def cost(symbols: np.ndarray) -> float:
        bits = -np.log2(tables.table(14)[symbols + int(tables.radius[14])] / TOTAL)
        return float((bits + BITS_PER_SQUARED_ERROR * np.square(residual - symbols)).mean())

    assert cost(Quantiser(tables, 1.0)(residual, index)) < cost(np.rint(residual).astype(np.int32)) - 0.01
