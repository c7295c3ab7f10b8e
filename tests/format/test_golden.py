"""Golden streams decode to the same latents for ever, also by a second decoder that shares no code with the codec."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import reference_decoder
from make_golden import FOLDER, TINY, latents_hash
from PIL import Image

import vaecodec
from vaecodec.model.file import load_model, load_model_for
from vaecodec.model.shipped import EARLIER, shipped_models

GOLDEN: dict[str, str] = json.loads((FOLDER / "golden.json").read_text())


def codec_of(name: str) -> vaecodec.Codec:
    return vaecodec.Codec(TINY if name.startswith("tiny-") else None)


def test_there_are_golden_streams_of_every_shipped_model() -> None:
    assert {path.stem for path in FOLDER.glob("*.vaec")} == set(GOLDEN)
    models = {name.rpartition("-")[0] for name in GOLDEN if not name.startswith("tiny-")}
    shipped = {f"{name}-{load_model(name).identity.hex()}" for name in shipped_models()}
    assert models == shipped | set(EARLIER)


@pytest.mark.parametrize("name", GOLDEN)
def test_latents(name: str) -> None:
    assert latents_hash(codec_of(name).decode_latents(FOLDER / f"{name}.vaec")) == GOLDEN[name]


@pytest.mark.parametrize("name", GOLDEN)
def test_second_decoder(name: str) -> None:
    data = (FOLDER / f"{name}.vaec").read_bytes()
    model = (
        TINY
        if name.startswith("tiny-")
        else load_model_for(bytes.fromhex(vaecodec.inspect(data)["model_identity"])).path
    )
    assert latents_hash(reference_decoder.decode_latents(data, model.read_bytes())) == GOLDEN[name]
    if name.startswith("tiny-") or name.endswith("-q5"):
        theirs = reference_decoder.decode(data, model.read_bytes()).astype(int)
        ours = np.asarray(codec_of(name).decode(data)).astype(int)
        channels = 1 if theirs.ndim == 2 else 3
        alpha = reference_decoder.decode_alpha(data, model.read_bytes())
        assert (alpha is not None) == ("alpha" in name)
        if alpha is not None:
            assert np.array_equal(alpha, ours[:, :, -1])
        assert np.abs(theirs - ours.reshape(*theirs.shape[:2], -1)[:, :, :channels].reshape(theirs.shape)).max() <= 1


def test_second_decoder_refuses_damage() -> None:
    data = (FOLDER / "tiny-tiles.vaec").read_bytes()
    model = TINY.read_bytes()
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 0x20
        with pytest.raises(reference_decoder.FormatError):
            reference_decoder.decode_latents(bytes(damaged), model)


def test_features_of_golden_streams() -> None:
    facts = {name: vaecodec.inspect(FOLDER / f"{name}.vaec") for name in GOLDEN}
    assert {facts[name]["mode"] for name in ("tiny-gray", "tiny-tiles-gray")} == {"L"}
    assert facts["tiny-gray-alpha"]["mode"] == "LA"
    assert {facts[name]["tile"] for name in ("tiny-tiles", "tiny-tiles-gray")} == {128}
    assert facts["tiny-tiles-256"]["tile"] == 256
    unknown = (FOLDER / "tiny-unknown-sections.vaec").read_bytes()
    assert b"of a later writer" in unknown
    assert codec_of("tiny-").decode(unknown).info == {"xmp": b"<x:xmpmeta/>"}


@pytest.mark.parametrize("path", sorted((FOLDER / "kept").glob("*.vaec")), ids=lambda path: path.stem)
def test_what_is_kept_as_it_was(path: Path) -> None:
    """Both decoders give the pixels of then: without loss, of a JPEG as near as decoders of JPEG are to each other."""
    expected = np.asarray(Image.open(path.with_suffix(".png"))).astype(int)
    ours = np.asarray(codec_of("tiny-").decode(path)).astype(int)
    theirs = reference_decoder.decode(path.read_bytes(), TINY.read_bytes())
    slack = 2 if path.stem.startswith("jpeg") else 0
    assert np.array_equal(theirs, ours)
    assert np.abs(ours - expected).max() <= slack


def test_versions_of_what_is_kept() -> None:
    versions = {path.stem: path.read_bytes()[4] for path in (FOLDER / "kept").glob("*.vaec")}
    newer = {"jpeg-progressive", "jpeg-turned", "jpeg-upside-down"}
    assert {name for name, version in versions.items() if version == 3} == newer
    assert set(versions) - newer == {"jpeg-plain", "jpeg-gray", "pixels", "pixels-colour"}
