"""Several inputs, a mix of files, folders and URLs: the output of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from vaecodec.folders import Job, Plan, Task, make_plan
from vaecodec.system.naming import decoded_name, folded, long_name, short_name
from vaecodec.system.storage import is_folder, is_url, local_path, place


def plan_inputs(inputs: Sequence[str], out: str | None, task: Task, recursive: bool) -> Plan:
    """Jobs for files and folders with their outputs in `out`, a folder or URL, or beside them (None; files only).

    A single folder is mirrored into `out`; one of several goes into a folder of its name there. A file gets its usual
    name (a.png: a.vaec), or a longer one (a.png.vaec) where two would collide; of those that still collide, all but the
    first are refused. Raises VaecodecError if a folder cannot be listed.
    """
    if out is not None and len(inputs) == 1 and is_folder(inputs[0]):
        return make_plan(_path(inputs[0]), _path(out), task, recursive)
    plan = Plan([])
    for source in dict.fromkeys(inputs):
        if out is not None and is_folder(source):
            _add_folder(plan, source, out, task, recursive)
        else:
            name = _last(source)
            folder = _path(out) if out is not None else _parent(source)
            # Without `out` names are whole paths, so files of different folders do not collide.
            target = place(folder, _single(name, task))
            names = (name, _single(name, task)) if out is not None else (source, str(target))
            plan.jobs.append(Job(_path(source), target, *names))
    _tell_apart(plan, task)
    return plan


def _add_folder(plan: Plan, source: str, out: str, task: Task, recursive: bool) -> None:
    name = _last(source)
    inner = make_plan(_path(source), place(_path(out), name), task, recursive)
    for job in inner.jobs:
        plan.jobs.append(replace(job, name=f"{name}/{job.name}", target_name=f"{name}/{job.target_name}"))
    plan.refused += inner.refused
    for why, names in inner.left_out.items():
        plan.left_out.setdefault(why, []).extend(f"{name}/{inside}" for inside in names)


def _tell_apart(plan: Plan, task: Task) -> None:
    """Lengthen names that would collide, and refuse those that still do."""
    count = Counter(folded(job.target_name) for job in plan.jobs)
    jobs: list[Job] = []
    first: dict[str, Job] = {}
    for job in plan.jobs:
        if count[folded(job.target_name)] > 1:
            name = long_name(_last(f"{job.source}"), task.kind, task.suffix)
            short = _last(f"{job.target}")
            target, target_name = (text[: len(text) - len(short)] + name for text in (f"{job.target}", job.target_name))
            job = Job(job.source, target if is_url(target) else Path(target), job.name, target_name)
        if first.setdefault(folded(job.target_name), job) is job:
            jobs.append(job)
        else:
            why = f"its output would have the name of another's: {job.target}"
            plan.refused.append({"source": str(job.source), "error": why})
    plan.jobs = jobs


def _single(name: str, task: Task) -> str:
    return short_name(name) if task.kind == "encode" else decoded_name(name, task.suffix)


def _path(path: str) -> str | Path:
    return local_path(path) or path


def _parent(path: str) -> str | Path:
    return path.rstrip("/").rpartition("/")[0] if is_url(path) else Path(path).parent


def _last(path: str) -> str:
    """The last part of a path or URL; for "." the name of that folder."""
    if is_url(path):
        return path.rstrip("/").rpartition("/")[2]
    return PurePosixPath(path).name or Path(path).resolve().name
