"""`vaecodec anomaly` and the library behind it, on a generated fabric."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import VAECODEC
from PIL import Image

import vaecodec
from vaecodec import anomaly

SIDE, SCRATCH = 96, (slice(30, 33), slice(20, 70))


def fabric(seed: int) -> np.ndarray:
    """A woven fabric with noise, (SIDE, SIDE, 3) uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    threads = np.sin((x + random.uniform(0, 6)) * 1.05) + np.sin((y + random.uniform(0, 6)) * 1.05)
    gray = 120 + 25 * threads + random.normal(0, 3, (SIDE, SIDE))
    return np.repeat(gray[..., None].clip(0, 255).astype(np.uint8), 3, 2)


def scratched(seed: int) -> np.ndarray:
    image = fabric(seed)
    image[SCRATCH] = 235
    return image


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """good/ with 20 images, new/ with two good and two scratched images, and normal.npz."""
    folder = tmp_path_factory.mktemp("anomaly")
    for name, images in {
        "good": [fabric(seed) for seed in range(20)],
        "new": [fabric(100), fabric(101), scratched(102), scratched(103)],
    }.items():
        (folder / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{number:02}.png")
    result = run("fit", folder / "good", "-o", folder / "normal.npz", "--threads", 1)
    assert result.returncode == 0, result.stderr
    assert "learned from 20 images" in result.stderr
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([*VAECODEC, "anomaly", *map(str, arguments)], capture_output=True, text=True, timeout=300)


def test_scores_maps_and_page(folders: Path) -> None:
    common = ["score", folders / "new", "--model", folders / "normal.npz", "--maps", folders / "maps"]
    result = run(*common, "--json", "--threads", 1)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["learned_from"] == 20
    images = found["images"]
    good, bad = ([i for i in images if (int(i["name"][:2]) >= 2) == odd] for odd in (False, True))
    assert min(i["score"] for i in bad) > max(i["score"] for i in good)
    assert all(i["is_anomaly"] for i in bad)
    for item in bad:  # the oddest place lies near the scratch
        assert 10 <= item["x"] <= 80
        assert 18 <= item["y"] <= 45
    maps = {path.name for path in (folders / "maps").iterdir()}
    assert maps == {*(f"0{n}.png.map.png" for n in range(4)), "index.html"}
    assert Image.open(folders / "maps/02.png.map.png").size == (SIDE, SIDE)
    page = (folders / "maps/index.html").read_text()
    assert "20" in page
    assert page.index("03.png") < page.index("00.png")
    assert run(*common).returncode == 1  # what is there stays


def test_library(folders: Path) -> None:
    normal = anomaly.load(folders / "normal.npz", threads=1)
    assert (normal.images, normal.size) == (20, None)
    score, heat, odd = normal.score(scratched(200))
    assert (heat.shape, heat.dtype) == ((SIDE, SIDE), np.float32)
    oddest = np.sort(heat[4::8, 4::8].ravel())[-8:]  # in about the middle of each block
    assert score == pytest.approx(float(oddest.mean()), rel=0.05)
    assert score < heat.max()
    assert odd
    inside = heat[SCRATCH].mean()
    assert inside > 3 * np.median(heat) + 0.1
    assert (folders / "normal.npz").stat().st_size < 1 << 20
    with pytest.raises(vaecodec.VaecodecError):
        normal.score(fabric(1), false_alarms=1.5)


def test_small_aligned_images(tmp_path: Path) -> None:
    """Fewer places than directions, and two blocks of texture a side: still finite, and the same after a file."""
    crops = [fabric(seed)[:32, :32] for seed in range(10)]
    normal = anomaly.fit(crops, aligned=True, threads=1)
    normal.save(tmp_path / "small.npz")
    again = anomaly.load(tmp_path / "small.npz", threads=1)
    for crop in (fabric(50)[:32, :32], np.zeros((32, 32, 3), np.uint8)):
        score = normal.score(crop)[0]
        assert np.isfinite(score)
        assert again.score(crop)[0] == pytest.approx(score, rel=0.05)  # means in half precision
    assert normal.score(np.zeros((32, 32, 3), np.uint8))[2]
    with pytest.raises(vaecodec.ImageError):
        normal.score(fabric(50))


def test_damaged_arrays_are_refused(folders: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(folders / "normal.npz"))
    damages = {
        "loss_mean": arrays["loss_mean"][:-1],
        "loss_whitener": arrays["loss_whitener"] * np.float32(np.nan),
        "texture_mean": arrays["texture_mean"].astype(np.float64),
        "texture_whitener": np.ascontiguousarray(arrays["texture_whitener"].T),
        "texture_scale": np.zeros(2, np.float32),
        "scores": arrays["scores"][::-1].copy(),
        "vaecodec_anomaly": np.array(1, np.uint32),
    }
    assert damages.keys() < arrays.keys()
    for name, damage in damages.items():
        path = tmp_path / f"{name}.npz"
        np.savez(path, **(arrays | {name: damage}))
        with pytest.raises(vaecodec.FormatError, match=path.name):
            anomaly.load(path, threads=1)


def test_bad_input(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "empty").mkdir()
    Image.fromarray(fabric(0)).save(tmp_path / "few/a.png")
    normal, photo = folders / "normal.npz", tmp_path / "few/a.png"
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(normal.read_bytes()[:-50])
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    cases = [
        (["fit", tmp_path / "few", "-o", tmp_path / "x.npz"], "too few"),
        (["fit", tmp_path / "empty", "-o", tmp_path / "x.npz"], "no images in"),
        (["score", tmp_path / "empty", "--model", normal], "no images in"),
        (["score", photo, "--model", photo], "a.png"),
        (["score", photo, "--model", damaged], "damaged.npz"),
        (["score", photo, "--model", tmp_path / "foreign.npz"], "foreign.npz"),
        (["score", photo, "--model", tmp_path / "nowhere.npz"], "nowhere.npz"),
        (["fit", folders / "good", "-o", normal], "exists already"),
    ]
    for arguments, message in cases:
        result = run(*arguments)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
        assert message in result.stderr
    assert not (tmp_path / "x.npz").exists()
    assert run("score", photo, "--model", normal, "--false-alarms", "150%").returncode == 2


def test_codecs_know_nothing_of_it() -> None:
    code = "import sys, vaecodec; vaecodec.Codec(threads=1); print([m for m in sys.modules if 'vaecodec.uses' in m])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
