"""From cells to results: curves, BD-rates with confidence, JSON, CSV, and the comparison of two results."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vaecodec.benchmarks.bands import BANDS, in_band
from vaecodec.benchmarks.bd import Curve, bd_rate, bd_score
from vaecodec.benchmarks.machine import environment
from vaecodec.benchmarks.measure import points
from vaecodec.errors import VaecodecError
from vaecodec.system.output import write_whole

ANCHOR = "jpeg"
BOOTSTRAPS = 200


def curve_of(rows: list[dict], metric: str) -> Curve:
    return [(row["bpp"], row[metric]) for row in rows]


def summarise(cells: list[dict], names: tuple[str, ...], dataset: str, anchor: str, setup: dict) -> dict:
    """The contents of results.json."""
    coders = list(dict.fromkeys(cell["codec"] for cell in cells))
    images = sorted({cell["image"] for cell in cells})
    result = {"dataset": dataset, "images": len(images), "anchor": anchor, "setup": setup | environment(), "codecs": {}}
    for codec in coders:
        entry: dict = {"points": points(cells, codec, names)}
        if timing_only(entry):
            entry["timing_only"] = True
        elif codec != anchor and anchor in coders:
            entry["bd"] = {name: against(cells, codec, anchor, name, images) for name in names}
            entry["bd_of_images"] = {name: of_images(cells, codec, anchor, name, images) for name in names}
        result["codecs"][codec] = entry
    result["cells"] = sorted(cells, key=lambda cell: (cell["codec"], cell["image"], cell["quality"]))
    return result


def timing_only(entry: dict) -> bool:
    """Whether only the times of a codec were measured."""
    return "bpp" not in entry["points"][0]


def against(cells: list[dict], codec: str, anchor: str, metric: str, images: list[str]) -> dict | None:
    """BD-rate (%) of the mean curves over their common range, its 95 % interval by bootstrap over the images, the mean
    of the images' own BD-rates, BD-score, and the range; None if the mean curves do not overlap.

    Images and bootstrap samples whose curves do not overlap are left out and counted.
    """
    ours, theirs = _pair(cells, codec, anchor, metric, images)
    rate = _delta(bd_rate, ours, theirs)
    if rate is None:
        return None
    random = np.random.default_rng(0)
    draws = [random.choice(images, len(images)).tolist() for _ in range(BOOTSTRAPS * (len(images) > 1))]
    samples = [_delta(bd_rate, *_pair(cells, codec, anchor, metric, draw)) for draw in draws]
    kept = [sample for sample in samples if sample is not None]
    own = list(of_images(cells, codec, anchor, metric, images).values())
    own_kept = [value for value in own if value is not None]
    scores = [[score for _, score in curve] for curve in (ours, theirs)]
    return {
        "rate_percent": rate,
        "rate_interval": np.percentile(kept, [2.5, 97.5]).tolist() if kept else None,
        "samples_left_out": len(samples) - len(kept),
        "rate_mean_of_images": float(np.mean(own_kept)) if own_kept else None,
        "images_left_out": len(own) - len(own_kept),
        "score": _delta(bd_score, ours, theirs),
        "score_range": [max(map(min, scores)), min(map(max, scores))],
    }


def of_images(cells: list[dict], codec: str, anchor: str, metric: str, images: list[str]) -> dict[str, float | None]:
    """BD-rate (%) of each image; None if its curves do not overlap, as for a flat one."""
    return {image: _delta(bd_rate, *_pair(cells, codec, anchor, metric, [image])) for image in images}


def _pair(cells: list[dict], codec: str, anchor: str, metric: str, images: list[str]) -> tuple[Curve, Curve]:
    """Curves of the anchor and of the codec."""
    ours, theirs = (curve_of(points(cells, name, (metric,), images), metric) for name in (anchor, codec))
    return ours, theirs


def _delta(measure: Callable[[Curve, Curve], float], anchor: Curve, test: Curve) -> float | None:
    try:
        return measure(anchor, test)
    except ValueError:  # no overlap, or scores that do not grow
        return None


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
    """Read results.json, or the one in a folder; raises VaecodecError if it is invalid."""
    path = path / "results.json" if path.is_dir() else path
    try:
        result = json.loads(path.read_text())
        assert isinstance(result["codecs"], dict)
        return result
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise VaecodecError(f"{path} is no results.json of a benchmark") from error


def compare(old: dict, new: dict) -> dict[tuple[str, str], float]:
    """BD-rate (%) of the new curves against the old ones, for every common codec and metric. Raises VaecodecError if
    there is none, if curves do not overlap, or if the results are of different images."""
    sets = [f"{result.get('dataset')} ({result.get('images')} images)" for result in (old, new)]
    if sets[0] != sets[1]:
        raise VaecodecError(f"the two results are of different images: {sets[0]}, {sets[1]}")
    changes = {}
    for codec, entry in old["codecs"].items():
        if codec not in new["codecs"]:
            continue
        before, after = entry["points"], new["codecs"][codec]["points"]
        for metric in sorted(_scores(entry) & _scores(new["codecs"][codec])):
            change = _delta(bd_rate, curve_of(before, metric), curve_of(after, metric))
            if change is None:
                raise VaecodecError(f"the curves of {codec} do not overlap in {metric}: nothing to compare")
            changes[codec, metric] = change
    if not changes:
        raise VaecodecError("the two results have no codec and metric in common")
    return changes


def compare_bands(old: dict, new: dict) -> dict[tuple[str, str], dict[str, float]]:
    """Extra bytes (%) of the new results at equal score, in each of BANDS that both reach, by codec and metric."""
    changes: dict[tuple[str, str], dict[str, float]] = {}
    for codec in old["codecs"].keys() & new["codecs"].keys():
        pair = [
            cell | {"codec": name}
            for name, result in (("old", old), ("new", new))
            for cell in result.get("cells", ())
            if cell["codec"] == codec
        ]
        for metric in BANDS.keys() & _scores(old["codecs"][codec]) & _scores(new["codecs"][codec]):
            found = {f"{low}-{high}": in_band(pair, "new", "old", metric, (low, high)) for low, high in BANDS[metric]}
            changes[codec, metric] = {band: value for band, value in found.items() if value is not None}
    return changes


def lost(old: dict, new: dict) -> list[str]:
    """Codecs and metrics that the new results lack."""
    missing = []
    for codec, entry in old["codecs"].items():
        if codec not in new["codecs"]:
            missing.append(codec)
        else:
            missing += [f"{metric} of {codec}" for metric in sorted(_scores(entry) - _scores(new["codecs"][codec]))]
    return missing


def _scores(entry: dict) -> set[str]:
    """Metrics of a curve; empty for a timing-only codec."""
    return set() if timing_only(entry) else entry["points"][0].keys() - {"quality", "bpp", "encode_s", "decode_s"}
