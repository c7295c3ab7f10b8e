"""The benchmark: codecs, metrics, curves, results, the gate for new weights."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

pytest.importorskip("bjontegaard")
pytest.importorskip("pytorch_msssim")

from vaecodec.benchmarks import codecs, learned, machine, measure, metrics, plots, results, views
from vaecodec.benchmarks.bd import bd_rate, bd_score
from vaecodec.errors import VaecodecError

COMMAND = [sys.executable, "-m", "vaecodec", "benchmark"]
KODAK = Path(__file__).parents[3] / "shared/data/kodak"


def test_bd_rate_of_known_curves() -> None:
    anchor = [(2.0**i, 30.0 + 3 * i) for i in range(-3, 3)]
    for factor in (0.5, 0.9, 1.25):
        test = [(rate * factor, db) for rate, db in anchor]
        assert abs(bd_rate(anchor, test) - (factor - 1) * 100) < 1e-6
        assert abs(bd_score(anchor, test) + 3 * np.log2(factor)) < 1e-6
        assert abs(bd_rate(anchor, test, (0.2, 2.5)) - (factor - 1) * 100) < 1e-6
    with pytest.raises(ValueError, match="overlap"):
        bd_rate(anchor, [(rate, db + 100) for rate, db in anchor])


def test_published_curves_give_the_published_bd_rates() -> None:
    """Figures of the anchors: against the published JPEG, by PCHIP over the overlap."""
    curves = plots.published()
    for name, expected in (("bmshj2018-hyperprior-mse", -55.0), ("mbt2018-mean-mse", -58.0), ("vtm", -67.6)):
        assert abs(bd_rate(curves["jpeg"], curves[name]) - expected) < 0.3
    assert abs(bd_rate(curves["bmshj2018-hyperprior-mse"], curves["mbt2018-mean-mse"]) + 6.83) < 0.3
    curves = plots.published("ms-ssim")
    for name, expected in (("bmshj2018-hyperprior-mse", -50.1), ("mbt2018-mean-mse", -52.1), ("vtm", -58.3)):
        assert abs(bd_rate(curves["jpeg"], curves[name]) - expected) < 0.3


def test_metrics(photograph: np.ndarray) -> None:
    noisy = (photograph + np.random.default_rng(0).normal(0, 5, photograph.shape)).clip(0, 255).astype(np.uint8)
    more = (photograph + np.random.default_rng(0).normal(0, 15, photograph.shape)).clip(0, 255).astype(np.uint8)
    for metric in metrics.METRICS.values():
        assert metric(photograph, photograph) > metric(photograph, noisy) > metric(photograph, more)
    mse = np.square(photograph.astype(float) - noisy).mean()
    assert abs(metrics.psnr(photograph, noisy) - 10 * np.log10(255**2 / mse)) < 1e-9


def test_codecs_write_real_files_and_more_quality_is_better(photograph: np.ndarray) -> None:
    pixels = np.ascontiguousarray(photograph[:160, 100:300])
    for codec in codecs.available().values():
        if codec.missing():
            continue
        low, high = codec.qualities[1], codec.qualities[-2]
        coded = [codec.encode(pixels, quality) for quality in (low, high)]
        decoded = [codec.decode(data) for data in coded]
        assert all(image.shape == pixels.shape for image in decoded)
        assert len(coded[0]) < len(coded[1]), codec.name
        assert metrics.psnr(pixels, decoded[0]) < metrics.psnr(pixels, decoded[1]), codec.name


@pytest.mark.slow
def test_jpeg_agrees_with_an_independent_measurement(folder: Path, tmp_path: Path) -> None:
    """Files that Pillow writes to the disk, and PSNR from a histogram of differences: the same to 0.5 % and 0.01 dB."""
    files = sorted((KODAK if KODAK.exists() else folder).glob("*.png"))
    qualities = (10, 50, 90)
    for path in files:
        cells = measure.measure(measure.Work(path, "jpeg", qualities, ("psnr",), tmp_path))
        original = Image.open(path).convert("RGB")
        for quality, cell in zip(qualities, cells, strict=True):
            file = tmp_path / "picture.jpg"
            original.save(file, quality=quality, optimize=True, subsampling="4:2:0")
            assert abs(cell["bytes"] / file.stat().st_size - 1) < 0.005
            counts = ImageChops.difference(original, Image.open(file).convert("RGB")).histogram()
            squares = sum(count * (value % 256) ** 2 for value, count in enumerate(counts))
            assert abs(cell["psnr"] - 10 * math.log10(255**2 * sum(counts) / squares)) < 0.01


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("images")
    Image.fromarray(data.astronaut()[:200, 100:300]).save(folder / "a.png")
    Image.fromarray(data.coffee()[100:300, 100:320]).save(folder / "b.png")
    return folder


def test_a_run_its_cache_and_the_gate(folder: Path, tmp_path: Path) -> None:
    arguments = [*COMMAND, str(folder), "--codecs", "jpeg,webp,vaecodec-fast", "--quick", "--jobs", "2"]
    arguments += ["--out", str(tmp_path / "one")]
    run = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "vaecodec-fast" in run.stdout
    assert run.stderr == ""
    one = results.read(tmp_path / "one")
    bd = one["codecs"]["vaecodec-fast"]["bd"]["psnr"]
    assert bd["rate_percent"] < -20
    assert bd["rate_interval"][0] <= bd["rate_percent"] <= bd["rate_interval"][1]
    rows = list(csv.DictReader((tmp_path / "one/results.csv").open()))
    assert len(rows) == len(one["cells"]) == 2 * (6 + 6 + 6)
    ends = [[p["quality"] for p in one["codecs"]["webp"]["points"]][i] for i in (0, -1)]
    assert ends == [codecs.find("webp").qualities[i] for i in (0, -1)]
    assert "quick: 6 qualities" in run.stdout
    assert "quick" in (tmp_path / "one/report.html").read_text().partition("<table>")[0]
    assert one["setup"]["one_core_each"] == machine.PINS
    assert one["codecs"]["vaecodec-fast"]["memory"]["codec_mib"] > one["codecs"]["jpeg"]["memory"]["codec_mib"]
    for cell in one["cells"]:
        pixels = np.asarray(Image.open(folder / cell["image"]))
        assert abs(cell["bpp"] - cell["bytes"] * 8 / (pixels.shape[0] * pixels.shape[1])) < 1e-9
    for name in ("rd_psnr", "rd_ms-ssim", "speed"):
        assert Image.open(tmp_path / f"one/{name}.png").size[0] > 400
        picture = (tmp_path / f"one/{name}.svg").read_text()
        assert picture.startswith("<?xml")
        assert ", quick" in picture
    # Again, from the cache, with other jobs: everything is equal, times too.
    again = [*arguments[:-1], str(tmp_path / "two"), "--cache", str(tmp_path / "one/cache"), "--jobs", "1"]
    subprocess.run(again, capture_output=True, check=True)
    two = results.read(tmp_path / "two")
    assert two["cells"] == one["cells"]
    assert list(two["codecs"]) == list(one["codecs"]) == ["jpeg", "webp", "vaecodec-fast"]
    assert (tmp_path / "two/rd_psnr.svg").read_bytes() == (tmp_path / "one/rd_psnr.svg").read_bytes()
    gate = [*COMMAND, "diff", str(tmp_path / "one"), str(tmp_path / "two/results.json")]
    assert subprocess.run(gate, capture_output=True).returncode == 0
    worse = json.loads((tmp_path / "two/results.json").read_text())
    for point in worse["codecs"]["webp"]["points"]:
        point["bpp"] *= 1.02
    (tmp_path / "two/results.json").write_text(json.dumps(worse))
    failed = subprocess.run(gate, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "webp is 2.00 % worse" in failed.stderr
    assert subprocess.run([*gate, "--max-regression", "3%"], capture_output=True).returncode == 0


def test_random_nets_are_there_for_their_times(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("compressai")
    arguments = [str(folder), "--codecs", "jpeg,webp,compressai-bmshj2018-factorized", "--quick", "--metrics", "psnr"]
    run = subprocess.run([*COMMAND, *arguments, "--out", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "random weights: times only" in run.stdout
    entry = results.read(tmp_path)["codecs"]["compressai-bmshj2018-factorized"]
    assert entry["timing_only"]
    assert "bd" not in entry
    assert entry["points"][0].keys() == {"quality", "encode_s", "decode_s"}
    assert "compressai" not in (tmp_path / "rd_psnr.svg").read_text()
    gate = [*COMMAND, "diff", str(tmp_path), str(tmp_path)]
    assert "compressai" not in subprocess.run(gate, capture_output=True, text=True, check=True).stdout


def test_every_image_model_of_the_zoo_is_known() -> None:
    zoo = pytest.importorskip("compressai.zoo")
    assert set(learned.ARCHITECTURES) == set(zoo.image_models)
    net = codecs.find("compressai-mbt2018-mean-vbr")
    pixels = np.zeros((64, 64, 3), np.uint8)
    assert net.decode(net.encode(pixels, 0)).shape == pixels.shape


def test_images_to_look_at_are_spread_or_named() -> None:
    files = [Path(f"{name}.png") for name in "abcdefghi"]
    assert [path.stem for path in views.spread(files, 3)] == ["c", "e", "g"]
    assert views.spread(files, 0) == []
    assert views.named(files, ["e", "b.png", "e"]) == [files[4], files[1]]


def test_a_checkpoint_is_a_point_of_a_curve(photograph: np.ndarray, tmp_path: Path) -> None:
    zoo = pytest.importorskip("compressai.zoo")
    import torch

    pixels = np.ascontiguousarray(photograph[:100, :150])
    for quality in (1, 4):
        net = zoo.image_models["bmshj2018-hyperprior"](quality=quality, pretrained=False)
        torch.save({"state_dict": net.state_dict()}, tmp_path / f"{quality}.pth.tar")
    codec = codecs.find(f"compressai-bmshj2018-hyperprior={tmp_path}")
    assert not codec.timing_only
    assert codec.qualities == (0, 1)
    for quality in codec.qualities:
        data = codec.encode(pixels, quality)
        assert codec.decode(data).shape == pixels.shape
    (tmp_path / "bad.pth").write_bytes(b"no checkpoint")
    with pytest.raises(VaecodecError, match=r"bad\.pth"):
        codecs.find(f"compressai-bmshj2018-hyperprior={tmp_path / 'bad.pth'}").encode(pixels, 0)


def test_errors(folder: Path, tmp_path: Path) -> None:
    for arguments, code in (
        ((folder, "--codecs", "none-such"), 1),
        ((folder, "--anchor", "none-such"), 1),
        ((folder, "--codecs", "webp", "--anchor", "jpeg"), 1),
        ((folder, "--codecs", "webp", "--view-images", "none-such"), 1),
        ((folder, "--metrics", "beauty"), 1),
        ((tmp_path,), 1),
        ((tmp_path / "missing",), 2),
        (("diff", folder, folder), 1),
    ):
        run = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path)
        assert run.returncode == code, run.stderr
        assert "Traceback" not in run.stderr
        assert code == 2 or run.stderr.splitlines()[-1].startswith("vaecodec: ")


def test_missing_codecs_are_skipped_and_said_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = codecs.PillowCodec("odd", "ODD", (1,), plugin="no_such_plugin")
    assert codec.missing() == "no_such_plugin is not installed"
    assert codecs.PillowCodec("jpeg", "JPEG", (1,), feature="jpg").missing() is None


def test_interrupted_runs_go_on(folder: Path, tmp_path: Path) -> None:
    work = measure.Work(folder / "a.png", "jpeg", (20, 50), ("psnr",), tmp_path)
    first = measure.measure(work)
    more = measure.measure(measure.Work(folder / "a.png", "jpeg", (20, 50, 80), ("psnr",), tmp_path))
    assert more[:2] == first
    assert len(list(tmp_path.iterdir())) == 3


def test_a_model_at_an_effort_is_a_codec() -> None:
    plain, refined = codecs.find("vaecodec-fast"), codecs.find("vaecodec-fast@3")
    assert (refined.name, refined.effort) == ("vaecodec-fast@3", 3)
    assert set(refined.qualities) < set(plain.qualities)
    assert refined.version() != plain.version()
    for name in ("vaecodec-fast@12", "vaecodec-fast@x", "vaecodec-fast@", "jpeg@3"):
        with pytest.raises(VaecodecError):
            codecs.find(name)


def test_identical_images_and_what_is_no_image(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "images"
    shutil.copytree(folder, root)
    for name in ("copy of a.png", "._a.png"):
        shutil.copy(folder / "a.png", root / name)
    arguments = [*COMMAND, str(root), "--codecs", "jpeg,webp", "--quick", "--jobs", "2", "--metrics", "psnr"]
    run = subprocess.run([*arguments, "--out", str(tmp_path / "out")], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    cells = results.read(tmp_path / "out")["cells"]
    for codec in ("jpeg", "webp"):
        of = {
            name: [c["bytes"] for c in cells if (c["codec"], c["image"]) == (codec, name)] for name in os.listdir(root)
        }
        assert of["a.png"] == of["copy of a.png"] != of["b.png"]
        assert not of["._a.png"]
    (root / "text.jpg").write_text("no image")
    run = subprocess.run([*arguments, "--out", str(tmp_path / "out2")], capture_output=True, text=True)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert f"vaecodec: cannot read {root / 'text.jpg'}: cannot identify image file" in run.stderr
