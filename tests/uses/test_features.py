"""Features of a file: they agree with the file and with decoding, and need no synthesis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_drawing, generated_scene

import vaecodec
from vaecodec import features
from vaecodec.bitstream.container import read_container
from vaecodec.bitstream.spec import SYMBOL_UNIT
from vaecodec.nets.onnx.backend import OnnxNets
from vaecodec.system.files import Source


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec("fast", threads=1)


@pytest.fixture(scope="module")
def data(codec: vaecodec.Codec) -> bytes:
    return codec.encode(generated_scene(150, 200), 60)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The recorded calls of the synthesis transform."""
    runs, run = [], OnnxNets.synthesis
    monkeypatch.setattr(OnnxNets, "synthesis", lambda *given: runs.append("synthesis") or run(*given))
    return runs


def test_arrays_and_their_sizes(codec: vaecodec.Codec, data: bytes) -> None:
    found = features.read(data, codec)
    for plane in (found.y_hat, found.means, found.scales, found.bits, found.likelihoods):
        assert (plane.shape, plane.dtype) == ((336, 10, 14), np.float32)
    for plane in (found.z_hat, found.z_bits):
        assert (plane.shape, plane.dtype) == ((128, 3, 4), np.float32)
    assert (found.width, found.height, found.quality) == (200, 150, 60.0)
    assert found.model == codec.model.identity.hex()
    assert np.array_equal(found.preview, codec.preview(data))


@pytest.mark.parametrize("size", [(150, 200), (300, 270)])
def test_latents_are_those_that_decode(size: tuple[int, int]) -> None:
    """Also for tiled files, whose tiles are joined."""
    tiled = vaecodec.Codec(TINY, threads=1, tile_log2=7, keep=False)
    data = tiled.encode(generated_scene(*size), 70)
    found = features.read(data, tiled)
    gain = tiled._decoding.coder(_header(data)).prior.symbol_gain
    assert np.array_equal(np.rint(found.y_hat * gain * SYMBOL_UNIT), tiled.decode_latents(data))
    assert found.z_hat.shape[1:] == tuple(-(-side // 4) for side in found.y_hat.shape[1:])
    assert np.array_equal(found.preview, tiled.preview(data))


def test_bits_are_those_of_the_file(codec: vaecodec.Codec, data: bytes) -> None:
    with Source(data) as source:
        streams = read_container(source, 1 << 20).group(0)
    found = features.read(data, codec)
    assert found.bits.min() == 0
    assert len(streams.latent) * 8 == pytest.approx(found.bits.sum(), abs=64)
    assert len(streams.hyper) * 8 == pytest.approx(found.z_bits.sum(), abs=64)
    assert 0 < found.likelihoods.min() < found.likelihoods.max() == 1


def test_latents_lie_where_the_prior_expects_them(codec: vaecodec.Codec, data: bytes) -> None:
    """Within a few standard deviations of its means, nearer to them than to 0, and whole steps away."""
    found = features.read(data, codec)
    residual = found.y_hat - found.means
    assert (np.abs(residual) < 8 * found.scales + 1e-3).mean() > 0.99
    assert np.square(residual).sum() < 0.9 * np.square(found.y_hat).sum()
    steps = residual * codec._decoding.coder(_header(data)).prior.symbol_gain
    assert np.abs(steps - np.rint(steps)).max() < 0.01


def test_escapes_cost_their_sixteen_bits() -> None:
    """A checkerboard of single pixels at the highest quality has symbols beyond the tables."""
    board = (255 * (np.indices((64, 64)).sum(0) % 2)).astype(np.uint8)
    codec = vaecodec.Codec(TINY, threads=1, keep=False)
    data = codec.encode(board, 84)
    with Source(data) as source:
        streams = read_container(source, 1 << 20).group(0)
    assert len(streams.latent) * 8 == pytest.approx(features.read(data, codec).bits.sum(), abs=64)


def _header(data: bytes):
    with Source(data) as source:
        return read_container(source, 1 << 20).header


def test_no_synthesis_is_run(codec: vaecodec.Codec, data: bytes, calls: list[str], tmp_path: Path) -> None:
    kept = codec.encode(generated_drawing())
    features.read(data, codec)
    index = features.Index.build({"a": data, "kept": kept}, codec)
    index.save(tmp_path / "x.npz")
    assert features.Index.load(tmp_path / "x.npz").counts == {"": 1, codec.model.identity.hex(): 1}
    index.find(generated_scene(150, 200), codec=codec)
    assert not calls
    codec.decode(data)
    assert calls  # the counter counts


def test_files_without_latents_and_damaged_ones(codec: vaecodec.Codec, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "drawing.vaec").write_bytes(codec.encode(generated_drawing()))
    with pytest.raises(vaecodec.FormatError, match=r"drawing\.vaec: the picture is kept as it was .*no latents"):
        features.read(tmp_path / "drawing.vaec", codec)
    with pytest.raises(vaecodec.FormatError, match="checksum"):
        features.read(data[:-30] + bytes(30), codec)
    with pytest.raises(vaecodec.FormatError, match="not a vaecodec file"):
        features.read(b"something else", codec)
