"""Measuring cells, one image with one codec at one quality, in processes, with a cache: a run can be interrupted."""

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
"""Changes when cells measure something else."""
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
    """The images of a folder but hidden ones."""
    return sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in SUFFIXES and path.is_file())


def too_small(files: list[Path]) -> Path | None:
    """The first image that MS-SSIM, which halves the size four times, cannot judge."""
    return next((path for path in files if min(size_of(path)) <= metrics.MS_SSIM_SIDE), None)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height; raises ImageError for what is no image."""
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
    """Cells of one image and codec: image, codec, quality, bytes, bpp, each metric, megapixels, CPU
    seconds to encode and to decode. Codecs that serve for their times alone have no bytes, bpp or metrics."""
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
            # Measured with another image of the same content, perhaps.
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
    # Of one core, all threads counted: what else the machine does, other jobs included, hardly matters.
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
    """Cells of all works, in their order; `report` gets the number of cells done at a time. Ended works stay in the
    cache. Each of the `jobs` processes keeps to one core."""
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
    """Every worker of a pool takes the next core."""
    end_with_parent()
    with started.get_lock():
        number = started.value
        started.value += 1
    machine.pin(number)


def points(cells: list[dict], codec: str, names: tuple[str, ...], images: list[str] | None = None) -> list[dict]:
    """Curve of a codec: means over the images (as often as `images` names them) of bpp and scores, medians of times."""
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
