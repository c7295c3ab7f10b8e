"""A small hierarchy: every error that the library raises on purpose is a VaecodecError. Also any error as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class VaecodecError(Exception):
    """Base class; the message is one line that can be shown to a user."""


class ImageError(VaecodecError):
    """The input is not an image, or cannot be encoded (zero size, too many pixels)."""


class FormatError(VaecodecError):
    """The input is not a vaecodec stream, is damaged, or was written by a newer version."""


class ModelError(VaecodecError):
    """A model is unknown, unreadable, or not the one that a stream was written with."""


class BackendError(VaecodecError):
    """The chosen backend or device is missing, or does not compute exactly."""


class MissingPackageError(VaecodecError, ImportError):
    """A package needed for this part of the library is not installed; the message names the extra that installs it."""


def missing_package(part: str, extra: str) -> MissingPackageError:
    return MissingPackageError(f"{part} needs packages that are not installed: pip install 'vaecodec[{extra}]'")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Prefixes errors with the name of the file; "-", standard input, has no name."""
    try:
        yield
    except (FormatError, ImageError) as error:
        if name == "-" or name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error


def printable(text: str) -> str:
    """Text on one line, without control characters or characters that cannot be encoded."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(error: BaseException, longest: int = 300) -> str:
    """The message of an error, or its class if it has none. Long messages lose their middle, since file names come
    first and reasons last."""
    text = printable(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= longest else f"{text[: longest // 2]} ... {text[5 - longest // 2 :]}"


def reason(error: BaseException) -> str:
    """The reason in an error from a system call or a storage."""
    if isinstance(error, FileNotFoundError):  # fsspec gives only the path
        return "no such file"
    return getattr(error, "strerror", None) or one_line(error)


def explain(error: BaseException) -> str:
    """Any error with an image as one line."""
    if isinstance(error, VaecodecError):
        return one_line(error)
    if isinstance(error, MemoryError):
        return "not enough memory for this image"
    if isinstance(error, OSError):
        return reason(error)
    return f"unexpected {type(error).__name__}: {one_line(error)}"
