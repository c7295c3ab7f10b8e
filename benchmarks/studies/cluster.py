"""Throughput of a cluster's core (images and megapixels per core-second of the worker of vaecodec.ray), and of one
driver of Ray Data.

    python benchmarks/studies/cluster.py PICTURES LARGER_PICTURES --out benchmarks/results

Seconds are CPU time of one thread, including reading and writing local files, which other processes hardly disturb;
medians of the rounds. For the driver, empty blocks go to two actors of a local Ray.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

from vaecodec.folders import Task, Worker, make_plan
from vaecodec.system.naming import SUFFIX


def measure(root: Path, kind: str, out: Path, quality: float, rounds: int) -> dict[str, float]:
    """One core on all files of a folder; the first file, which loads the model, runs once before."""
    task = Task(kind, SUFFIX if kind == "encode" else ".png", quality, force=True, codec={"threads": 1})
    worker, jobs = Worker(task), make_plan(root, out, task, recursive=False).jobs
    worker(jobs[0])
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        entries = [worker(job) for job in jobs]
        seconds.append(time.process_time() - started)
    pixels = sum(entry["width"] * entry["height"] for entry in entries)
    return {
        "images": len(jobs),
        "megapixels": pixels / len(jobs) / 1e6,
        "images_per_core_second": len(jobs) / median(seconds),
        "megapixels_per_core_second": pixels / 1e6 / median(seconds),
    }


class Nothing:
    """An actor without work, which leaves only the driver's."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch


def hand_out(blocks: int) -> dict[str, float]:
    """The cost for a driver of handing out blocks and taking back results."""
    names = [{"source": f"s3://bucket/{i:09}.png"} for i in range(blocks)]
    rows = ray.data.from_items(names, override_num_blocks=blocks)
    pool = ray.data.ActorPoolStrategy(size=2)
    started, cpu = time.perf_counter(), time.process_time()
    rows.map_batches(Nothing, compute=pool, batch_size=None).materialize()
    return {
        "blocks_per_second": blocks / (time.perf_counter() - started),
        "cpu_milliseconds_per_block": 1000 * (time.process_time() - cpu) / blocks,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    results: dict[str, Any] = {"quality": arguments.quality}
    for folder in arguments.folders:
        with tempfile.TemporaryDirectory() as coded, tempfile.TemporaryDirectory() as decoded:
            results[folder.name] = {
                "encode": measure(folder, "encode", Path(coded), arguments.quality, arguments.rounds),
                "decode": measure(Path(coded), "decode", Path(decoded), arguments.quality, arguments.rounds),
            }
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    results["driver"] = hand_out(arguments.blocks)
    ray.shutdown()
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "cluster.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
