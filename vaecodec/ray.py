"""Whole data sets on a Ray cluster: actors of one core with one model each, fed by Ray Data.

    encode_dataset("s3://pictures", "s3://archive", quality=40)  # every file of one place to another
    dataset.map_batches(Encoder, fn_constructor_kwargs={"quality": 40}, compute=ActorPoolStrategy(size=8))  # a stage

Each actor reads, encodes and writes its files itself, so only names and manifest rows cross the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vaecodec.codec import Codec
from vaecodec.errors import ImageError, VaecodecError, explain, missing_package, printable
from vaecodec.folders import Job, Plan, Task, Worker, make_plan, without_done
from vaecodec.model.defaults import tuned_model
from vaecodec.model.file import load_model
from vaecodec.model.rate import quality_units
from vaecodec.picture.formats import can_write
from vaecodec.system.naming import SUFFIX, with_dot
from vaecodec.system.output import remove_partials
from vaecodec.system.signals import pass_on_stops
from vaecodec.system.storage import is_url
from vaecodec.targets import Target, check_alone, check_kind

try:
    import pyarrow
    import ray
    from ray.data import ActorPoolStrategy, from_items
    from ray.data.dataset import MaterializedDataset
    from ray.exceptions import RayError
except ImportError as missing:
    raise missing_package("vaecodec.ray", "ray") from missing

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vaecodec.types import CodecOptions

Batch = dict[str, Any]
"""Columns of Ray Data in its default format "numpy"."""
MANIFEST = pyarrow.schema(
    [
        ("source", pyarrow.string()),
        ("target", pyarrow.string()),
        ("width", pyarrow.int64()),
        ("height", pyarrow.int64()),
        ("bytes_in", pyarrow.int64()),
        ("bytes_out", pyarrow.int64()),
        ("bpp", pyarrow.float64()),
        ("seconds", pyarrow.float64()),
        ("reached", pyarrow.string()),
        ("notes", pyarrow.list_(pyarrow.string())),
        ("error", pyarrow.string()),
    ]
)
"""Columns of a manifest: source and error for a failed image, otherwise all but the error; `reached` only with a
target, notes only if something could not be kept."""
DEATHS = 3
"""Workers that may die on an image, after the first death has shown that its block contains a dangerous one."""


def encode_dataset(
    source: str | Path,
    target: str | Path,
    quality: float | None = None,
    *,
    goal: Target | None = None,
    actors: int | tuple[int, int] | None = None,
    cpus: float = 1,
    block: int = 16,
    resume: bool = True,
    **codec: Unpack[CodecOptions],
) -> MaterializedDataset:
    """Encode all images below `source` to .vaec files below `target`, which mirrors the tree.

    source, target: folders or fsspec URLs that every machine can reach. quality: 1 to 100, None: the model's own
    default; goal: a target for every image instead, such as vaecodec.Size("100kB"). actors: their number, or the
    initial and the largest number in a growing cluster (default: one per core it has now); cpus: cores per actor, less
    than 1 if they mostly wait for storage. block: images per task, which is what a dying worker repeats. resume: leave
    out images whose output exists; without it existing .vaec files are overwritten, never other files. codec: arguments
    of Codec.

    Returns the manifest, one row per image with the columns MANIFEST. The death of a worker or machine loses nothing:
    its images are encoded again elsewhere, and outputs are whole or absent. An image that cannot be encoded, or on
    which workers keep dying, has an error in its row. Raises VaecodecError for an invalid argument, for a folder
    without images or one that cannot be listed, or if Ray itself fails; finished outputs then stay, and the same call
    resumes.
    """
    check_alone(quality, goal)
    if quality is not None:
        quality_units(quality)  # an invalid quality is one error here, not one per image
    if goal is not None:
        check_kind(goal)
    task = Task("encode", SUFFIX, quality, force=True, codec={"threads": 1, **codec}, goal=goal)
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
    **codec: Unpack[CodecOptions],
) -> MaterializedDataset:
    """Decode all .vaec files below `source` to images of the format `suffix` below `target`; see encode_dataset.

    Without `resume` any existing file with the name of an output is overwritten: choose a `target` without originals.
    """
    if not can_write(suffix := with_dot(suffix)):
        raise ImageError(f"cannot write images with suffix {suffix!r}")
    task = Task("decode", suffix, force=True, codec={"threads": 1, **codec})
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
    load_model(tuned_model(task.codec.get("model"), task.codec.get("tune")))  # as above
    # Workers have other working directories.
    source, target = (path if is_url(path) else Path(path).resolve() for path in (source, target))
    plan = make_plan(source, target, task, recursive=True)
    if not plan.count:
        raise VaecodecError(f"no {'images' if task.kind == 'encode' else f'{SUFFIX} files'} in {source}")
    if resume:
        plan.jobs = without_done(plan.jobs, target, task)
    rows = _rows(plan)
    if not ray.is_initialized():
        ray.init()
    blocks = max(-(-len(rows) // block), 1)
    first, most = actors if isinstance(actors, tuple) else (actors or _cores(),) * 2
    # Ray Data restarts dead actors and repeats their tasks without limit. The pool may shrink to one: at the end, idle
    # actors make room for those that lost their machine.
    manifest = from_items(rows, override_num_blocks=blocks).map_batches(
        _Files,
        fn_constructor_args=(task, _Attempts.remote()),  # type: ignore[attr-defined]  # by ray.remote
        compute=ActorPoolStrategy(min_size=1, max_size=min(most, blocks), initial_size=min(first, blocks)),
        num_cpus=cpus,
        batch_size=None,
        batch_format="pyarrow",
    )
    try:
        return manifest.materialize()
    except RayError as error:
        raise VaecodecError(f"Ray failed: {error}".splitlines()[0]) from error
    finally:
        if not is_url(target):
            remove_partials([Path(job.target) for job in plan.jobs])


def _rows(plan: Plan) -> list[dict[str, str | None]]:
    """Input of the actors: source and target, or source and error."""
    rows: list[dict[str, str | None]] = [
        {"source": printable(entry["source"]), "target": None, "error": entry["error"]} for entry in plan.refused
    ]
    for job in plan.jobs:
        source, target = str(job.source), str(job.target)
        try:
            source.encode()
        except UnicodeEncodeError:  # columns of text hold only valid Unicode
            rows.append({"source": printable(source), "target": None, "error": "its name is no text"})
        else:
            rows.append({"source": source, "target": target, "error": None})
    return rows


def _cores() -> int:
    """The current cores of the cluster."""
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class _Attempts:
    """Counts attempts that began and did not end, in an actor that outlives the workers. An image that kills them (it
    needs too much memory, say) would otherwise be retried for ever."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, name: str) -> int:
        """How often `name` was begun before."""
        self._begun[name] += 1
        return self._begun[name] - 1

    def end(self, name: str) -> None:
        """Clears the count: a later death of a worker has another cause, and may repeat this work without limit."""
        del self._begun[name]


class _Files:
    """The actor of a data set: blocks of rows with source and target -> rows of the manifest."""

    def __init__(self, task: Task, attempts: Any) -> None:
        self._worker, self._attempts = Worker(task), attempts

    def __call__(self, block: pyarrow.Table) -> pyarrow.Table:
        rows = block.to_pylist()
        # One query per block: images are counted one by one only after a worker has died.
        code = self._carefully if rows and self._begun(f"block {rows[0]['source']}") else self._worker
        done = [row if row["error"] else code(Job(row["source"], row["target"])) for row in rows]
        return pyarrow.Table.from_pylist(done, MANIFEST)

    def _carefully(self, job: Job) -> dict[str, Any]:
        if self._begun(job.source) >= DEATHS:
            return {"source": job.source, "error": f"{DEATHS} workers died on it (out of memory?)"}
        entry = self._worker(job)
        ray.get(self._attempts.end.remote(job.source))
        return entry

    def _begun(self, name: str | Path) -> int:
        return ray.get(self._attempts.begin.remote(name))


class Encoder:
    """For Dataset.map_batches: replaces the column "bytes" (an image file, as from ray.data.read_binary_files) or
    "image" (uint8 array (H, W[, C]), as from ray.data.read_images) by "vaec", the bytes of a .vaec file.

    quality: 1 to 100 (None: the model's own default); goal: a target for every row instead, such as
    vaecodec.Size("100kB"); codec: arguments of Codec. A row that cannot be encoded has None in "vaec" and the reason in
    "error", which is None otherwise. Raises ImageError for rows without such a column.
    """

    def __init__(self, quality: float | None = None, goal: Target | None = None, **codec: Unpack[CodecOptions]) -> None:
        check_alone(quality, goal)
        codec.setdefault("threads", 1)
        self._quality, self._goal, self._codec = quality, goal, Codec(**codec)

    def __call__(self, batch: Batch) -> Batch:

        def encode(item: Any) -> bytes:
            return self._codec.encode(item, self._quality, self._goal)

        return _convert(batch, ("image", "bytes"), "vaec", encode, None)


class Decoder:
    """For Dataset.map_batches: replaces the column "vaec" or "bytes", a .vaec file, by its pixels in "image": a uint8
    array (H, W, C). If the file cannot be decoded the array is of size (0, 0, 3) and "error" has the reason.

    codec: arguments of Codec. Raises ImageError for rows without such a column.
    """

    def __init__(self, **codec: Unpack[CodecOptions]) -> None:
        codec.setdefault("threads", 1)
        self._codec = Codec(**codec)

    def __call__(self, batch: Batch) -> Batch:
        return _convert(batch, ("vaec", "bytes"), "image", self._codec.decode_array, np.zeros((0, 0, 3), np.uint8))


def _convert(batch: Batch, names: tuple[str, ...], result: str, convert: Callable[[Any], Any], nothing: Any) -> Batch:
    """Replace the first existing column of `names` by `result`, and add "error"."""
    name = next((name for name in names if name in batch), None)
    if name is None:
        raise ImageError(f"the rows need a column {' or '.join(names)}; they have {', '.join(batch)}")
    # Object arrays: numpy's own byte strings would lose trailing zeros.
    values, errors = np.empty(len(batch[name]), object), np.empty(len(batch[name]), object)
    for i, item in enumerate(batch[name]):
        try:
            values[i] = convert(item)
        except BaseException as error:  # image parsers raise anything; panics of those in Rust are not an Exception
            pass_on_stops(error)
            values[i], errors[i] = nothing, explain(error)
    return {key: column for key, column in batch.items() if key != name} | {result: values, "error": errors}
