"""No command and no function writes a .vaec file over a file that is none; photographs stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import FOREIGN, LONGER, STREAM, refused, run

from vaecodec.errors import VaecodecError
from vaecodec.system import output
from vaecodec.system.output import write_whole


@pytest.mark.parametrize("content", [FOREIGN, b"VAE", b"text\n", b"\0VAEC"])
@pytest.mark.parametrize("force", [True, False])
def test_encode_overwrites_no_file_that_is_not_its_own(content: bytes, force: bool, folder: Path) -> None:
    for target in (folder / "a.vaec", folder / "other.jpg"):
        target.write_bytes(content)
        asked = [] if target.name == "a.vaec" else ["-o", target]
        message = refused("encode", folder / "a.png", *asked, *["-f"] * force)
        assert "is no .vaec file: it is never overwritten, name another" in message
        assert "-f" not in message
        assert target.read_bytes() == content


def test_globs_that_match_two_photographs(folder: Path) -> None:
    """Both are inputs, for nobody means the second to be written to."""
    before = (folder / "b.jpg").read_bytes()
    for options in ([], ["-f"]):
        assert run("encode", folder / "a.png", folder / "b.jpg", *options).returncode == 0
        assert (folder / "b.jpg").read_bytes() == before
        (folder / "a.vaec").unlink()
        (folder / "b.vaec").unlink()
        assert "never overwritten" in refused("encode", folder / "a.png", "-o", folder / "b.jpg", *options)
    assert {path.name for path in folder.iterdir()} == {"a.png", "b.jpg"}


def test_files_of_its_own_and_empty_ones(folder: Path) -> None:
    for content in (b"", STREAM):
        (folder / "a.vaec").write_bytes(content)
        assert "use -f" in refused("encode", folder / "a.png")
        assert (folder / "a.vaec").read_bytes() == content
        assert run("encode", folder / "a.png", "-f").returncode == 0
        assert len((folder / "a.vaec").read_bytes()) > 50


def test_decode_says_that_its_target_may_be_the_original(folder: Path) -> None:
    before = (folder / "a.png").read_bytes()
    assert run("encode", folder / "a.png").returncode == 0
    for arguments in ([], [folder / "b.jpg"], [(folder / "a.png").as_uri()]):
        message = refused("decode", folder / "a.vaec", *arguments)
        assert "exists already and may be the original: name another OUT" in message
        assert "-f" not in message
    assert (folder / "a.png").read_bytes() == before
    assert run("decode", folder / "a.vaec", folder / "b.jpg", "-f").returncode == 0  # said twice: it is meant


def test_the_rule_holds_for_whoever_writes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (FOREIGN, b"V"):
        path.write_bytes(content)
        with pytest.raises(VaecodecError, match="never overwritten"):
            write_whole(path, STREAM, overwrite=True)
    write_whole(path, b"an image", overwrite=True)
    with pytest.raises(VaecodecError, match="may be the original"):
        write_whole(path, b"another image")
    assert path.read_bytes() == b"an image"


def test_urls_are_not_overwritten_either() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory, url = fsspec.filesystem("memory"), "memory://test_output/a"
    for content, kept in ((FOREIGN, True), (b"", False), (STREAM, False)):
        memory.pipe("/test_output/a", content)
        with pytest.raises(VaecodecError, match="exists"):
            write_whole(url, LONGER)
        if kept:
            with pytest.raises(VaecodecError, match="never overwritten"):
                write_whole(url, LONGER, overwrite=True)
        else:
            write_whole(url, LONGER, overwrite=True)
        assert memory.cat("/test_output/a") == (content if kept else LONGER)
    with pytest.raises(VaecodecError, match="it is a folder"):
        write_whole("memory://test_output", STREAM, overwrite=True)


@pytest.mark.parametrize("links", [True, False])
def test_of_two_that_write_at_once_one_is_told(links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a.png and a.jpg, coded at the same time to a.vaec."""
    write, path = output.write_new, tmp_path / "a.vaec"

    def be_late(partial: Path, *arguments: object) -> None:
        write(partial, *arguments)
        path.write_bytes(STREAM)

    monkeypatch.setattr(output, "write_new", be_late)
    with pytest.raises(VaecodecError, match="exists already"):
        write_whole(path, LONGER)
    assert path.read_bytes() == STREAM
    assert [found.name for found in tmp_path.iterdir()] == ["a.vaec"]
    monkeypatch.undo()
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    write_whole(tmp_path / "b.vaec", LONGER)
    assert (tmp_path / "b.vaec").read_bytes() == LONGER
    assert sorted(os.listdir(tmp_path)) == ["a.vaec", "b.vaec"]
