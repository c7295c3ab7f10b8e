"""The model and the quality that encode unless others are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import vaecodec
import vaecodec.pillow
from vaecodec.cli.main import group
from vaecodec.folders import Task, Worker
from vaecodec.model.defaults import ORDINARY_QUALITY, TUNES, default_quality, qualities, tuned_model
from vaecodec.model.file import load_model
from vaecodec.model.shipped import shipped_models


def quality_and_model(data: bytes | Path) -> tuple[float, str]:
    facts = vaecodec.inspect(data)
    return facts["quality"], facts["model"]


def test_every_shipped_model_was_measured() -> None:
    """benchmarks/quality.py, run again whenever weights change: tables of other weights are not here."""
    identities = {load_model(name).identity.hex(): name for name in shipped_models()}
    assert {identity: entry["model"] for identity, entry in qualities().items()} == identities
    for entry in qualities().values():
        table = {row["quality"]: row for row in entry["table"]}
        assert entry["pictures"] >= 20
        assert 70 <= table[entry["default_quality"]]["ssimulacra2"] <= 73
        scores = [row["ssimulacra2"] for row in entry["table"]]
        assert scores == sorted(scores)
        for row in entry["table"]:
            for name in ("bpp", "psnr", "ssimulacra2"):
                low, high = row[f"{name}_spread"]
                assert low < row[name] < high


def test_a_model_that_was_not_measured_has_an_ordinary_quality() -> None:
    assert default_quality("00000000") == ORDINARY_QUALITY


def test_tunes_are_names_of_shipped_models() -> None:
    assert set(TUNES.values()) <= set(shipped_models())
    assert [load_model(TUNES[tune]).config.metric for tune in ("eye", "psnr", "ms-ssim")] == ["eye", "mse", "ms-ssim"]
    assert tuned_model("x.safetensors", None) == "x.safetensors"
    assert tuned_model(None, None) is None


@pytest.mark.parametrize("tune", [None, "psnr", "ms-ssim"])
def test_the_same_default_everywhere(tune: str | None, tmp_path: Path, picture: np.ndarray) -> None:
    name = TUNES[tune or "eye"]
    expected = (load_model(name).default_quality, name)
    (tmp_path / "in").mkdir()
    source = tmp_path / "in/a.png"
    Image.fromarray(picture).save(source)
    options = {"tune": tune} if tune else {}
    assert quality_and_model(vaecodec.encode(picture, **options)) == expected
    codec = vaecodec.Codec(**options)
    assert quality_and_model(codec.encode(picture)) == expected
    assert quality_and_model(codec.encode_batch([picture])[0]) == expected
    Image.open(source).save(tmp_path / "pillow.vaec", **options)
    assert quality_and_model(tmp_path / "pillow.vaec") == expected
    flags = ["--tune", tune] if tune else []
    for arguments in (["encode", source, tmp_path / "a.vaec"], ["encode", tmp_path / "in", "-o", tmp_path / "out"]):
        result = CliRunner().invoke(group, [*map(str, arguments), *flags])
        assert result.exit_code == 0, result.output
    assert quality_and_model(tmp_path / "a.vaec") == quality_and_model(tmp_path / "out/a.png.vaec") == expected
    worker = Worker(Task("encode", ".vaec", codec=options))
    assert quality_and_model(worker.codec.encode(picture)) == expected


def test_tune_and_model_do_not_go_together(tmp_path: Path, picture_file: Path) -> None:
    for source in (picture_file, picture_file.parent):
        arguments = ["encode", str(source), "-o", str(tmp_path / "out"), "--tune", "psnr", "--model", "fast"]
        result = CliRunner().invoke(group, arguments)
        assert result.exit_code == 2
        assert "give one of them" in result.output
        assert not (tmp_path / "out").exists()
    assert CliRunner().invoke(group, ["encode", str(picture_file), "--tune", "taste"]).exit_code == 2
