"""What is made of measured cells: BD-rates of sets with odd images, the gate's refusals, the machine, the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

pytest.importorskip("bjontegaard")

from vaecodec.benchmarks import machine, measure, plots, publish, results
from vaecodec.cli.main import main
from vaecodec.errors import VaecodecError

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
TIMES = {"encode_s": 0.1, "decode_s": 0.1, "megapixels": 1.0}


def cells_of(codec: str, image: str, curve: list[tuple[float, float]]) -> list[dict]:
    return [
        {"image": image, "codec": codec, "quality": number, "bpp": bpp, "psnr": score, **TIMES}
        for number, (bpp, score) in enumerate(curve)
    ]


def curve(factor: float, lift: float = 0.0) -> list[tuple[float, float]]:
    return [(factor * 2.0**i, 30.0 + 3 * i + lift) for i in range(-3, 3)]


def summary(cells: list[dict], dataset: str = "set") -> dict:
    return results.summarise(cells, ("psnr",), dataset, "jpeg", {"quick": False})


def test_an_image_without_overlap_is_left_out_and_counted() -> None:
    cells = [cell for image in "ab" for cell in cells_of("jpeg", image, curve(1)) + cells_of("new", image, curve(0.8))]
    flat = [cell for codec in ("jpeg", "new") for cell in cells_of(codec, "flat", [(0.01, 100.0)] * 6)]
    entry = summary(cells + flat)["codecs"]["new"]
    bd = entry["bd"]["psnr"]
    assert entry["bd_of_images"]["psnr"] == {"a": pytest.approx(-20), "b": pytest.approx(-20), "flat": None}
    assert (bd["rate_mean_of_images"], bd["images_left_out"]) == (pytest.approx(-20), 1)
    assert 0 < bd["samples_left_out"] < results.BOOTSTRAPS / 5  # those that drew the flat one three times
    assert bd["rate_interval"][0] <= bd["rate_percent"] <= bd["rate_interval"][1]
    alone = summary(flat)["codecs"]["new"]
    assert (alone["bd"], alone["bd_of_images"]) == ({"psnr": None}, {"psnr": {"flat": None}})


def test_curves_that_share_scores_but_no_rates_have_a_rate_and_no_score() -> None:
    entry = summary(cells_of("jpeg", "a", curve(1)) + cells_of("new", "a", curve(0.01)))["codecs"]["new"]
    assert entry["bd"]["psnr"]["rate_percent"] == pytest.approx(-99)
    assert entry["bd"]["psnr"]["score"] is None


def test_results_are_compared_in_bands() -> None:
    """A codec that saves a fifth of the bytes above 33 and nothing below."""
    steps = [(2.0**i, 30.0 + 3 * i) for i in range(-3, 4)]
    better = [(rate * (0.8 if score > 33 else 1), score) for rate, score in steps]
    old = summary(cells_of("jpeg", "a", steps) + cells_of("ours", "a", steps))
    new = summary(cells_of("jpeg", "a", steps) + cells_of("ours", "a", better))
    bands = results.compare_bands(old, new)
    assert set(bands) == {("jpeg", "psnr"), ("ours", "psnr")}
    assert all(abs(value) < 1e-9 for value in bands["jpeg", "psnr"].values())
    assert abs(bands["ours", "psnr"]["28-31"]) < 1
    assert -23 < bands["ours", "psnr"]["37-40"] < -19


def test_the_gate_refuses_what_it_cannot_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    old = summary(cells_of("jpeg", "a", curve(1)) + cells_of("new", "a", curve(0.8)))
    other_set = summary(old["cells"], "other")
    other_count = summary(old["cells"] + cells_of("jpeg", "b", curve(1)) + cells_of("new", "b", curve(1)))
    apart = summary(cells_of("jpeg", "a", curve(1)) + cells_of("new", "a", curve(1, 100)))
    one_point = summary(cells_of("jpeg", "a", curve(1)) + cells_of("new", "a", curve(1)[:1]))
    gone = summary(cells_of("jpeg", "a", curve(1)))
    (tmp_path / "old.json").write_text(json.dumps(old))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["vaecodec", "benchmark", "diff", "old.json", "new.json"])
    for new, said in (
        (other_set, "different images: set (1 images), other (1 images)"),
        (other_count, "different images: set (1 images), set (2 images)"),
        (apart, "curves of new do not overlap in psnr"),
        (one_point, "curves of new do not overlap in psnr"),
        (gone, "new.json: new"),
    ):
        (tmp_path / "new.json").write_text(json.dumps(new))
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 1
        printed = capsys.readouterr().err
        assert said in printed
        assert len(printed.splitlines()) == 1
    assert results.lost(gone, old) == []
    without = json.loads(json.dumps(old))
    for point in without["codecs"]["new"]["points"]:
        del point["psnr"]
    assert results.lost(old, without) == ["psnr of new"]
    with pytest.raises(VaecodecError, match="in common"):
        results.compare(summary(cells_of("new", "a", curve(1))), gone)


def test_the_commit_is_of_this_package_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "repository/vaecodec"
    package.mkdir(parents=True)
    (package / "file").write_text("1")
    git = ["git", "-C", str(package.parent), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    root = package.parent.resolve()
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert machine.commit_of(root) == {"commit": head, "dirty": False}
    (package / "file").write_text("2")
    assert machine.commit_of(root) == {"commit": head, "dirty": True}
    # Installed into somebody else's repository; and no git at all.
    assert machine.commit_of(root / "vaecodec") == {"commit": None, "dirty": None}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.commit_of(root) == {"commit": None, "dirty": None}
    assert results.summarise(cells_of("jpeg", "a", curve(1)), ("psnr",), "set", "jpeg", {})["setup"]["commit"] is None


def test_versions_and_machine() -> None:
    found = machine.environment()
    wanted = {"numpy", "pillow", "scipy", "matplotlib", "bjontegaard", "libjpeg-turbo"}
    assert wanted <= found["versions"].keys()
    assert found["versions"]["libjpeg-turbo"].count(".") == 2
    assert found["cores"] >= 1
    if Path("/proc/cpuinfo").exists():
        assert found["cpu"]


@pytest.mark.skipif(not machine.PINS, reason="this platform does not pin")
def test_workers_keep_to_a_core_each() -> None:
    allowed, context = os.sched_getaffinity(0), get_context("spawn")
    with ProcessPoolExecutor(2, context, measure._start_worker, (context.Value("i", 0),)) as pool:
        cores = [tuple(future.result()) for future in [pool.submit(_core) for _ in range(6)]]
    assert all(len(core) == 1 for core in cores)
    assert len(set(cores)) == min(2, len(allowed))
    assert os.sched_getaffinity(0) == allowed


def _core() -> set[int]:
    time.sleep(0.3)  # so that the other worker has its turn too
    return os.sched_getaffinity(0)


def test_figures_are_drawn_from_the_results_and_are_equal_each_time(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text((RESULTS / "kodak/results.json").read_text())
    drawn = []
    for _ in range(2):
        publish.draw(tmp_path)
        drawn.append({path.name: path.read_bytes() for path in tmp_path.glob("rd_*")})
    assert drawn[0] == drawn[1]
    metrics = ("ms-ssim", "psnr", "ssimulacra2")
    assert sorted(drawn[0]) == [f"rd_{metric}.{suffix}" for metric in metrics for suffix in ("png", "svg")]
    for metric in ("psnr", "ms-ssim"):
        picture = drawn[0][f"rd_{metric}.svg"].decode()
        assert all(name.removesuffix("-mse") in picture for name in plots.published(metric))
        assert "quick" not in picture
