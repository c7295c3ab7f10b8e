"""Encode and decode through the library."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

import vaecodec
from vaecodec.bitstream.container import Header, Streams, read_container, write_container
from vaecodec.bitstream.grid import TileGrid
from vaecodec.coding.windows import analyse_tile
from vaecodec.errors import BackendError, FormatError, ImageError, ModelError, VaecodecError
from vaecodec.model.file import load_model, read_model
from vaecodec.system.files import Source


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.square(a.astype(float) - b).mean()
    return 10 * np.log10(255**2 / error) if error else np.inf


def parts(data: bytes) -> tuple[Header, Streams]:
    container = read_container(Source(data), 1 << 27)
    return container.header, container.group(0)


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec()


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 1), (1, 300), (300, 1), (7, 5), (31, 33), (32, 32), (33, 31), (64, 65), (129, 97)]
)
def test_any_size(size: tuple[int, int], codec: vaecodec.Codec) -> None:
    picture = generated_picture(*size)
    data = codec.encode(picture, 80)
    decoded = np.asarray(codec.decode(data))
    assert decoded.shape == picture.shape
    assert psnr(decoded, picture) > 20


def test_decoder_reproduces_the_encoders_latents(codec: vaecodec.Codec, picture: np.ndarray) -> None:
    for quality in (1, 2.5, 50, 99.99, 100):
        coder = codec.session.coder(codec.model, round(quality * 100), 1, codec.session.workers)
        grid = TileGrid(130, 96)
        _, (values,) = coder.encode(analyse_tile(coder, grid, 0, picture[None]))
        assert np.array_equal(values, codec.decode_latents(codec.encode(picture, quality)))


def test_quality_buys_rate_and_distortion(codec: vaecodec.Codec, photograph: np.ndarray) -> None:
    coded = [codec.encode(photograph, quality) for quality in (1, 10, 30, 50, 70, 90, 100)]
    sizes = [len(data) for data in coded]
    quality = [psnr(np.asarray(codec.decode(data)), photograph) for data in coded]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 15 * sizes[0]
    assert quality == sorted(quality)
    assert quality[0] > 20
    assert quality[-1] > 36


def test_a_photograph_beats_jpeg(codec: vaecodec.Codec, photograph: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photograph).save(buffer, "JPEG", quality=30, optimize=True, subsampling="4:2:0")
    jpeg = psnr(np.asarray(Image.open(buffer)), photograph)
    ours = min(
        (
            data
            for q in range(10, 60, 2)
            if psnr(np.asarray(codec.decode(data := codec.encode(photograph, q))), photograph) > jpeg
        ),
        key=len,
    )
    assert len(ours) < 0.85 * buffer.tell()


def test_single_steps_of_quality_hardly_ever_shrink_a_file(codec: vaecodec.Codec, photograph: np.ndarray) -> None:
    crop = photograph[:256, 100:356]
    sizes = [len(codec.encode(crop, quality)) for quality in range(1, 101, 3)]
    assert all(b > a * 0.995 for a, b in itertools.pairwise(sizes))


def test_modes_and_metadata_survive(codec: vaecodec.Codec, picture: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    for mode in ("L", "LA", "RGB", "RGBA"):
        image = Image.fromarray(picture).convert(mode)
        if "A" in mode:
            image.putalpha(Image.fromarray(picture[:, :, 1]))
        image.info["exif"] = exif.tobytes()
        decoded = codec.decode(codec.encode(image, 90))
        assert decoded.mode == mode
        assert decoded.getexif()[0x010F] == "maker"
        if "A" in mode:
            assert np.array_equal(np.asarray(decoded)[:, :, -1], picture[:, :, 1])
        assert psnr(np.asarray(decoded.convert("RGB")), np.asarray(image.convert("RGB"))) > 28


def test_module_functions_and_inputs(picture: np.ndarray, picture_file: Path) -> None:
    data = vaecodec.encode(picture)
    assert vaecodec.encode(Image.fromarray(picture)) == data
    assert vaecodec.encode(picture_file) == data
    default = load_model().default_quality
    assert vaecodec.encode(str(picture_file), quality=default, model="eye") == data
    assert vaecodec.encode(picture, default, tune="eye") == data
    squared = vaecodec.encode(picture, tune="psnr")
    assert squared == vaecodec.encode(picture, load_model("fast").default_quality, model="fast") != data
    assert vaecodec.Codec("fast").decode(data) == vaecodec.decode(data)  # which the file names itself
    for wrong, why in (({"tune": "taste"}, "unknown tune"), ({"tune": "psnr", "model": "fast"}, "not both")):
        with pytest.raises(VaecodecError, match=why):
            vaecodec.encode(picture, **wrong)
    assert vaecodec.decode(memoryview(data)).size == (130, 96)
    gray = vaecodec.decode(vaecodec.encode(picture[:, :, 0]))
    assert gray.mode == "L"


def test_inspect_adds_up(picture: np.ndarray) -> None:
    data = vaecodec.encode(picture, 33.25)
    facts = vaecodec.inspect(data)
    assert (facts["width"], facts["height"], facts["mode"], facts["quality"]) == (130, 96, "RGB", 33.25)
    assert facts["model"] == "eye"
    assert facts["bytes"] == len(data) == sum(part["bytes"] for part in facts["parts"].values())
    assert facts["parts"]["header and checksums"]["bytes"] < 24


def test_torch_backend_reads_what_onnx_wrote(codec: vaecodec.Codec, picture: np.ndarray) -> None:
    pytest.importorskip("torch")
    other = vaecodec.Codec(backend="torch")
    for first, second in ((codec, other), (other, codec)):
        data = first.encode(picture, 60)
        a, b = (np.asarray(c.decode(data)).astype(int) for c in (first, second))
        assert np.abs(a - b).max() <= 1


def test_one_codec_may_be_shared_by_threads(codec: vaecodec.Codec) -> None:
    pictures = [generated_picture(64, 64, seed) for seed in range(6)]
    expected = [codec.encode(picture, 40) for picture in pictures]
    results: list[bytes] = [b""] * len(pictures)

    def work(index: int) -> None:
        results[index] = codec.encode(pictures[index], 40)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == expected


@pytest.mark.parametrize("quality", [0, 0.99, 100.01, -5, float("nan"), float("inf"), "high"])
def test_impossible_qualities_are_refused(quality: object, picture: np.ndarray) -> None:
    with pytest.raises(VaecodecError):
        vaecodec.encode(picture, quality)


def test_unknown_models_backends_and_devices_are_refused(picture: np.ndarray, tmp_path: Path) -> None:
    rubbish = tmp_path / "model.safetensors"
    rubbish.write_bytes(b"\x10\0\0\0\0\0\0\0{}              ")
    for model in ("best", tmp_path / "missing.safetensors", rubbish, tmp_path):
        with pytest.raises(ModelError):
            vaecodec.encode(picture, model=model)
    with pytest.raises(BackendError):
        vaecodec.Codec(backend="jax")
    for device, message in (("tpu", "not 'tpu'"), ("cuda:x", "not 'cuda:x'")):
        with pytest.raises(BackendError, match=message):
            vaecodec.Codec(device=device).encode(picture)
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(BackendError, match="onnxruntime-gpu"):
            vaecodec.Codec(device="cuda").encode(picture)


def test_streams_of_absent_models_are_refused_by_name(picture: np.ndarray) -> None:
    header, streams = parts(vaecodec.encode(picture))
    with pytest.raises(ModelError, match="deadbeef"):
        vaecodec.decode(write_container(replace(header, model=b"\xde\xad\xbe\xef"), [streams], {}))


def test_streams_that_do_not_fit_the_header_are_refused(picture: np.ndarray) -> None:
    header, good = parts(vaecodec.encode(picture))
    for data in (
        write_container(replace(header, width=64), [good], {}),
        write_container(header, [Streams(good.hyper, good.latent + bytes(range(1, 17)))], {}),
        write_container(header, [Streams(good.hyper, good.latent[:-4])], {}),
        write_container(header, [Streams(good.latent, good.latent)], {}),
    ):
        with pytest.raises(FormatError):
            vaecodec.decode(data)


def test_decompression_bombs_are_refused_before_anything_is_allocated() -> None:
    bomb = b"VAEC" + bytes([2, 0]) + b"\x80\x80\x40" * 2 + (5000).to_bytes(2, "little") + bytes(12)
    with pytest.raises(FormatError, match="limit"):
        vaecodec.decode(bomb)
    with pytest.raises(FormatError, match="limit"):
        vaecodec.inspect(bomb)
    with pytest.raises(FormatError, match="tiles"):  # what is wrong with it besides its size
        vaecodec.inspect(bomb, max_pixels=1 << 40)


def test_metadata_that_the_decoder_would_refuse_is_not_written(picture: np.ndarray) -> None:
    codec, image = vaecodec.Codec(TINY, max_metadata=100), Image.fromarray(picture)
    image.info["xmp"] = b"x" * 100
    assert codec.decode(codec.encode(image)).info["xmp"] == image.info["xmp"]
    image.info["xmp"] += b"x"
    with pytest.raises(ImageError, match="the xmp block has 101 bytes, more than 100"):
        codec.encode(image)
    larger = vaecodec.Codec(TINY, max_metadata=101)
    assert larger.decode(larger.encode(image)).info["xmp"] == image.info["xmp"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_models_whose_weights_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with safe_open(TINY, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        metadata = file.metadata()
    save_file(tensors, path, metadata)
    assert read_model(path).checksum
    for name in ("analysis.stem.weight", "synthesis.head.bias", "synthesis.blocks.rate"):
        damaged = tensors[name].copy()
        damaged.flat[-1] = value
        save_file(tensors | {name: damaged}, path, metadata)
        with pytest.raises(ModelError, match=f"{name} is not finite"):
            read_model(path)


def test_coding_imports_neither_torch_nor_compressai() -> None:
    script = (
        "import sys, numpy, vaecodec; vaecodec.decode(vaecodec.encode(numpy.zeros((9, 9, 3), 'u1')));"
        "assert not {'torch', 'compressai', 'onnx', 'scipy'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
