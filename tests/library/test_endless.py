"""Inputs without an end, or with one that is far: headers are read first, and what is held in memory has a limit."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

import vaecodec
from vaecodec.system import files
from vaecodec.system.filelike import SINGLES
from vaecodec.system.files import Source, input_limit

CODEC = vaecodec.Codec(TINY, threads=1)
PICTURE = generated_picture(90, 130)


class Endless(io.RawIOBase):
    """What it was given, and then zeros for ever; counts what was read."""

    def __init__(self, start: bytes = b"") -> None:
        self.start, self.taken = start, 0

    def readinto(self, buffer: Any) -> int:
        part = self.start[self.taken : self.taken + len(buffer)].ljust(len(buffer), b"\0")
        buffer[:] = part
        self.taken += len(part)
        return len(part)


def test_of_an_endless_stream_only_its_start_is_read() -> None:
    plain = CODEC.encode(PICTURE, 60)  # it does not say where it ends, but how large it is
    tiled = vaecodec.Codec(TINY, threads=1, tile_log2=7).encode(np.tile(PICTURE, (2, 2, 1)), 60)
    for start, message in (
        (b"", "not a vaecodec file"),
        (b"VAEC\x02", "no pixels"),
        (plain, "foreign bytes"),
        (tiled, "foreign bytes"),
    ):
        for use in (CODEC.decode, vaecodec.inspect):
            stream = Endless(start)
            with pytest.raises(vaecodec.FormatError, match=message):
                use(stream)
            assert stream.taken <= len(start) + (2 << 20)
    for start in (b"", b"\xff\xfe" * 50, b"text\n" * 100):
        stream = Endless(start)
        with pytest.raises(vaecodec.ImageError, match="not an image"):
            CODEC.encode(stream)
        assert stream.taken <= 1 << 21


def test_what_is_held_of_a_stream_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Endless(CODEC.encode(PICTURE, 60))
    with pytest.raises(vaecodec.VaecodecError, match="more than 100000 bytes"):
        CODEC.decode(Source(stream, limit=100_000))
    assert stream.taken <= 100_000 + files.CHUNK
    monkeypatch.setattr(files, "MAX_INPUT", 100_000)
    riff = b"RIFF\xff\xff\xff\x7fWEBPVP8 "  # Pillow reads all of a WebP
    with pytest.raises(vaecodec.ImageError, match="more than 100000 bytes"):
        vaecodec.Codec(TINY, max_pixels=1000).encode(Endless(riff))
    assert input_limit(1000) == 100_000
    assert input_limit(1 << 20) == 8 << 20


def test_files_that_must_be_read_whole_have_the_same_limit(tmp_path: Path) -> None:
    path = tmp_path / "sparse.webp"
    path.write_bytes(b"RIFF\xff\xff\xff\x7fWEBPVP8 ")
    os.truncate(path, 3 << 30)
    with Source(path, limit=1 << 20) as source, pytest.raises(vaecodec.ImageError, match="more than 1048576 bytes"):
        source.file().read()
    with Source(path, limit=1 << 20) as source:
        file = source.file()
        assert file.read(4) == b"RIFF"
        with pytest.raises(vaecodec.ImageError, match="held in memory"):
            file.read(2 << 30)  # as a length within a file may say
        assert file.seek(-2, io.SEEK_END) == (3 << 30) - 2
        assert (file.read(100), file.read(1)) == (b"\0\0", b"")
        file.seek(0)
        with pytest.raises(vaecodec.ImageError, match="no image in its first 2097152 bytes"):
            sum(map(len, iter(lambda: file.read(1 << 16), b"")))
    with Source(path) as source:
        file = source.file()
        assert sum(1 for _ in iter(lambda: file.read(1), b"")) == SINGLES


MEASURED = """
import sys
from vaecodec.cli import main
sys.argv = ["vaecodec", *sys.argv[1:]]
try:
    main()
finally:
    (peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
    print(int(peak) // 1024, file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/zero and /proc")
@pytest.mark.parametrize("source", ["-", "/dev/zero", "zeros.png", "head.png", "head.gif", "head.tif", "head.vaec"])
@pytest.mark.parametrize("command", ["encode", "decode", "info"])
def test_commands_take_little_memory_for_endless_and_sparse_inputs(source: str, command: str, tmp_path: Path) -> None:
    starts = {"head.png": "PNG", "head.tif": "TIFF", "zeros.png": None, "head.gif": "GIF", "head.vaec": None}
    if source in starts:
        buffer = io.BytesIO()
        if kind := starts[source]:
            Image.fromarray(PICTURE).save(buffer, kind)
        data = CODEC.encode(PICTURE) if source == "head.vaec" else buffer.getvalue()
        (tmp_path / source).write_bytes(data[: len(data) // 2])
        os.truncate(tmp_path / source, 3 << 30)
    target = [] if command == "info" else [str(tmp_path / "out.vaec" if command == "encode" else tmp_path / "out.png")]
    with open("/dev/zero", "rb") as zeros:
        run = subprocess.run(
            [sys.executable, "-c", MEASURED, command, source, *target],
            stdin=zeros, capture_output=True, text=True, cwd=tmp_path, timeout=60,
        )  # fmt: skip
    message, memory = run.stderr.splitlines()
    assert int(memory) < 300
    if command == "encode" and source.startswith("head"):  # Pillow may be content with half of an image
        assert run.returncode in (0, 1)
    else:
        assert run.returncode == 1
    assert message.startswith("vaecodec: ") == (run.returncode == 1)
    assert not target or Path(target[0]).exists() == (run.returncode == 0)
