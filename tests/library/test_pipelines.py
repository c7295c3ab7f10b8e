"""At home in pipelines: numpy, torch, batches, worker processes, data sets, URLs."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

import vaecodec
from vaecodec.coding.batch import in_passes
from vaecodec.system.parallel import Workers

PICTURES = [generated_picture(60, 90, seed) for seed in range(5)]


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec(TINY, threads=2)


@pytest.fixture
def folder(tmp_path: Path, codec: vaecodec.Codec) -> Path:
    tiled = vaecodec.Codec(TINY, tile_log2=7)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.vaec").write_bytes(codec.encode(PICTURES[0], 60))
    (tmp_path / "sub/gray.vaec").write_bytes(codec.encode(PICTURES[1][:, :, 0], 60))
    (tmp_path / "sub/large.vaec").write_bytes(tiled.encode(generated_picture(200, 300), 60))
    alpha = np.dstack([PICTURES[2][:, :, :1], PICTURES[2][:, :, 1:2]])
    (tmp_path / "gray-alpha.vaec").write_bytes(codec.encode(alpha, 60))
    return tmp_path


def test_batches_equal_single_images(codec: vaecodec.Codec) -> None:
    torch = pytest.importorskip("torch")
    expected = [codec.encode(picture, 40) for picture in PICTURES]
    assert codec.encode_batch(PICTURES, 40) == expected
    assert codec.encode_batch(np.stack(PICTURES), 40) == expected
    assert codec.encode_batch(torch.from_numpy(np.stack(PICTURES)).permute(0, 3, 1, 2), 40) == expected
    for image, data in zip(codec.decode_batch(expected), expected, strict=True):
        assert np.array_equal(np.asarray(image), np.asarray(codec.decode(data)))
    for array, tensor, data in zip(
        codec.decode_batch(expected, "numpy"), codec.decode_batch(expected, "torch"), expected, strict=True
    ):
        assert np.array_equal(array, codec.decode_array(data))
        assert torch.equal(tensor, codec.decode_to_tensor(data))
    with pytest.raises(vaecodec.ImageError, match="unknown kind 'jax'"):
        codec.decode_batch(expected, "jax")


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_images_of_equal_size_go_through_the_nets_together(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gray ones and one with alpha among them."""
    if backend == "torch":
        pytest.importorskip("torch")
    codec = vaecodec.Codec(TINY, backend=backend, threads=1, tile_log2=7)
    grays = [generated_picture(150, 90, seed)[:, :, 0] for seed in range(2)]
    checkerboard = (np.indices((64, 96)).sum(0) % 2 * 255).astype(np.uint8)
    images = [*PICTURES[:3], checkerboard, generated_picture(150, 90, 7), *grays, np.dstack([grays[0], grays[1]])]
    kind = type(codec.session.coder(codec.model, 4000, 1, codec.session.workers)._nets)
    analysis, synthesis, seen = kind.analysis, kind.synthesis, []

    def watched(self: object, pixels: np.ndarray, *arguments: object) -> np.ndarray:
        seen.append(len(pixels))
        return analysis(self, pixels, *arguments)

    monkeypatch.setattr(kind, "analysis", watched)
    files = codec.encode_batch(images, 40)
    assert sorted(seen) == [1, 3, 4, 4]  # the tall ones in two tiles
    assert [vaecodec.inspect(data)["mode"] for data in files[-4:]] == ["RGB", "L", "L", "LA"]
    for data, image in zip(files, images, strict=True):
        alone = codec.encode(image, 40)
        assert abs(len(data) - len(alone)) <= 8
        assert np.abs(codec.decode_array(data).astype(int) - codec.decode_array(alone)).max() <= 8
    seen.clear()
    monkeypatch.setattr(kind, "synthesis", lambda self, v, *rest: seen.append(len(v)) or synthesis(self, v, *rest))
    decoded = codec.decode_batch(files, "numpy")
    assert set(seen) == {1, 3, 4}
    for array, data in zip(decoded, files, strict=True):
        difference = np.abs(array.astype(int) - codec.decode_array(data))
        assert difference.max() <= 1  # as between machines
        assert difference.mean() < 0.01


def test_a_pass_is_made_before_more_is_read() -> None:
    """Large images are held one at a time, small ones until their pass is full."""
    events: list[object] = []

    def sizes() -> Iterator[tuple[int, int]]:
        for side in (64, 2000, 256, 64, 256, 3000, 256, 256):
            events.append(side)
            yield side, side

    def work(images: list[tuple[int, int]]) -> list[int]:
        events.append([side for side, _ in images])
        return [side for side, _ in images]

    results = in_passes(sizes(), lambda size: size, work, Workers(2))
    assert results == [64, 2000, 256, 64, 256, 3000, 256, 256]
    assert events == [64, 2000, [2000], 256, 64, 256, 3000, [3000], 256, 256, [256] * 4, [64, 64]]


def test_arrays_and_tensors(codec: vaecodec.Codec) -> None:
    torch = pytest.importorskip("torch")
    picture = PICTURES[0]
    for image in (picture, picture[:, :, :1], picture[:, :, :2], np.dstack([picture, picture[:, :, 0]])):
        data = codec.encode(image, 60)
        array = codec.decode_array(data)
        assert array.shape == image.shape
        assert np.array_equal(array.squeeze(), np.asarray(codec.decode(data)))
        tensor = codec.decode_to_tensor(data, region=(10, 20, 30, 15))
        assert (tensor.shape, tensor.dtype) == ((image.shape[2], 15, 30), torch.uint8)
        assert np.array_equal(tensor.permute(1, 2, 0).numpy(), array[20:35, 10:40])


def test_file_objects_on_both_sides(codec: vaecodec.Codec, picture_file: Path) -> None:
    with open(picture_file, "rb") as file:
        data = codec.encode(file, 50)
    assert data == codec.encode(picture_file, 50)
    assert codec.decode(io.BytesIO(data)).size == (130, 96)
    assert vaecodec.inspect(io.BytesIO(data))["width"] == 130


def _encode(codec: vaecodec.Codec, picture: np.ndarray) -> bytes:
    return codec.encode(picture, 40)


def test_a_codec_travels_to_worker_processes(codec: vaecodec.Codec) -> None:
    codec.encode(PICTURES[0])  # has loaded its model
    assert len(pickle.dumps(codec)) < 1000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.starmap(_encode, [(codec, PICTURES[1])]) == [codec.encode(PICTURES[1], 40)]


def test_dataset_of_crops(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    from vaecodec.datasets import VaecDataset

    whole = VaecDataset(folder, model=TINY)
    assert len(whole) == 4
    assert sorted(tuple(whole[i].shape) for i in range(4)) == [(3, 60, 90)] * 3 + [(3, 200, 300)]
    crops = VaecDataset(folder, crop=100, transform=torch.Tensor.float, model=TINY)
    (batch,) = torch.utils.data.DataLoader(crops, batch_size=4, num_workers=1, multiprocessing_context="spawn")
    assert (batch.shape, batch.dtype) == ((4, 3, 100, 100), torch.float32)
    large = VaecDataset([folder / "sub/large.vaec"], crop=64, model=TINY)
    picture = large.codec.decode_array(folder / "sub/large.vaec")
    crop = large[0].permute(1, 2, 0).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(picture, (64, 64), (0, 1)).transpose(0, 1, 3, 4, 2)
    assert (windows[:, :, 0, 0] == crop[0, 0]).all(2).any()
    assert any(np.array_equal(windows[y, x], crop) for y, x in np.argwhere((windows[:, :, 0, 0] == crop[0, 0]).all(2)))
    with pytest.raises(vaecodec.VaecodecError, match=r"no \.vaec files"):
        VaecDataset(folder / "none")


def test_webdataset(folder: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    from vaecodec.datasets import webdataset_decoder

    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for name in ("a", "sub/large"):
            tar.add(folder / f"{name}.vaec", f"{Path(name).name}.vaec")
    for kind, shape in (("torch", (3, 60, 90)), ("numpy", (60, 90, 3)), ("pil", None)):
        dataset = webdataset.WebDataset(str(shard), shardshuffle=False)
        samples = list(dataset.decode(webdataset_decoder(kind, model=TINY)))
        assert [sample["__key__"] for sample in samples] == ["a", "large"]
        first = samples[0]["vaec"]
        assert first.size == (90, 60) if shape is None else tuple(first.shape) == shape


def test_urls_wherever_a_path_is_taken(codec: vaecodec.Codec, picture_file: Path, tmp_path: Path) -> None:
    fsspec, _ = pytest.importorskip("fsspec"), pytest.importorskip("torch")
    data = codec.encode(picture_file)
    with fsspec.open("memory://bucket/a.vaec", "wb") as file:
        file.write(data)
    with fsspec.open("memory://bucket/photo.png", "wb") as file:
        file.write(picture_file.read_bytes())
    assert codec.encode("memory://bucket/photo.png") == data
    assert np.array_equal(np.asarray(codec.decode("memory://bucket/a.vaec")), np.asarray(codec.decode(data)))
    assert vaecodec.inspect("memory://bucket/a.vaec")["bytes"] == len(data)
    from vaecodec.datasets import VaecDataset

    with fsspec.open("memory://bucket/deep/er.vaec", "wb") as file:
        file.write(data)
    dataset = VaecDataset("memory://bucket", model=TINY)
    assert dataset.paths == ["memory://bucket/a.vaec", "memory://bucket/deep/er.vaec"]
    assert np.array_equal(dataset[1].permute(1, 2, 0), codec.decode_array(data))
    with fsspec.open("memory://bucket/tiny.safetensors", "wb") as file:
        file.write(TINY.read_bytes())
    for model in ("memory://bucket/tiny.safetensors", TINY.as_uri()):
        assert vaecodec.Codec(model).encode(picture_file) == data
    with pytest.raises(vaecodec.ModelError, match=r"none\.safetensors: no such file"):
        vaecodec.Codec("memory://bucket/none.safetensors").encode(picture_file)
    for missing in ("memory://bucket/none.vaec", "nonsense://x"):
        with pytest.raises(vaecodec.VaecodecError):
            codec.decode(missing)
    command = [sys.executable, "-m", "vaecodec", "encode", f"file://{picture_file}", "--model", str(TINY), "-Q"]
    subprocess.run(command, check=True)
    assert picture_file.with_suffix(".vaec").read_bytes() == data
    subprocess.run([*command[:3], "decode", f"file://{picture_file.with_suffix('.vaec')}", f"file://{tmp_path}/b.webp",
                    "--model", str(TINY)], check=True)  # fmt: skip
    assert Image.open(tmp_path / "b.webp").size == (130, 96)
