"""Listing a folder or URL: files to work on, files left out with reasons, and unsafe names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vaecodec.errors import VaecodecError, reason
from vaecodec.system.storage import fsspec_for, local_path, place

_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f-\x9f]|^[A-Za-z]:")


@dataclass
class Listing:
    """Names relative to the folder, with "/", in order.

    left_out: files that are not to be worked on, by reason. refused: (name, reason) of entries that cannot be listed or
    have unsafe names.
    """

    files: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def leave_out(self, name: str, why: str) -> None:
        self.left_out.setdefault(why, []).append(name)

    def keep(self, wanted: Callable[[str], str | None]) -> None:
        """Leave out the files for which `wanted` returns a reason."""
        files, self.files = self.files, []
        for name in files:
            if why := wanted(name):
                self.leave_out(name, why)
            else:
                self.files.append(name)


def list_folder(root: str | Path, recursive: bool = True, without: str | Path | None = None) -> Listing:
    """Everything in a folder or below a URL except hidden names (which begin with a dot) and the folder `without`,
    which may lie inside. Empty if `root` does not exist. Raises VaecodecError if it cannot be listed.

    Symbolic links are followed to files but not to folders, so that nothing is listed twice.
    """
    folder = local_path(root)
    found = _list_url(str(root), recursive) if folder is None else _list_local(folder, recursive, without)
    found.files.sort()
    if folder is None and without is not None:
        inside = f"{without}".rstrip("/") + "/"
        found.keep(lambda name: "in the output folder" if f"{place(root, name)}".startswith(inside) else None)
    return found


def _list_local(root: Path, recursive: bool, without: str | Path | None) -> Listing:
    found = Listing()
    out = None if without is None else local_path(without)
    excluded = None if out is None else os.path.realpath(out)
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                items = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            if not folder:
                raise VaecodecError(f"cannot list {root}: {reason(error)}") from error
            found.refused.append((folder, f"cannot be listed: {reason(error)}"))
            continue
        for entry in items:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                found.leave_out(name, "hidden")
            elif entry.is_dir(follow_symlinks=False):
                if os.path.realpath(entry.path) == excluded:
                    found.leave_out(name, "the output folder")
                elif recursive:
                    folders.append(name)
                else:
                    found.leave_out(name, "a folder, and subfolders were not asked for")
            elif why := _no_file(entry):
                found.leave_out(name, why)
            else:
                found.files.append(name)
    return found


def _no_file(entry: os.DirEntry[str]) -> str | None:
    """Why an entry other than a folder cannot be read; None if it can."""
    try:
        if entry.is_file():
            return None
        if entry.is_dir():
            return "a link to a folder"
    except OSError:  # a loop of links
        return "a link to nothing"
    return "a link to nothing" if entry.is_symlink() and not os.path.exists(entry.path) else "no regular file"


def _list_url(root: str, recursive: bool) -> Listing:
    """Anyone who can write to the storage chooses the names: none may lead out of the folder."""
    found = Listing()
    with fsspec_for(root, "list") as fsspec:
        system, base = fsspec.core.url_to_fs(root)
        base = base.rstrip("/") + "/"
        paths = system.find(base, maxdepth=None if recursive else 1)
    for path in paths:
        name = path[len(base) :] if path.startswith(base) else path
        if why := unsafe(name):
            found.refused.append((name, why))
        elif any(part.startswith(".") for part in name.split("/")):
            found.leave_out(name, "hidden")
        else:
            found.files.append(name)
    return found


def unsafe(name: str) -> str | None:
    """Why a relative name is unsafe on this machine; None if it is safe."""
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "its name leads out of the folder"
    if _UNSAFE.search(name):
        return "its name has a backslash, a drive letter or control characters"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is no text"
    return None
