"""Savings and cost of `--effort`, on centre crops of validation pictures.

    python benchmarks/studies/effort.py ../shared/data/train --model fast --out benchmarks/results
    python benchmarks/studies/effort.py ../shared/data/train --model eye --metric ssimulacra2 --efforts 1,2

All efforts take turns on one crop at one quality, on one thread. Writes effort.json and effort.png into OUT, or
effort-METRIC.json and .png for a metric other than PSNR.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import vaecodec
from vaecodec.benchmarks.bd import bd_rate
from vaecodec.benchmarks.metrics import METRICS
from vaecodec.coding.effort import refinement_steps
from vaecodec.training.data.crops import centre_crops
from vaecodec.training.data.pictures import PictureStore

QUALITIES = (5, 20, 40, 60, 80, 95)


def plot(rows: list[dict], path: Path) -> None:
    """Plot bits saved against steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name, label in (("bd_rate_percent", "all rates"), ("low", "lower half"), ("high", "upper half")):
        style = {"lw": 2} if name == "bd_rate_percent" else {"lw": 1, "ls": "--"}
        axes.plot([row["steps"] for row in rows], [row[name] for row in rows], marker="o", label=label, ms=4, **style)
    axes.set_xscale("symlog", linthresh=64, base=2)
    axes.set_xticks([row["steps"] for row in rows])
    axes.set_xticklabels(f"{row['steps']}\n({row['effort']})" for row in rows)
    axes.set_xlabel("steps of refinement (effort)")
    axes.set_ylabel("BD-rate against effort 1, %")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--cache", type=Path, help="folder of decoded pictures, as in a training run")
    parser.add_argument("--model", help="name or path [default: the shipped one]")
    parser.add_argument("--efforts", default="1,2,3,4,5")
    parser.add_argument("--metric", choices=METRICS, default="psnr")
    parser.add_argument("--crops", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = PictureStore.build(arguments.pictures, arguments.cache or Path(folder))
        # spread over the split
        crops = centre_crops(store.validation[:: len(store.validation) // arguments.crops], store, 999, arguments.size)
        crops = [np.ascontiguousarray(crop) for crop in crops[: arguments.crops]]
    efforts = [int(effort) for effort in arguments.efforts.split(",")]
    codecs = {effort: vaecodec.Codec(arguments.model, threads=1, effort=effort) for effort in efforts}
    points: dict[int, list[tuple[float, float]]] = {effort: [] for effort in efforts}
    seconds: dict[int, list[float]] = {effort: [] for effort in efforts}
    for codec in codecs.values():
        codec.encode(crops[0][:64, :64])  # load the models
    for quality in QUALITIES:
        cells: dict[int, list[tuple[float, float]]] = {effort: [] for effort in efforts}
        for crop in crops:
            for effort, codec in codecs.items():
                started = time.perf_counter()
                data = codec.encode(crop, quality)
                seconds[effort].append(time.perf_counter() - started)
                score = METRICS[arguments.metric](crop, codec.decode_array(data))
                cells[effort].append((8 * len(data) / crop[..., 0].size, score))
        for effort in efforts:
            bpp, score = np.mean(cells[effort], 0).tolist()
            points[effort].append((bpp, score))
    first, rows, half = efforts[0], [], len(QUALITIES) // 2
    for effort in efforts:
        parts = {"bd_rate_percent": slice(None), "low": slice(half + 1), "high": slice(half - 1, None)}
        rates = {name: round(bd_rate(points[first][part], points[effort][part]), 2) for name, part in parts.items()}
        pace = statistics.median(seconds[effort]) / statistics.median(seconds[first])
        rows.append(
            {"effort": effort, "steps": refinement_steps(effort)} | rates | {"encode_time_ratio": round(pace, 1)}
        )
        rows[-1]["seconds_a_megapixel"] = round(statistics.median(seconds[effort]) / arguments.size**2 * 1e6, 1)
        print(rows[-1], flush=True)
    if arguments.out:
        model = codecs[first].model.checksum[:8]
        result = {"model": model, "crops": arguments.crops, "size": arguments.size, "rows": rows, "points": points}
        name = "effort" if arguments.metric == "psnr" else f"effort-{arguments.metric}"
        (arguments.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        plot(rows, arguments.out / f"{name}.png")


if __name__ == "__main__":
    main()
