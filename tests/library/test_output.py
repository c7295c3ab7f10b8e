"""Outputs: through links, to devices, with the modes and owners that were there, or in place."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from commands import FOREIGN, LONGER, STREAM, VAECODEC, refused, run

from vaecodec.errors import VaecodecError
from vaecodec.system import output
from vaecodec.system.output import write_whole

unix = pytest.mark.skipif(os.name != "posix", reason="of Unix")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")


@unix
def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link, chain = tmp_path / "real/out.vaec", tmp_path / "link", tmp_path / "chain"
    link.symlink_to("real/out.vaec")
    chain.symlink_to(link)
    write_whole(chain, STREAM)  # to where nothing is yet
    assert target.read_bytes() == STREAM
    with pytest.raises(VaecodecError, match="exists already"):
        write_whole(link, LONGER)
    write_whole(link, LONGER, overwrite=True)
    assert target.read_bytes() == LONGER
    assert link.is_symlink()
    assert chain.is_symlink()
    target.write_bytes(FOREIGN)
    with pytest.raises(VaecodecError, match="never overwritten"):
        write_whole(chain, STREAM, overwrite=True)
    assert {path.name for path in tmp_path.rglob("*")} == {"real", "out.vaec", "link", "chain"}
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("none/out.vaec")
    for name, reason in (("loop", "symbolic links"), ("nowhere", "no such folder")):
        with pytest.raises(VaecodecError, match=reason):
            write_whole(tmp_path / name, STREAM, overwrite=True)
        assert (tmp_path / name).is_symlink()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="of Linux")
@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "link"])
def test_standard_output_by_its_path(name: str, folder: Path) -> None:
    """Also where it leads into a file: written on from where the shell stands, not replaced."""
    (folder / "link").symlink_to("/proc/self/fd/1")
    piped = run("encode", "a.png", name, cwd=folder).stdout
    assert piped.startswith(b"VAEC")
    with open(folder / "got", "wb") as got:
        got.write(b"before ")
        got.flush()
        assert run("encode", "a.png", name, cwd=folder, capture_output=False, stdout=got).returncode == 0
        os.lseek(got.fileno(), 0, os.SEEK_END)
        got.write(b" after")
    assert (folder / "got").read_bytes() == b"before " + piped + b" after"
    assert (folder / "link").is_symlink()
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *VAECODEC, "encode", "a.png", name], cwd=folder, capture_output=True
    )
    assert (closed.returncode, closed.stdout, closed.stderr.count(b"\n")) == (1, b"", 1)


@unix
def test_pipes_devices_and_sockets(tmp_path: Path) -> None:
    fifo, link, got = tmp_path / "fifo", tmp_path / "link", []
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write_whole(link, STREAM)  # without asking: it replaces nothing
    reader.join()
    assert got == [STREAM]
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    write_whole("/dev/null", STREAM)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        with pytest.raises(VaecodecError, match="cannot write"):
            write_whole(tmp_path / "socket", STREAM, overwrite=True)
    with pytest.raises(VaecodecError, match="it is a folder"):
        write_whole(tmp_path, STREAM, overwrite=True)


@unix
def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    before = os.umask(0o027)
    try:
        write_whole(path, STREAM)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for mode in (0o600, 0o444, 0o666, 0o700):
            path.chmod(mode)
            write_whole(path, STREAM, overwrite=True)
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


@unix
def test_a_private_file_is_private_from_its_first_byte_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "a", []
    path.write_bytes(STREAM)
    path.chmod(0o600)
    opened = os.open
    monkeypatch.setattr(os, "open", lambda name, flags, mode=0o777: seen.append(mode) or opened(name, flags, mode))
    write_whole(path, LONGER, overwrite=True)
    assert seen == [0o600]


@root
@unix
def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(STREAM)
    os.chown(path, 12345, 54321)
    write_whole(path, LONGER, overwrite=True)
    assert (path.stat().st_uid, path.stat().st_gid, path.read_bytes()) == (12345, 54321, LONGER)


AS_NOBODY = """
import os, sys
from vaecodec.system.output import write_whole
os.setgroups([]); os.setgid(65534); os.setuid(65534)
write_whole(sys.argv[1], b"VAEC by nobody", overwrite=True)
"""


@root
@unix
def test_where_a_file_cannot_be_replaced_it_is_written_in_place(tmp_path: Path) -> None:
    """A folder without write permission; an owner whom only root could keep; and what may not be written at all."""
    closed, path = tmp_path / "closed", tmp_path / "closed/a"
    closed.mkdir()
    path.write_bytes(STREAM + bytes(100))
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(0o755)

    def by_nobody() -> str:
        return subprocess.run([sys.executable, "-c", AS_NOBODY, path], capture_output=True, text=True).stderr

    closed.chmod(0o755)
    path.chmod(0o644)
    assert "Permission denied" in by_nobody()
    assert path.read_bytes() == STREAM + bytes(100)
    for folder_mode in (0o755, 0o777):
        closed.chmod(folder_mode)
        path.chmod(0o666)
        path.write_bytes(STREAM + bytes(100))
        inode = path.stat().st_ino
        assert by_nobody() == ""
        assert (path.read_bytes(), path.stat().st_ino, path.stat().st_uid) == (b"VAEC by nobody", inode, 0)
    assert os.listdir(closed) == ["a"]


@root
@unix
@pytest.mark.parametrize("content", [b"", STREAM, STREAM + bytes(100)])
def test_a_mount_of_its_own(content: bytes, tmp_path: Path) -> None:
    path, behind = tmp_path / "a.vaec", tmp_path / "behind"
    path.touch()
    behind.write_bytes(content)
    if subprocess.run(["mount", "--bind", behind, path], capture_output=True).returncode:
        pytest.skip("files cannot be mounted here")
    try:
        write_whole(path, LONGER, overwrite=True)
        assert behind.read_bytes() == LONGER
        behind.write_bytes(FOREIGN)
        with pytest.raises(VaecodecError, match="never overwritten"):
            write_whole(path, LONGER, overwrite=True)
    finally:
        subprocess.run(["umount", path], check=True)
    assert sorted(os.listdir(tmp_path)) == ["a.vaec", "behind"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES])
def test_whatever_a_system_says_of_replacing(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", fail)
    monkeypatch.setattr(os, "link", fail)
    path = tmp_path / "a"
    path.write_bytes(STREAM)
    write_whole(path, LONGER, overwrite=True)
    assert path.read_bytes() == LONGER
    write_whole(path, STREAM, overwrite=True)
    assert path.read_bytes() == STREAM
    with pytest.raises(VaecodecError, match="cannot write"):
        write_whole(tmp_path / "new", STREAM)
    assert os.listdir(tmp_path) == ["a"]


@unix
def test_no_room_to_overwrite_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(output, "_replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EBUSY, "busy")))
    path = tmp_path / "a"
    path.write_bytes(STREAM)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(VaecodecError, match="File too large"):
            write_whole(path, STREAM + bytes(5000), overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == STREAM


@unix
def test_other_hard_links_keep_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(STREAM)
    os.link(tmp_path / "a", tmp_path / "b")
    write_whole(tmp_path / "a", LONGER, overwrite=True)
    assert (tmp_path / "b").read_bytes() == STREAM


@pytest.mark.parametrize("name", ["写" * 79, "😀" * 60, "a" * 250, "é" * 120])
def test_long_names(name: str, folder: Path) -> None:
    """Names have 255 bytes, not characters; that of a temporary file is not longer."""
    picture = folder / f"{name}.png"
    try:
        (folder / "a.png").rename(picture)
    except OSError:
        pytest.skip("a file system of shorter names")
    result = run("encode", picture)
    assert result.returncode == (len(picture.name.encode()) + 1 > 255), result.stderr
    if not result.returncode:
        assert run("decode", picture.with_suffix(".vaec"), folder / "b.png").returncode == 0
    assert "too long" in refused("encode", folder / "b.jpg", folder / ("写" * 100))
    assert "too long" in refused("encode", folder / "b.jpg", "/".join(["x" * 200] * 30))
    assert not list(folder.glob(".*"))
