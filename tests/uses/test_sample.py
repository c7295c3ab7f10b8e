"""Samples of the prior: distributed as its tables say, and the same for a seed, tiled or not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from commands import refused, run
from make_golden import TINY
from PIL import Image

from vaecodec.bitstream.coder import SymbolTables
from vaecodec.bitstream.tables import TOTAL, pack, quantise
from vaecodec.coding.session import Session, Settings
from vaecodec.errors import VaecodecError
from vaecodec.model.file import load_model
from vaecodec.uses.sample import draw, sample, sample_picture


def tables() -> SymbolTables:
    """Tables of radius 1, where escapes are likely, and of radius 3."""
    wide = quantise(np.array([1, 2, 4, 8, 4, 2, 1, 1e-6]))
    return SymbolTables(pack([quantise(np.array([0.1, 0.3, 0.2, 0.4])), wide]))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_symbols_are_drawn_as_often_as_their_tables_say(temperature: float) -> None:
    packed = tables().packed
    index = np.repeat(np.array([[1, 0]]), 40000, 0)
    drawn = draw(tables(), index, np.random.default_rng(3), temperature)
    assert drawn.shape == index.shape
    for column, radius in ((0, 3), (1, 1)):
        shares = np.bincount(drawn[:, column] + radius, minlength=2 * radius + 1) / len(drawn)
        expected = (packed.table(index[0, column])[:-1] / TOTAL) ** (1 / temperature)
        np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.01)


def test_at_temperature_zero_the_likeliest_comes() -> None:
    drawn = draw(tables(), np.array([0, 1] * 50), np.random.default_rng(0), 0)
    assert drawn.tolist() == [0, 0] * 50


def test_a_seed_gives_the_same_image_again() -> None:
    one, again, other = (np.asarray(sample((96, 70), seed, model=TINY)) for seed in (1, 1, 2))
    assert one.shape == (70, 96, 3)
    assert np.array_equal(one, again)
    assert np.abs(one.astype(int) - other).mean() > 5


def test_a_low_temperature_is_calmer() -> None:
    calm, usual = (np.asarray(sample((128, 128), 5, t, quality=60, model=TINY)).astype(float) for t in (0.3, 1.0))
    assert np.abs(np.diff(calm, axis=1)).mean() < np.abs(np.diff(usual, axis=1)).mean()


def test_large_images_are_drawn_in_tiles_by_any_number_of_threads() -> None:
    drawn = [
        sample_picture(Session(Settings(TINY, threads=threads, tile_log2=7)), (1100, 80), 3, 1.0, None, 40.0).rgb
        for threads in (1, 3)
    ]
    assert drawn[0].shape == (80, 1100, 3)
    assert np.array_equal(*drawn)


def test_like_an_image_detail_lies_where_it_has_some() -> None:
    random = np.random.default_rng(0)
    like = np.full((128, 256, 3), 120, np.uint8)
    like[:, 128:] = random.integers(0, 256, (128, 128, 3))
    drawn = np.asarray(sample(like=like, seed=1, quality=70, model="fast")).astype(float)
    assert drawn.shape == like.shape
    flat, busy = (np.abs(np.diff(drawn[:, part], axis=1)).mean() for part in (slice(96), slice(160, 256)))
    assert busy > 3 * flat


@pytest.mark.parametrize(
    "arguments",
    [{"seed": -1}, {"seed": 1.5}, {"temperature": 3}, {"temperature": float("nan")}, {"size": (0, 9)}, {"quality": 0}],
)
def test_other_arguments(arguments: dict) -> None:
    with pytest.raises(VaecodecError):
        sample(**{"model": TINY, "size": (16, 16)} | arguments)


def test_models_that_only_decode(tmp_path: Path) -> None:
    """They have the prior, but no analysis that `--like` needs."""
    from vaecodec.model.shipped import EARLIER

    name = next(iter(EARLIER))
    assert load_model(name).slim
    assert sample((32, 32), model=name).size == (32, 32)
    with pytest.raises(VaecodecError, match="only decodes"):
        sample(like=np.zeros((32, 32, 3), np.uint8), model=name)


def test_the_command(tmp_path: Path, picture_file: Path) -> None:
    out = tmp_path / "a.png"
    assert run("sample", out, "--size", "100x60", "--seed", 4).returncode == 0
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(sample((100, 60), 4, model=TINY)))
    written = run("sample", "-", "--like", picture_file, "-Q")
    assert Image.open(io.BytesIO(written.stdout)).size == (130, 96)
    assert "exists already" in refused("sample", out)
    assert "not an image" in refused("sample", tmp_path / "b.png", "--like", __file__)
    assert "--max-pixels" in refused("sample", tmp_path / "b.png", "--size", "99999x99999")
    for wrong in (["--size", "3x"], ["--size", "4x4", "--like", picture_file], ["--seed", "-1"]):
        assert run("sample", tmp_path / "b.png", *wrong).returncode == 2
    assert not (tmp_path / "b.png").exists()
