"""Folders: what --resume counts as done."""

from __future__ import annotations

import json
from pathlib import Path

from test_folder_names import ENCODE, make, names, vaecodec

from vaecodec.folders import make_plan, without_done


def test_resume_finds_archives_of_the_old_rule(tmp_path: Path) -> None:
    """a.vaec counts as the output of a.png if a manifest says so, and not by its name alone."""
    make(tmp_path / "in", "a.png", "deep/c.png", "deep/c.webp", "deep/a.png", "new.png")
    out = tmp_path / "out"
    old = {"a.png": "a.vaec", "deep/c.png": "deep/c.png.vaec", "deep/c.webp": "deep/c.webp.vaec"}
    (out / "deep").mkdir(parents=True)
    lines = [json.dumps({"source": f"in/{source}", "target": f"out/{target}"}) for source, target in old.items()]
    lines += ["{torn", '{"source": "in/new.png", "error": "no"}', '{"source": "in/b.png", "target": "out/b.vaec"}']
    (out / "manifest.jsonl").write_text('{"source": "in/x.png", "target": "out/gone.vaec"}\n' + "\n".join(lines))
    for target in (*old.values(), "new.vaec", "b.vaec"):
        (out / target).write_bytes(b"VAEC")

    def left(root: Path, out: Path) -> set[str]:
        plan = make_plan(root, out, ENCODE, True)
        return {job.name for job in without_done(plan.jobs, out, ENCODE)}

    assert left(tmp_path / "in", out) == {"new.png", "deep/a.png"}
    make(tmp_path / "in", "b.jpg")  # b.vaec was made of b.png
    assert left(tmp_path / "in", out) == {"new.png", "deep/a.png", "b.jpg"}
    run = vaecodec("encode", "in", "-o", "out", "-r", "--resume", cwd=tmp_path)
    assert "3 of 6 files, 3 skipped" in run.stderr, run.stderr
    moved = tmp_path / "elsewhere/out"
    moved.parent.mkdir()
    out.rename(moved)
    assert left(tmp_path / "in", moved) == set()


def test_resume_takes_no_file_for_the_output_that_was_made_of_another(tmp_path: Path) -> None:
    coded, out = make(tmp_path / "in", "a.jpg", "b.png"), tmp_path / "out"
    assert vaecodec("encode", coded, "-o", tmp_path / "coded").returncode == 0
    coded = tmp_path / "coded"
    assert vaecodec("decode", coded, "-o", out).returncode == 0
    assert names(out) == {"a.png", "b.png"}
    (coded / "a.jpg.vaec").rename(coded / "a.webp.vaec")  # another picture of the same name
    again = vaecodec("decode", coded, "-o", out, "--resume")
    assert (again.returncode, "a.png exists already" in again.stderr) == (1, True)
    (coded / "a.webp.vaec").rename(coded / "a.jpg.vaec")
    (coded / "a.png.vaec").write_bytes((coded / "a.jpg.vaec").read_bytes())  # now two would be a.png
    assert vaecodec("decode", coded, "-o", out, "--resume").returncode == 0
    assert names(out) == {"a.png", "b.png", "a.png.png"}  # a.jpg.vaec was done, as a.png
