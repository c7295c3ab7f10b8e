"""vaecodec features and vaecodec find: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from commands import VAECODEC, refused, run, vaecodec
from pictures import generated_drawing, generated_scene
from PIL import Image


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three encoded scenes, one of them in a subfolder, and a drawing kept as pixels."""
    folder = tmp_path_factory.mktemp("find")
    (folder / "in/deep").mkdir(parents=True)
    for seed, name in enumerate(("a", "b", "deep/c")):
        Image.fromarray(generated_scene(150, 200, seed)).save(folder / f"in/{name}.png")
    Image.fromarray(generated_drawing()).save(folder / "in/drawing.png")
    assert run("encode", folder / "in", "-o", folder / "coded", "-r", "-q", 60).returncode == 0
    return folder


def test_an_index_and_a_query(archive: Path, tmp_path: Path) -> None:
    made = vaecodec("features", archive / "coded", "-r", "-o", tmp_path / "x.npz")
    assert made.returncode == 0, made.stderr
    assert "3 of model" in made.stderr
    assert "1 of no model (kept as pixels or a JPEG)" in made.stderr
    for query, name in (
        ("a.png", "a.png.vaec"),
        ("deep/c.png", "deep/c.png.vaec"),
        ("drawing.png", "drawing.png.vaec"),
    ):
        found = vaecodec("find", archive / "in" / query, tmp_path / "x.npz", "-n", 2)
        assert found.returncode == 0, found.stderr
        first, _ = found.stdout.splitlines()
        assert first.split()[:2] == [name, "sure"]
        assert "looked through 1 of no model" in found.stderr


def test_a_folder_as_json_and_parts(archive: Path, tmp_path: Path) -> None:
    part = np.ascontiguousarray(generated_scene(150, 200, 1)[20:140, 40:190][:, ::-1])
    Image.fromarray(part).save(tmp_path / "part.png")
    arguments = "find", tmp_path / "part.png", archive / "coded", "-r", "--crops", "--json", "-Q"
    found = vaecodec(*arguments)
    assert (found.returncode, found.stderr) == (0, "")
    first = json.loads(found.stdout)[0]
    assert (first["name"], first["mirrored"]) == (str(archive / "coded/b.png.vaec"), True)
    assert np.abs(np.subtract(first["area"], (40, 20, 150, 120))).max() <= 8
    assert set(first) == {"name", "score", "certainty", "mirrored", "area"}
    again = run("find", "-", *arguments[2:], input=(tmp_path / "part.png").read_bytes())
    assert json.loads(again.stdout) == json.loads(found.stdout)
    coded = archive / "coded/a.png.vaec"
    assert json.loads(vaecodec("find", coded, archive / "coded", "--json").stdout)[0]["name"] == str(coded)


def test_it_says_that_absence_is_not_decided(archive: Path, tmp_path: Path) -> None:
    Image.fromarray(generated_scene(150, 200, 99)).save(tmp_path / "other.png")
    found = vaecodec("find", tmp_path / "other.png", archive / "coded")
    assert found.returncode == 0
    assert "sure  " not in found.stdout.replace("unsure", "")
    assert "nothing is sure" in found.stderr
    assert "is not decided" in found.stderr


def test_one_bad_file_does_not_stop_the_rest(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some/a.vaec").write_bytes((archive / "coded/a.png.vaec").read_bytes())
    (tmp_path / "some/b.vaec").write_bytes((archive / "coded/a.png.vaec").read_bytes()[:-9])
    made = vaecodec("features", tmp_path / "some", "-o", tmp_path / "x.npz")
    assert made.returncode == 1
    assert made.stderr.splitlines()[-1].startswith("vaecodec: b.vaec: the file is")
    assert vaecodec("find", archive / "in/a.png", tmp_path / "x.npz", "-Q").stdout.startswith("a.vaec  sure")


def test_what_is_refused(archive: Path, tmp_path: Path) -> None:
    query, index = archive / "in/a.png", tmp_path / "x.npz"
    (tmp_path / "empty").mkdir()
    assert "no .vaec files in" in refused("features", tmp_path / "empty", "-o", index)
    assert "no .vaec files in" in refused("find", query, tmp_path / "empty")
    assert "is no folder" in refused("features", query, "-o", index)
    assert not index.exists()
    assert "no file of arrays (.npz)" in refused("find", query, query)
    assert "no such file" in refused("find", query, tmp_path / "nothing.npz")
    assert run("features", archive / "coded", "-o", index).returncode == 0
    before = index.read_bytes()
    assert "exists already; use -f" in refused("features", archive / "coded", "-o", index)
    assert index.read_bytes() == before
    assert run("features", archive / "coded", "-o", index, "-f").returncode == 0
    assert "not an image" in refused("find", index, index)
    other = run("features", archive / "coded", "-o", "-")
    assert (other.returncode, b"needs a name" in other.stderr) == (2, True)


def test_an_index_of_another_model_is_refused(archive: Path, tmp_path: Path) -> None:
    """The tiny model is not shipped: without its file the index is useless."""
    assert run("features", archive / "coded", "-o", tmp_path / "x.npz").returncode == 0
    command = [*VAECODEC, "find", archive / "in/a.png", tmp_path / "x.npz"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "which is not here: give its file (--model)" in result.stderr
