"""Measures cells (one image, one codec, one quality) in processes, with a cache, so that a run can be interrupted."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from vaecodec.benchmarks import codecs, machine, metrics
from vaecodec.errors import ImageError, one_line
from vaecodec.system.output import write_whole
from vaecodec.system.signals import end_with_parent

SCHEMA = 2
"""Incremented when the meaning of cells changes."""
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".tif", ".tiff"}


@dataclass(frozen=True)
class Work:
    """All qualities of one codec on one image."""

    image: Path
    codec: str
    qualities: tuple[float, ...]
    metrics: tuple[str, ...]
    cache: Path


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, without hidden ones."""
    return sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in SUFFIXES and path.is_file())


def too_small(files: list[Path]) -> Path | None:
    """The first image too small for MS-SSIM, which halves the size four times."""
    return next((path for path in files if min(size_of(path)) <= metrics.MS_SSIM_SIDE), None)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height; raises ImageError if the file is not an image."""
    with _image(path) as image:
        return image.size


def pixels_of(path: Path) -> int:
    width, height = size_of(path)
    return width * height


@contextmanager
def _image(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except Exception as error:  # Pillow raises anything
        raise ImageError(f"cannot read {path}: {one_line(error)}") from error


def measure(work: Work) -> list[dict]:
    """Cells of one image and codec: image, codec, quality, bytes, bpp, each metric, megapixels, CPU seconds to encode
    and to decode. Timing-only codecs have no bytes, bpp or metrics."""
    codec = codecs.find(work.codec)
    codec.missing()  # imports the plugin that the codec needs
    content = hashlib.sha256(work.image.read_bytes()).hexdigest()
    with _image(work.image) as image:
        pixels = np.asarray(image.convert("RGB"))
    cells = []
    for number, quality in enumerate(work.qualities):
        key = json.dumps([SCHEMA, content, codec.name, codec.version(), quality, work.metrics])
        path = work.cache / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        if path.exists():
            # The cell may come from another image with the same content.
            cells.append(json.loads(path.read_text()) | {"image": work.image.name})
            continue
        if number == 0:
            # The first use loads models and libraries.
            codec.decode(codec.encode(np.ascontiguousarray(pixels[:64, :64]), quality))
        cell = {"image": work.image.name, "codec": codec.name, "quality": quality}
        cell |= _measured(codec, pixels, quality, work.metrics)
        write_whole(path, json.dumps(cell).encode(), overwrite=True)
        cells.append(cell)
    return cells


def _measured(codec: codecs.Codec, pixels: codecs.Pixels, quality: float, names: tuple[str, ...]) -> dict:
    # CPU time of all threads on one core: other jobs on the machine hardly affect it.
    started = time.process_time()
    data = codec.encode(pixels, quality)
    encoded = time.process_time()
    decoded = codec.decode(data)
    seconds = {"encode_s": encoded - started, "decode_s": time.process_time() - encoded}
    result = {}
    if not codec.timing_only:
        result |= {"bytes": len(data), "bpp": len(data) * 8 / (pixels.shape[0] * pixels.shape[1])}
        result |= {name: metrics.METRICS[name](pixels, decoded) for name in names}
    result |= {"megapixels": pixels.shape[0] * pixels.shape[1] / 1e6}
    return result | {name: round(value, 5) for name, value in seconds.items()}


def measure_all(works: list[Work], jobs: int, report: Callable[[int], None]) -> list[dict]:
    """Cells of all works, in their order; `report` gets the number of newly completed cells. Completed works stay in
    the cache. Each of the `jobs` processes is pinned to one core."""
    for work in works:
        work.cache.mkdir(parents=True, exist_ok=True)
    context = get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _start_worker, (context.Value("i", 0),))
    try:
        futures = [pool.submit(measure, work) for work in works]
        for future in as_completed(futures):
            report(len(future.result()))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return [cell for future in futures for cell in future.result()]


def _start_worker(started: Any) -> None:
    """Pins every worker of a pool to the next core."""
    end_with_parent()
    with started.get_lock():
        number = started.value
        started.value += 1
    machine.pin(number)


def points(cells: list[dict], codec: str, names: tuple[str, ...], images: list[str] | None = None) -> list[dict]:
    """Curve of a codec: over the images (each as often as `images` names it) means of bpp and scores, medians of
    times."""
    by_quality: dict[float, dict[str, dict]] = {}
    for cell in cells:
        if cell["codec"] == codec:
            by_quality.setdefault(cell["quality"], {})[cell["image"]] = cell
    curve = []
    for quality, found in sorted(by_quality.items()):
        chosen = [found[image] for image in (images or sorted(found))]
        scores = [key for key in ("bpp", *names) if key in chosen[0]]
        point = {"quality": quality} | {key: float(np.mean([c[key] for c in chosen])) for key in scores}
        curve.append(point | {key: median(c[key] for c in chosen) for key in ("encode_s", "decode_s")})
    return curve
