"""From cells to results: curves, BD-rates with confidence, JSON, CSV, and the comparison of two results."""

from __future__ import annotations

import csv
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np

from vaecodec.benchmarks.bd import Curve, bd_rate, bd_score
from vaecodec.benchmarks.measure import points
from vaecodec.errors import VaecodecError
from vaecodec.files import write_whole

ANCHOR = "jpeg"
BOOTSTRAPS = 200
PACKAGES = ("vaecodec", "numpy", "pillow", "onnxruntime", "bjontegaard", "pytorch-msssim", "pillow-jxl-plugin")


def curve_of(rows: list[dict], metric: str) -> Curve:
    return [(row["bpp"], row[metric]) for row in rows]


def summarise(cells: list[dict], names: tuple[str, ...], dataset: str, anchor: str, setup: dict) -> dict:
    """The results as they are written to results.json."""
    coders = list(dict.fromkeys(cell["codec"] for cell in cells))
    images = sorted({cell["image"] for cell in cells})
    result = {"dataset": dataset, "images": len(images), "anchor": anchor, "setup": setup | environment(), "codecs": {}}
    for codec in coders:
        entry: dict = {"points": points(cells, codec, names)}
        if timing_only(entry):
            entry["timing_only"] = True
        elif codec != anchor and anchor in coders:
            entry["bd"] = {name: against(cells, codec, anchor, name, images) for name in names}
        result["codecs"][codec] = entry
    result["cells"] = sorted(cells, key=lambda cell: (cell["codec"], cell["image"], cell["quality"]))
    return result


def timing_only(entry: dict) -> bool:
    """Whether a codec was measured for its times alone."""
    return "bpp" not in entry["points"][0]


def against(cells: list[dict], codec: str, anchor: str, metric: str, images: list[str]) -> dict | None:
    """BD-rate (%) of the mean curves over their common range, the mean of each image's own BD-rate, BD-score, the
    range, and a 95 % interval by bootstrap over the images; None where the curves do not overlap."""

    def pair(chosen: list[str]) -> tuple[Curve, Curve]:
        a, b = (curve_of(points(cells, name, (metric,), chosen), metric) for name in (anchor, codec))
        return a, b

    try:
        ours, theirs = pair(images)
        random = np.random.default_rng(0)
        samples = [
            bd_rate(*pair(random.choice(images, len(images)).tolist())) for _ in range(BOOTSTRAPS * (len(images) > 1))
        ]
        scores = [[score for _, score in curve] for curve in (ours, theirs)]
        return {
            "rate_percent": bd_rate(ours, theirs),
            "rate_interval": np.percentile(samples, [2.5, 97.5]).tolist() if samples else None,
            "rate_mean_of_images": float(np.mean([bd_rate(*pair([image])) for image in images])),
            "score": bd_score(ours, theirs),
            "score_range": [max(map(min, scores)), min(map(max, scores))],
        }
    except ValueError:
        return None


def environment() -> dict:
    """Versions, machine and commit."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return {
        "versions": versions,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "commit": commit.stdout.strip() or None,
    }


def write(result: dict, out: Path) -> None:
    """results.json and results.csv."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "results.json", (json.dumps(result, indent=1) + "\n").encode(), overwrite=True)
    with open(out / "results.csv", "w", newline="") as file:
        columns = dict.fromkeys(key for cell in result["cells"] for key in cell)
        table = csv.DictWriter(file, list(columns))
        table.writeheader()
        table.writerows(result["cells"])


def read(path: Path) -> dict:
    """results.json, or of a folder the one in it; raises VaecodecError if it is none."""
    path = path / "results.json" if path.is_dir() else path
    try:
        result = json.loads(path.read_text())
        assert isinstance(result["codecs"], dict)
        return result
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise VaecodecError(f"{path} is no results.json of a benchmark") from error


def compare(old: dict, new: dict) -> dict[tuple[str, str], float]:
    """BD-rate (%) of the new curves against the old ones, for every codec and metric that both have."""
    changes = {}
    for codec in old["codecs"].keys() & new["codecs"].keys():
        if timing_only(old["codecs"][codec]) or timing_only(new["codecs"][codec]):
            continue
        before, after = old["codecs"][codec]["points"], new["codecs"][codec]["points"]
        for metric in sorted((before[0].keys() & after[0].keys()) - {"quality", "bpp", "encode_s", "decode_s"}):
            changes[codec, metric] = bd_rate(curve_of(before, metric), curve_of(after, metric))
    if not changes:
        raise VaecodecError("the two results have no codec and metric in common")
    return changes
