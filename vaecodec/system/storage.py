"""Where files are: on this machine, or anywhere fsspec reaches (s3://bucket/key, memory://name, ...)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vaecodec.errors import VaecodecError, one_line, reason

if TYPE_CHECKING:
    import os


def is_url(path: object) -> bool:
    """Whether a path is a URL for fsspec."""
    return isinstance(path, str) and "://" in path


def local_path(path: str | os.PathLike[str]) -> Path | None:
    """The path of a file on this machine, file:// URLs included; None for other URLs."""
    if is_url(path):
        return Path(str(path)[len("file://") :]) if str(path).startswith("file://") else None
    return Path(path)


def place(root: str | Path, name: str) -> str | Path:
    """The path or URL of a file in a folder or URL, by its relative name with "/"."""
    return f"{root}".rstrip("/") + f"/{name}" if is_url(root) else Path(root, name)


def url_exists(url: str) -> bool:
    with fsspec_for(url, "look for") as fsspec:
        system, name = fsspec.core.url_to_fs(url)
        return system.exists(name)


def is_folder(path: str) -> bool:
    """Whether a path or URL is an existing folder."""
    local = local_path(path)
    if local is not None:
        return local.is_dir()
    with fsspec_for(path, "look for") as fsspec:
        system, name = fsspec.core.url_to_fs(path)
        # Test for a file first: for a web page fsspec would have to guess from its text whether it is a folder.
        return not system.isfile(name) and system.isdir(name)


@contextmanager
def fsspec_for(url: str, action: str) -> Iterator[ModuleType]:
    """fsspec, with all its errors turned into VaecodecError."""
    try:
        import fsspec
    except ImportError as error:
        raise VaecodecError(f"{url} needs fsspec: pip install 'vaecodec[fsspec]'") from error
    try:
        yield fsspec
    except VaecodecError:
        raise
    except ImportError as error:
        raise VaecodecError(f"{url} needs more packages: {one_line(error)}") from error
    except Exception as error:  # each storage has its own errors
        raise VaecodecError(f"cannot {action} {url}: {reason(error)}") from error


def open_url(url: str) -> Any:
    """Open a URL as a binary file object."""
    with fsspec_for(url, "read") as fsspec:
        return fsspec.open(url, "rb").open()
