"""The benchmark: codecs, metrics, curves, results, the gate for new weights."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("bjontegaard")
pytest.importorskip("pytorch_msssim")

from vaecodec.benchmarks import codecs, measure, metrics, plots, results
from vaecodec.benchmarks.bd import bd_rate, bd_score
from vaecodec.errors import VaecodecError

COMMAND = [sys.executable, "-m", "vaecodec", "benchmark"]


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
    # JPEG's points agree with an independent measurement.
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=50, optimize=True, subsampling="4:2:0")
    assert codecs.available()["jpeg"].encode(pixels, 50) == buffer.getvalue()


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
    assert len(rows) == len(one["cells"]) == 2 * (5 + 3 + 6)
    assert one["codecs"]["vaecodec-fast"]["memory"]["codec_mib"] > one["codecs"]["jpeg"]["memory"]["codec_mib"]
    for cell in one["cells"]:
        pixels = np.asarray(Image.open(folder / cell["image"]))
        assert abs(cell["bpp"] - cell["bytes"] * 8 / (pixels.shape[0] * pixels.shape[1])) < 1e-9
    for name in ("rd_psnr", "rd_ms-ssim", "speed"):
        assert Image.open(tmp_path / f"one/{name}.png").size[0] > 400
        assert (tmp_path / f"one/{name}.svg").read_text().startswith("<?xml")
    # Again, from the cache: everything is equal, times too.
    again = [*arguments[:-1], str(tmp_path / "two"), "--cache", str(tmp_path / "one/cache")]
    subprocess.run(again, capture_output=True, check=True)
    assert results.read(tmp_path / "two")["cells"] == one["cells"]
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
        ((folder, "--metrics", "beauty"), 1),
        ((tmp_path,), 1),
        ((tmp_path / "missing",), 2),
        (("diff", folder, folder), 1),
    ):
        run = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path)
        assert run.returncode == code, run.stderr
        assert "Traceback" not in run.stderr


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
