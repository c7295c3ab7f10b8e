"""Colours under full transparency cost nothing and change nothing that is seen."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import vaecodec
from vaecodec.cli.main import group
from vaecodec.picture.hidden import NEUTRAL, fill_hidden, flatten_hidden

SIDE = 256
Y, X = np.mgrid[:SIDE, :SIDE]
DISC = (X - 128) ** 2 + (Y - 128) ** 2 < 90**2
HILLS = np.asarray(Image.open("examples/hills.png").convert("RGB"))[:SIDE, :SIDE]
HIDDEN = {
    "black": np.zeros_like(HILLS),
    "noise": np.random.default_rng(0).integers(0, 256, HILLS.shape).astype(np.uint8),
}


def _disc(hidden: np.ndarray) -> np.ndarray:
    return np.dstack([np.where(DISC[..., None], HILLS, hidden), DISC * np.uint8(255)])


def test_hidden_colours_are_continued_from_what_is_seen() -> None:
    for hidden in HIDDEN.values():
        image = _disc(hidden)
        filled = fill_hidden(image[:, :, :3], image[:, :, 3])
        assert np.array_equal(filled[DISC], HILLS[DISC])
        steps = np.abs(np.diff(filled.astype(int), axis=1)).max(2)
        assert steps[~DISC[:, 1:] & ~DISC[:, :-1]].max() < 60  # smooth where nothing is seen
        assert np.array_equal(filled, fill_hidden(_disc(HIDDEN["black"])[:, :, :3], image[:, :, 3]))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (33, 18)])
def test_any_size_and_any_part_may_be_hidden(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    rgb = random.integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert (fill_hidden(rgb, np.zeros(shape, np.uint8)) == NEUTRAL).all()
    assert fill_hidden(rgb, np.ones(shape, np.uint8)) is rgb
    assert fill_hidden(rgb, None) is rgb
    one = np.zeros(shape, np.uint8)
    one.flat[one.size // 2] = 1
    assert (fill_hidden(rgb, one) == rgb.reshape(-1, 3)[one.size // 2]).all()
    assert np.array_equal(flatten_hidden(rgb, one) != 0, (rgb != 0) & (one > 0)[:, :, None])


def test_hidden_colours_cost_nothing() -> None:
    codec = vaecodec.Codec()
    sizes, errors = [], []
    for hidden in (HILLS, *HIDDEN.values()):
        data = codec.encode(_disc(hidden), 50)
        sizes.append(len(data))
        errors.append(np.square(codec.decode_array(data)[..., :3].astype(float) - HILLS)[DISC].mean())
    assert len(set(sizes)) == len(set(errors)) == 1
    kept = vaecodec.Codec(keep_hidden=True).encode(_disc(HIDDEN["black"]), 50)
    assert sizes[0] < 0.8 * len(kept)
    shown = codec.decode_array(kept)
    assert shown[~DISC][:, :3].mean() < 10


def test_an_opaque_plane_costs_nothing() -> None:
    opaque = np.dstack([HILLS, np.full(HILLS.shape[:2], 255, np.uint8)])
    data, plain = vaecodec.encode(opaque), vaecodec.encode(HILLS)
    assert len(plain) < len(data) < len(plain) + 24
    assert vaecodec.inspect(data)["mode"] == "RGBA"
    codec = vaecodec.Codec()
    for alpha in (codec.decode_array(data)[:, :, 3], codec.decode_array(data, (3, 4, 5, 6))[:, :, 3]):
        assert (alpha == 255).all()
    assert (np.asarray(codec.preview(data).getchannel("A")) == 255).all()


def test_keep_hidden_when_pillow_saves(tmp_path) -> None:
    import vaecodec.pillow

    assert vaecodec.pillow
    sizes = []
    for keep in (False, True):
        Image.fromarray(_disc(HIDDEN["black"])).save(tmp_path / f"{keep}.vaec", keep_hidden=keep)
        sizes.append((tmp_path / f"{keep}.vaec").stat().st_size)
    assert sizes[0] < 0.6 * sizes[1]


def test_keep_hidden_on_the_command_line(tmp_path) -> None:
    Image.fromarray(_disc(HIDDEN["black"])).save(tmp_path / "disc.png")
    sizes = []
    for options in ([], ["--keep-hidden"]):
        target = tmp_path / f"{len(options)}.vaec"
        result = CliRunner().invoke(group, ["encode", str(tmp_path / "disc.png"), str(target), "--verify", *options])
        assert result.exit_code == 0, result.output
        assert "PSNR" in result.output
        sizes.append(target.stat().st_size)
    assert sizes[0] < 0.6 * sizes[1]
