"""The manifest of a folder: one line of JSON per processed file, written as soon as it is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from vaecodec.errors import VaecodecError
from vaecodec.system.files import Source
from vaecodec.system.output import write_whole
from vaecodec.system.storage import is_url, local_path, place, url_exists

MANIFEST = "manifest.jsonl"
_START = b'{"source": '
"""First bytes of each line; they tell a manifest from other programs' files of this name."""

Entry = dict[str, Any]


@contextmanager
def open_manifest(out: str | Path | None) -> Iterator[Callable[[Entry], None]]:
    """Appends entries: to a folder, which is created, at once; to a URL at the end of the run, however it ends, since
    object stores have only whole files; nowhere for None. Raises VaecodecError if the existing file is not a
    manifest."""
    if out is None:
        yield lambda entry: None
        return
    folder = local_path(out)
    if folder is None:
        with _at_url(str(place(out, MANIFEST))) as write:
            yield write
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST
    torn = False
    if path.exists():
        with _opened(path) as before:
            torn = before.size > 0 and before.read(before.size - 1, 1) != b"\n"
    with open(path, "a", encoding="utf-8", buffering=1) as file:  # line buffered
        if torn:
            file.write("\n")
        yield lambda entry: print(json.dumps(entry), file=file)


@contextmanager
def _at_url(url: str) -> Iterator[Callable[[Entry], None]]:
    lines: list[str] = []
    before = _read(url) if url_exists(url) else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    try:
        yield lambda entry: lines.append(json.dumps(entry) + "\n")
    finally:
        if lines:
            write_whole(url, before + "".join(lines).encode(), overwrite=True)


def _opened(path: str | Path) -> Source:
    """An existing manifest; raises VaecodecError if the file is not one."""
    source = Source(path) if is_url(path) or Path(path).is_file() else None
    if source is None or not _START.startswith(source.read(0, len(_START))):
        raise VaecodecError(f"{path} is no manifest of vaecodec: move it, or choose another output folder")
    return source


def _read(path: str | Path) -> bytes:
    with _opened(path) as source:
        return source.read(0, source.size)


def read_manifest(out: str | Path) -> list[Entry]:
    """The entries of a folder or URL, in order; invalid lines are skipped."""
    path = place(out, MANIFEST)
    local = local_path(path)
    if not (url_exists(str(path)) if local is None else local.exists()):
        return []
    entries = []
    for line in _read(path).splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("source"), str):
            entries.append(entry)
    return entries


class Written:
    """The outputs of earlier runs in a folder, by its manifest."""

    def __init__(self, out: str | Path) -> None:
        self._sources: dict[str, str] = {}
        self._settings: dict[str, Entry | None] = {}
        self._targets: dict[tuple[str, str], list[str]] = {}
        name_of = cache(lambda path: _name_in(out, path))
        for entry in read_manifest(out):
            target = entry.get("target")
            if "error" in entry or not isinstance(target, str) or (folder := name_of(_parent(target))) is None:
                continue
            name = str(PurePosixPath(folder, PurePosixPath(target).name))
            source = PurePosixPath(entry["source"]).name
            self._sources[name] = source
            self._settings[name] = entry.get("settings")
            self._targets.setdefault((folder, source), []).append(name)

    def others(self, target: str, source: str) -> bool:
        """Whether the file of this name was made from another file than `source` (relative names)."""
        return self._sources.get(target, PurePosixPath(source).name) != PurePosixPath(source).name

    def otherwise(self, target: str, settings: Entry) -> bool:
        """Whether the file of this name is known to have been made with other settings."""
        before = self._settings.get(target)
        return before is not None and before != settings

    def targets(self, source: str) -> list[str]:
        """Names of the outputs of a file, under the current or an earlier naming rule, in the same folder of both
        trees."""
        path = PurePosixPath(source)
        return [name for name in self._targets.get((str(path.parent), path.name), []) if not self.others(name, source)]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _name_in(out: str | Path, folder: str) -> str | None:
    """A folder named in a manifest, relative to `out`, which may have been moved, or been addressed differently
    then."""
    local = local_path(out)
    if local is None:
        base = f"{out}".rstrip("/")
        return str(PurePosixPath(folder[len(base) + 1 :])) if f"{folder}/".startswith(f"{base}/") else None
    real = os.path.realpath(local)
    there = Path(os.path.realpath(folder))
    if there.is_relative_to(real):
        return there.relative_to(real).as_posix()
    parts = PurePosixPath(folder).parts
    if (last := os.path.basename(real)) in parts:
        return str(PurePosixPath(*parts[len(parts) - parts[::-1].index(last) :]))
    return None
