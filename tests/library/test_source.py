"""Whatever bytes come from: buffers, files that answer in pieces, streams without an end."""

from __future__ import annotations

import array
import gzip
import io
import mmap
import os
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

import vaecodec
from vaecodec.system import files

CODEC = vaecodec.Codec(TINY, threads=1)
PICTURE = generated_picture(90, 130)


class ReadOnly:
    """An object with `read` alone."""

    def __init__(self, data: bytes) -> None:
        self._bytes = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._bytes.read(size)


class Older(ReadOnly):
    """A file object of a time before `seekable`."""

    def seek(self, offset: int, whence: int = 0) -> None:
        self._bytes.seek(offset, whence)

    def tell(self) -> int:
        return self._bytes.tell()


class Short(io.RawIOBase):
    """A raw file that gives 100 bytes at a time, and now and then says that it has none yet."""

    def __init__(self, data: bytes, seekable: bool = True, pauses: bool = True) -> None:
        self._bytes, self._seekable, self._pauses, self._calls = io.BytesIO(data), seekable, pauses, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        if not self._seekable:
            raise io.UnsupportedOperation("seek")
        return self._bytes.seek(offset, whence)

    def readinto(self, buffer: Any) -> int | None:
        self._calls += 1
        if self._pauses and self._calls % 3 == 0:
            return None
        part = self._bytes.read(min(len(buffer), 100))
        buffer[: len(part)] = part
        return len(part)


def mapped(data: bytes) -> mmap.mmap:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.flush()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def spooled(data: bytes) -> Any:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115
    file.write(data)
    return file


def unpacked(data: bytes) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(data)))


def written(data: bytes) -> Any:
    """A file with bytes that are still in its buffer."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    return file


KINDS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "array": lambda data: array.array("B", data),
    "mmap": mapped,
    "BytesIO": io.BytesIO,
    "read alone": ReadOnly,
    "older": Older,
    "short reads": lambda data: Short(data, pauses=False),
    "short reads and pauses": Short,
    "short reads of a stream": lambda data: Short(data, seekable=False),
    "buffered stream": lambda data: io.BufferedReader(Short(data, seekable=False, pauses=False)),
    "gzip": unpacked,
    "temporary": written,
    "spooled": spooled,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_on_both_sides(kind: str) -> None:
    data = CODEC.encode(PICTURE, 60)
    for _ in range(2):  # alone, and while another one is read
        assert np.array_equal(np.asarray(CODEC.decode(KINDS[kind](data))), np.asarray(CODEC.decode(data)))
    assert vaecodec.inspect(KINDS[kind](data))["bytes"] == len(data)
    for suffix in ("png", "jpeg", "tiff", "webp", "gif"):  # read in pieces, to and fro, and whole
        buffer = io.BytesIO()
        Image.fromarray(PICTURE).save(buffer, suffix, **({"compression": "tiff_lzw"} if suffix == "tiff" else {}))
        image = buffer.getvalue()
        assert CODEC.encode(KINDS[kind](image), 30) == CODEC.encode(image, 30), suffix


def test_a_mapping_is_let_go() -> None:
    data = mapped(CODEC.encode(PICTURE, 60))
    CODEC.decode(data)
    data.close()


@pytest.mark.parametrize("open_file", [partial(open, mode="rb"), partial(open, mode="rb", buffering=0), str])
def test_files_that_a_library_reads_through_their_descriptor(open_file: Callable, tmp_path: Path) -> None:
    """libtiff moves the position of the file under the feet of its owner."""
    path = tmp_path / "a.tif"
    Image.fromarray(np.tile(PICTURE, (6, 6, 1))).save(path, compression="tiff_lzw", description="where it ends")
    file = open_file(path)
    assert CODEC.encode(file, 30) == CODEC.encode(path.read_bytes(), 30)
    if not isinstance(file, str):
        assert not file.closed
        file.close()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (io.StringIO("VAEC"), "binary mode"),
        (5, "cannot .* a int"),
        (None, "cannot .* a NoneType"),
        (["a"], "cannot .* a list"),
        ("a\0b", "null"),
        ("/none/such", "no such file"),
        ("/", "directory"),
    ],
)
def test_what_is_no_input(source: Any, message: str) -> None:
    for use in (CODEC.decode, vaecodec.inspect, CODEC.encode):
        with pytest.raises(vaecodec.VaecodecError, match=message):
            use(source)


def test_closed_files_and_silent_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.vaec"
    path.write_bytes(CODEC.encode(PICTURE, 60))
    for file in (path.open("rb"), io.BytesIO(b"VAEC")):
        file.close()
        with pytest.raises(vaecodec.VaecodecError, match="closed"):
            CODEC.decode(file)
    monkeypatch.setattr(files, "PATIENCE", 0.1)

    class Silent(io.RawIOBase):
        def readinto(self, buffer: Any) -> None:
            return None

    with pytest.raises(vaecodec.VaecodecError, match=r"no bytes for 0\.1 seconds"):
        CODEC.decode(Silent())


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    data = CODEC.encode(PICTURE, 60)

    def write() -> None:
        with open(writing, "wb", buffering=0) as file:
            for start in range(0, len(data), 50):
                file.write(data[start : start + 50])

    timer = threading.Timer(0.2, write)
    timer.start()
    with open(reading, "rb", buffering=0) as file:
        assert CODEC.decode(file).size == (130, 90)
    timer.join()
