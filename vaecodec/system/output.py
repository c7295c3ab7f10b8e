"""Writing outputs: whole or not at all, and never over foreign files."""

from __future__ import annotations

import errno
import math
import os
import stat
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from enum import Enum
from pathlib import Path

from vaecodec.errors import VaecodecError, reason
from vaecodec.system.naming import MAGIC
from vaecodec.system.storage import fsspec_for, local_path

LABEL_BYTES = 100
"""How many bytes of its target's name a temporary file has: file systems allow names of 255, or fewer."""
IN_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV}
"""Errors for a file that can be written but not replaced: its folder is read-only, it is a mount, or its owner could
not be kept."""


class Found(Enum):
    """The kind of file at a path, following symbolic links."""

    NOTHING = "nothing"
    EMPTY = "an empty file"
    STREAM = "a .vaec file"
    OTHER = "another file"
    FOLDER = "a folder"
    DEVICE = "no file: a pipe, a terminal, ..."


def look_at(path: str | os.PathLike[str]) -> Found:
    """The kind of file at a path or URL now. Raises VaecodecError if it cannot be determined."""
    local = local_path(path)
    if local is None:
        return _look_at_url(str(path))
    try:
        if _own_descriptor(local) is not None:
            return Found.DEVICE
        mode = local.stat().st_mode
        if stat.S_ISDIR(mode):
            return Found.FOLDER
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):  # a block device holds data as well
            return Found.DEVICE
    except FileNotFoundError:
        return Found.NOTHING
    except (OSError, ValueError) as error:
        raise VaecodecError(f"cannot write {local}: {reason(error)}") from error
    try:
        with open(local, "rb") as file:
            return _kind(file.read(len(MAGIC)))
    except OSError:  # unreadable, so not known to be ours
        return Found.OTHER


def _look_at_url(url: str) -> Found:
    with fsspec_for(url, "look for") as fsspec:
        system, name = fsspec.core.url_to_fs(url)
        try:
            found = system.info(name)
        except FileNotFoundError:
            return Found.NOTHING
        if found["type"] == "directory":
            return Found.FOLDER
        return _kind(b"" if found.get("size") == 0 else system.cat_file(name, 0, len(MAGIC)))


def _kind(start: bytes) -> Found:
    return Found.EMPTY if not start else Found.STREAM if start == MAGIC else Found.OTHER


def check_free(path: str | os.PathLike[str], stream: bool, overwrite: bool) -> Found:
    """Raises VaecodecError if an output may not be written there. A .vaec file (`stream`) replaces only .vaec files and
    empty ones, whatever `overwrite` says; without `overwrite` nothing is replaced. Returns the kind of the existing
    file."""
    found = look_at(path)
    if found is Found.FOLDER:
        raise VaecodecError(f"cannot write {path}: it is a folder")
    if found is Found.OTHER and stream:
        raise VaecodecError(f"{path} exists and is no .vaec file: it is never overwritten, name another output")
    if found in (Found.EMPTY, Found.STREAM, Found.OTHER) and not overwrite:
        raise VaecodecError(f"{path} exists already{'' if stream else ' and may be the original: name another output'}")
    return found


def check_output(source: object, path: str | os.PathLike[str], stream: bool, overwrite: bool) -> None:
    """Fail early if an output cannot be written: raises VaecodecError as check_free does, and if the output is the
    input or its folder is missing. source: the input, compared if it is a path or URL."""
    if isinstance(source, str | os.PathLike) and same_file(source, path):
        raise VaecodecError(f"input and output are the same file: {path}")
    found, local = check_free(path, stream, overwrite), local_path(path)
    nowhere = local is not None and (str(path).endswith(("/", os.sep)) or not local.parent.is_dir())
    if nowhere and found is Found.NOTHING:
        raise VaecodecError(f"cannot write {path}: no such folder")


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two paths or URLs are one; on this machine, one regular file: a terminal may be both input and output."""
    mine, theirs = local_path(one), local_path(other)
    if str(one) == str(other):
        return True
    return bool(mine and theirs and mine.is_file() and theirs.is_file() and mine.samefile(theirs))


def write_whole(path: str | os.PathLike[str], data: bytes, overwrite: bool = False) -> None:
    """Write `data` to a temporary name beside `path` and rename it; raises VaecodecError and leaves nothing behind. A
    URL is handed to fsspec.

    Without `overwrite` an existing file is refused; a .vaec file never replaces a foreign file. Symbolic links are
    followed. A replaced file keeps its mode and owner and loses its other hard links, which keep the old content. A
    file that cannot be replaced (a mount, a folder without write permission, an owner that cannot be kept) is
    overwritten in place; pipes and devices are written to.
    """
    found = check_free(path, data.startswith(MAGIC), overwrite)
    target = local_path(path)
    if target is None:
        with fsspec_for(str(path), "write") as fsspec, fsspec.open(path, "wb") as file:
            file.write(data)  # an object store publishes the object on close
        return
    try:
        if found is Found.DEVICE:
            _write_to_device(target, data)
        else:
            _write_file(target, data, new=found is Found.NOTHING and not overwrite)
    except FileExistsError as error:
        raise VaecodecError(f"{path} exists already: it has just appeared") from error
    except FileNotFoundError as error:
        raise VaecodecError(f"cannot write {target}: no such folder") from error
    except (OSError, ValueError) as error:
        raise VaecodecError(f"cannot write {target}: {reason(error)}") from error


def _own_descriptor(path: Path) -> int | None:
    """The descriptor of this process that a path names, as /dev/stdout does. Opening the path would write a redirected
    file from its beginning instead of the shell's position."""
    name = os.path.abspath(path)
    own = {os.path.realpath(folder) for folder in ("/dev/fd", "/proc/self/fd", "/proc/thread-self/fd")}
    for _ in range(40):
        folder, last = os.path.split(name)
        folder = os.path.realpath(folder)
        if folder in own and last.isdecimal():
            return int(last)
        name = os.path.join(folder, last)
        if not os.path.islink(name):
            return None
        name = os.path.normpath(os.path.join(folder, os.readlink(name)))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _write_to_device(path: Path, data: bytes) -> None:
    number = _own_descriptor(path)
    if number is not None and sys.stdout is not None:
        sys.stdout.flush()
    with open(path if number is None else os.dup(number), "wb") as file:
        file.write(data)


def _write_file(path: Path, data: bytes, new: bool) -> None:
    real = Path(os.path.realpath(path))
    try:
        there = real.stat()
    except FileNotFoundError:
        there = None
    try:
        if there and stat.S_ISBLK(there.st_mode):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        _replace(real, data, there, new)
    except OSError as error:
        if there is None or error.errno not in IN_PLACE:
            raise
        _overwrite(real, data)


def _replace(path: Path, data: bytes, there: os.stat_result | None, new: bool) -> None:
    """Raises FileExistsError if the file is to be `new` and another process was faster."""
    partial = path.with_name(f".{_label(path.name)}.{os.urandom(4).hex()}.partial")
    try:
        write_new(partial, data, there)
        if new:
            try:
                os.link(partial, path)
                return
            except FileExistsError:
                raise
            except (OSError, AttributeError, NotImplementedError):
                pass  # no hard links here
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()


def write_new(path: Path, data: bytes, like: os.stat_result | None) -> None:
    """A new file that has the mode and the owner of another from its first byte on."""
    mode = stat.S_IMODE(like.st_mode) & 0o777 if like else 0o666
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        if like and hasattr(os, "fchown"):
            new = os.fstat(file.fileno())
            if (new.st_uid, new.st_gid) != (like.st_uid, like.st_gid):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), mode)  # restores what the umask removed
        file.write(data)


def _overwrite(path: Path, data: bytes) -> None:
    """Overwrite in place. Space is reserved before anything is lost."""
    with open(path, "r+b", buffering=0) as file:
        there = os.fstat(file.fileno())
        if stat.S_ISREG(there.st_mode) and len(data) > there.st_size and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), there.st_size, len(data) - there.st_size)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    file.truncate(there.st_size)
                    raise
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        if stat.S_ISREG(there.st_mode):
            file.truncate()


def _label(name: str) -> str:
    """The part of its target's name that a temporary file shows."""
    return os.fsencode(name)[:LABEL_BYTES].decode(errors="ignore")


def remove_partials(paths: Collection[Path], age: float = 0) -> None:
    """Remove temporary files that killed processes left when writing to these paths: those unchanged for `age`
    seconds."""
    newest = time.time() - age
    names = {(path.parent, _label(path.name)) for path in paths}
    for folder in {path.parent for path in paths}:
        for partial in folder.glob(".*.partial"):
            if (folder, partial.name[1:].rsplit(".", 2)[0]) in names and _changed(partial) <= newest:
                partial.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    """Time of the last change of a file; infinity if another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf
