"""Several inputs in one command: any mixture of files, folders and URLs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import manifest, refused, run, vaecodec
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

import vaecodec as library
from vaecodec.cli.inputs import plan_inputs
from vaecodec.folders import Task

ENCODE, DECODE = Task("encode", ".vaec"), Task("decode", ".png")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a.png, b.png, b.jpg, more/c.png and more/deep/d.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more/deep").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.png", "b.jpg", "more/c.png", "more/deep/d.png")):
        Image.fromarray(generated_picture(40, 48, seed)).save(tmp_path / name)
    return tmp_path


def ok(*arguments: object) -> str:
    """Run the command, expect success, and return its stderr."""
    result = vaecodec(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr


def usage(*arguments: object) -> str:
    result = vaecodec(*arguments)
    assert result.returncode == 2, result.stderr
    return result.stderr


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_beside_the_inputs(here: Path) -> None:
    """Outputs are named as for single files, with longer names where two collide. There is no manifest."""
    before = files(here)
    text = ok("encode", "a.png", "b.png", "b.jpg", "more/c.png")
    assert files(here) - before == {"a.vaec", "b.png.vaec", "b.jpg.vaec", "more/c.vaec"}
    assert "4 of 4 files" in text
    assert "smaller" in text
    ok("decode", "b.png.vaec", "b.jpg.vaec", "more/c.vaec", "--suffix", "webp")
    assert files(here) - before >= {"b.png.webp", "b.jpg.webp", "more/c.webp"}


def test_into_a_folder(here: Path) -> None:
    """Folders among the inputs keep their names; a file given twice is done once."""
    text = ok("encode", "a.png", "more", here / "b.jpg", "a.png", "-o", "out/", "-r", "-j", "2", "-v")
    assert files(here / "out") == {"a.vaec", "b.vaec", "more/c.png.vaec", "more/deep/d.png.vaec", "manifest.jsonl"}
    assert "a.png: 48x40, " in text
    entries = {Path(entry["source"]).name: entry for entry in manifest(here / "out")}
    assert entries["a.png"]["target"].endswith("a.vaec")
    assert library.inspect(here / "out/a.vaec")["model_identity"] == entries["a.png"]["settings"]["model"]
    ok("decode", "out/a.vaec", "out/more", "-o", "again", "-r")
    assert files(here / "again") == {"a.png", "more/c.png", "more/deep/d.png", "manifest.jsonl"}


def test_one_bad_file_does_not_stop_the_rest(here: Path) -> None:
    (here / "bad.png").write_bytes(b"no image")
    (here / "x").mkdir()
    shutil.copy("a.png", "x/a.png")
    result = vaecodec("encode", "bad.png", "a.png", "absent.png", "x/a.png", "b.jpg", "-o", "out")
    assert result.returncode == 1
    assert files(here / "out") == {"a.png.vaec", "b.vaec", "manifest.jsonl"}
    lines = result.stderr.splitlines()
    for name in ("bad.png", "absent.png", "x/a.png"):
        (line,) = [line for line in lines if line.startswith(f"vaecodec: {name}: ")]
    assert "would have the name of another's" in line
    assert "2 of 5 files" in result.stderr


def test_the_second_of_two_arguments(here: Path) -> None:
    """It is OUT if it cannot be an input."""
    ok("encode", "a.png", "b.png")
    assert (here / "a.vaec").exists()
    assert (here / "b.vaec").exists()
    ok("encode", "a.png", "new.vaec")
    ok("encode", "a.png", "new.xyz")
    assert library.inspect(here / "new.xyz")["width"] == 48
    assert "exists already" in refused("encode", "b.png", "new.xyz")  # a .vaec file by its first bytes
    (here / "empty").touch()
    ok("encode", "a.png", "empty", "-f")
    assert library.inspect(here / "empty")["width"] == 48
    shutil.copy("a.png", "photo.vaec")  # OUT by its name, though it is none
    assert "never overwritten" in refused("encode", "a.png", "photo.vaec", "-f")
    assert "-o OUT" in usage("encode", "a.png", "more")
    assert run("encode", "a.png", "-").stdout[:4] == b"VAEC"
    ok("decode", "a.vaec", "b.vaec", "-f")
    assert "may be the original" in refused("decode", "a.vaec", "b.png")
    ok("decode", "a.vaec", "b.png", "-f")
    assert np.array_equal(np.asarray(Image.open("a.png")), np.asarray(Image.open("b.png")))
    assert "-o OUT" in usage("decode", "a.vaec", "more")


def test_a_folder_for_a_single_file(here: Path) -> None:
    ok("encode", "a.png", "-o", "out/")
    ok("encode", "b.png", "-o", "more")
    assert files(here / "out") == {"a.vaec"}
    assert (here / "more/b.vaec").exists()
    ok("decode", "out/a.vaec", "-o", "there/deep/", "--suffix", "jpg")
    assert (here / "there/deep/a.jpg").exists()
    assert refused("encode", "more/c.png", "-o", "a.png/")
    assert Image.open("a.png").size == (48, 40)


def test_what_several_inputs_cannot_be(here: Path) -> None:
    assert "names a folder" in usage("encode", "a.png", "b.png", "-o", "all.vaec")
    ok("encode", "a.png", "b.png")
    assert "names a folder" in usage("decode", "a.vaec", "b.vaec", "-o", "all.png")
    assert "single file" in usage("encode", "-", "a.png", "b.png")
    assert "single file" in usage("encode", "a.png", "b.png", "-o", "-")
    assert "single files" in usage("decode", "a.vaec", "b.vaec", "--region", "0,0,8,8")
    assert "not a folder" in refused("encode", "a.png", "b.png", "-o", "b.jpg")
    assert "Missing argument" in usage("encode")


def test_urls_among_files(here: Path) -> None:
    pytest.importorskip("fsspec")
    url = (here / "more/c.png").as_uri()
    ok("encode", "a.png", url, "-o", (here / "out").as_uri())
    assert files(here / "out") == {"a.vaec", "c.vaec", "manifest.jsonl"}
    ok("encode", "b.png", url)
    assert (here / "more/c.vaec").exists()


def test_info_of_several(here: Path) -> None:
    ok("encode", "a.png", "b.png", "-o", "out")
    (here / "out/bad.vaec").write_bytes(b"nothing")
    result = vaecodec("info", "out", "out/a.vaec")
    assert result.returncode == 1
    assert result.stdout.count("image    48x40 RGB") == 3
    assert "out/bad.vaec: not a vaecodec file" in result.stderr
    os.remove(here / "out/bad.vaec")
    facts = json.loads(vaecodec("info", "out", "--json").stdout)
    assert [Path(entry["file"]).name for entry in facts] == ["a.vaec", "b.vaec"]
    assert json.loads(vaecodec("info", "out/a.vaec", "--json").stdout)["width"] == 48
    assert "no .vaec files" in refused("info", "more")


def test_resume_with_other_settings_does_the_work_again(here: Path) -> None:
    def quality(name: str) -> float:
        return library.inspect(here / "out" / name)["quality"]

    ok("encode", "more", "-o", "out", "-q", "30")
    assert "1 skipped" in ok("encode", "more", "-o", "out", "-q", "30", "--resume")
    text = ok("encode", "more", "-o", "out", "-q", "70", "--resume")
    assert "done again, since the settings are others: c.png" in text
    assert quality("c.png.vaec") == 70
    assert "1 skipped" in ok("encode", "more", "-o", "out", "-q", "70", "--resume")
    assert "done again" in ok("encode", "more", "-o", "out", "-q", "70", "--resume", "--keep-hidden")
    shutil.copy(TINY, here / "same.safetensors")
    result = run("encode", "more", "-o", "out", "-q", "70", "--resume", "--keep-hidden")
    assert b"1 skipped" in result.stderr
    # What an earlier version wrote, without settings in its manifest, counts as done; foreign files stay.
    lines = [{k: v for k, v in entry.items() if k != "settings"} for entry in manifest(here / "out")]
    (here / "out/manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "1 skipped" in ok("encode", "more", "-o", "out", "-q", "10", "--resume")


def test_kept_images_are_said_to_be_kept(here: Path) -> None:
    flat = np.zeros((64, 64, 3), np.uint8)
    flat[10:20, 10:50] = 255
    Image.fromarray(flat).save("flat.png")
    assert "kept pixel for pixel" in ok("encode", "flat.png", "-q", "95")
    assert "kept pixel for pixel" in vaecodec("info", "flat.vaec").stdout
    ok("encode", "flat.png", "a.png", "-o", "out", "-q", "95")
    kept = {Path(entry["source"]).name: entry.get("kept") for entry in manifest(here / "out")}
    assert kept == {"flat.png": "pixel for pixel", "a.png": None}


def test_plans_are_of_whole_paths_where_nothing_is_in_common(tmp_path: Path) -> None:
    plan = plan_inputs(["x/a.png", "y/a.png", "a.png"], None, ENCODE, False)
    assert [str(job.target) for job in plan.jobs] == ["x/a.vaec", "y/a.vaec", "a.vaec"]
    plan = plan_inputs(["a.vaec", "a.png.vaec"], None, DECODE, False)
    assert [str(job.target) for job in plan.jobs] == ["a.png", "a.png.png"]
    plan = plan_inputs(["A.png", "a.png"], str(tmp_path), ENCODE, False)
    assert len(plan.jobs) == len(plan.refused) == 1
