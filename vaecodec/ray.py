"""Whole data sets on a Ray cluster: actors of one core with one model each, fed by Ray Data.

    encode_dataset("s3://pictures", "s3://archive", quality=40)  # every file of one place to another
    dataset.map_batches(Encoder, fn_constructor_kwargs={"quality": 40}, batch_size=16, concurrency=8)  # in a pipeline

An actor reads, codes and writes by itself, so only names and rows of the manifest cross the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.data import ActorPoolStrategy, from_items
from ray.data.dataset import MaterializedDataset
from ray.exceptions import RayError

from vaecodec.codec import Codec
from vaecodec.errors import ImageError, VaecodecError
from vaecodec.files import is_url, remove_partials
from vaecodec.folders import SUFFIX, Job, Task, Worker, find_jobs, without_done

Batch = dict[str, Any]
"""Columns of Ray Data in its default format "numpy"."""
ENTRY = ("source", "target", "width", "height", "bytes_in", "bytes_out", "bpp", "seconds", "error")
"""Columns of a manifest; those that do not apply are None."""
DEATHS = 5
"""How often the workers that hold a block may die before it is taken for the cause."""


def encode_dataset(
    source: str | Path,
    target: str | Path,
    quality: float = 50,
    *,
    actors: int | tuple[int, int] | None = None,
    cpus: float = 1,
    block: int = 16,
    resume: bool = True,
    **codec: Any,
) -> MaterializedDataset:
    """Encode all images below `source` to .vaec files below `target`, which mirrors the tree.

    source, target: folders that every machine sees, or URLs of fsspec. actors: how many, or from how many to how many
    as the cluster grows (default: one for every core that it has now); cpus: cores of an actor, less than 1 to have
    actors wait for a slow storage at the same time. block: images of a task, which is what a dying worker repeats.
    resume: leave out images whose output exists; without it they are overwritten. codec: arguments of Codec.

    Returns the manifest, a row for every image in the columns ENTRY: sizes in pixels and bytes, or the error of an
    image that could not be encoded. Outputs are whole or absent. Raises VaecodecError where `source` cannot be listed
    or workers keep dying on a block; what was written stays, and the same call goes on.
    """
    task = Task("encode", SUFFIX, quality, force=True, codec={"threads": 1} | codec)
    return _run(task, source, target, actors, cpus, block, resume)


def decode_dataset(
    source: str | Path,
    target: str | Path,
    suffix: str = ".png",
    *,
    actors: int | tuple[int, int] | None = None,
    cpus: float = 1,
    block: int = 16,
    resume: bool = True,
    **codec: Any,
) -> MaterializedDataset:
    """Decode all .vaec files below `source` to images of the format `suffix` below `target`; see encode_dataset."""
    task = Task("decode", suffix, force=True, codec={"threads": 1} | codec)
    return _run(task, source, target, actors, cpus, block, resume)


def _run(
    task: Task,
    source: str | Path,
    target: str | Path,
    actors: int | tuple[int, int] | None,
    cpus: float,
    block: int,
    resume: bool,
) -> MaterializedDataset:
    # Workers have other working folders.
    source, target = (path if is_url(path) else Path(path).resolve() for path in (source, target))
    jobs = find_jobs(source, target, task, recursive=True)
    if resume:
        jobs = without_done(jobs, target)
    if not ray.is_initialized():
        ray.init()
    smallest, largest = actors if isinstance(actors, tuple) else (1, actors or _cores())
    rows = from_items(
        [{"source": str(job.source), "target": str(job.target)} for job in jobs],
        override_num_blocks=max(-(-len(jobs) // block), 1),
    )
    manifest = rows.map(
        _Files,
        fn_constructor_args=(task,),
        compute=ActorPoolStrategy(min_size=smallest, max_size=largest),
        num_cpus=cpus,
        max_restarts=-1,
        max_task_retries=DEATHS,
    )
    try:
        return manifest.materialize()
    except RayError as error:
        raise VaecodecError(f"the workers failed: {error}".splitlines()[0]) from error
    finally:
        if not is_url(target):
            remove_partials([Path(job.target) for job in jobs])


def _cores() -> int:
    """Cores of the cluster as it is now."""
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


class _Files:
    """The actor of a data set: rows with source and target -> rows of the manifest."""

    def __init__(self, task: Task) -> None:
        self._worker = Worker(task)

    def __call__(self, row: dict[str, str]) -> dict[str, Any]:
        return dict.fromkeys(ENTRY) | self._worker(Job(row["source"], row["target"]))


class Encoder:
    """For Dataset.map_batches: rows with "bytes" (an image file, as from ray.data.read_binary_files) or "image"
    (uint8 array (H, W[, C]), as from ray.data.read_images) get a .vaec file in "vaec" (bytes) instead.

    quality: 1 to 100; codec: arguments of Codec. A row that cannot be encoded has no bytes in "vaec" and the reason in
    "error", which is empty otherwise. Raises ImageError for rows without such a column.
    """

    def __init__(self, quality: float = 50, **codec: Any) -> None:
        self._quality, self._codec = quality, Codec(**({"threads": 1} | codec))

    def __call__(self, batch: Batch) -> Batch:
        return _convert(batch, ("image", "bytes"), "vaec", lambda item: self._codec.encode(item, self._quality), b"")


class Decoder:
    """For Dataset.map_batches: rows with a .vaec file in "vaec" or "bytes" get the pixels in "image" instead: uint8
    array (H, W, C), of size (0, 0, 3) where the file cannot be decoded and the reason is in "error".

    codec: arguments of Codec. Raises ImageError for rows without such a column.
    """

    def __init__(self, **codec: Any) -> None:
        self._codec = Codec(**({"threads": 1} | codec))

    def __call__(self, batch: Batch) -> Batch:
        return _convert(batch, ("vaec", "bytes"), "image", self._codec.decode_array, np.zeros((0, 0, 3), np.uint8))


def _convert(batch: Batch, names: tuple[str, ...], result: str, convert: Callable[[Any], Any], nothing: Any) -> Batch:
    """Replace the first of the columns `names` that is there by `result`, and add "error"."""
    name = next((name for name in names if name in batch), None)
    if name is None:
        raise ImageError(f"the rows need a column {' or '.join(names)}; they have {', '.join(batch)}")
    # Arrays of objects: numpy's own strings of bytes would lose zeros at their ends.
    values, errors = np.empty(len(batch[name]), object), np.full(len(batch[name]), "", object)
    for i, item in enumerate(batch[name]):
        try:
            values[i] = convert(item)
        except VaecodecError as error:
            values[i], errors[i] = nothing, str(error)
    return {key: column for key, column in batch.items() if key != name} | {result: values, "error": errors}
