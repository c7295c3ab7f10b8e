"""Model files travel with archives and are hostile too; those that were shipped once decode for ever."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import reference_decoder
from fuzz_models import mutant
from make_golden import FOLDER, TINY, latents_hash
from safetensors.numpy import load, save

import vaecodec
from vaecodec.errors import ModelError
from vaecodec.model import file as store
from vaecodec.model import reading, shipped
from vaecodec.model.config import ModelConfig
from vaecodec.model.file import load_model, read_model, slim_copy
from vaecodec.model.shipped import EARLIER, shipped_models

CASES = Path(__file__).parents[1] / "cases"
GOLDEN = json.loads((FOLDER / "golden.json").read_text())
DATA = TINY.read_bytes()
TENSORS = load(DATA)
METADATA = json.loads(DATA[8 : 8 + int.from_bytes(DATA[:8], "little")])["__metadata__"]


def _file(path: Path, metadata: dict | None = None, **tensors: np.ndarray | None) -> Path:
    changed = {name: TENSORS[name] for name in TENSORS} | {n.replace("__", "."): t for n, t in tensors.items()}
    path.write_bytes(save({n: t for n, t in changed.items() if t is not None}, METADATA | (metadata or {})))
    return path


def _with(name: str, place: int, value: float) -> dict[str, np.ndarray]:
    tensor = TENSORS[name].copy()
    tensor.flat[place] = value
    return {name.replace(".", "__"): tensor}


CONFIG = json.loads(METADATA["config"])
WEIGHT, EXACT = "synthesis.stem.weight", "prior.hyper_synthesis.stem"
BAD = {
    "no counts": {"tables__latent__counts": None},
    "fractional counts": {"tables__latent__counts": TENSORS["tables.latent.counts"].astype(np.float32)},
    "a count too many": _with("tables.hyper.counts", 0, TENSORS["tables.hyper.counts"][0] + 1),
    "no number": _with(WEIGHT, 3, np.nan),
    "endless": _with(WEIGHT, 3, np.inf),
    "saturated": _with(WEIGHT, 3, 65504),
    "a rate beyond all": _with("synthesis.blocks.rate", 0, 100),
    "norm at its end": _with("norm", 0, 32767),
    "norm at its other end": _with("norm", 0, -32768),
    "gain at its end": _with("gain", 0, -32768),
    "minus 128": _with(f"{EXACT}.weight", 0, -128),
    "shift 255": _with(f"{EXACT}.shift", 0, 255),
    "overflow by bias": _with(f"{EXACT}.bias", 0, 32767) | _with(f"{EXACT}.shift", 0, 16),
    "overflow by rate": {"prior__hyper_rate": np.full_like(TENSORS["prior.hyper_rate"], -32768)}
    | _with(f"{EXACT}.shift", 0, 14),
    "another shape": {WEIGHT.replace(".", "__"): TENSORS[WEIGHT][:, :-1]},
    "another type": {WEIGHT.replace(".", "__"): TENSORS[WEIGHT].astype(np.float32)},
    "nested": {"metadata": {"config": "[" * 100_000}},
    "huge": {"metadata": {"config": json.dumps(dict.fromkeys(CONFIG, 4096) | {"name": "x"})}},
    "lambda": {"metadata": {"config": json.dumps(CONFIG | {"lambda_max": float("inf")})}},
    "name": {"metadata": {"config": json.dumps(CONFIG | {"name": "a\x1b[31m\n"})}},
    "purpose": {"metadata": {"config": json.dumps(CONFIG | {"trained_for": "a\nb"})}},
    "purpose of another type": {"metadata": {"config": json.dumps(CONFIG | {"trained_for": 3})}},
    "unknown field": {"metadata": {"config": json.dumps(CONFIG | {"decoder_gates": 2})}},
    "identity": {"metadata": {"identity": "ff" * 32}},
    "short identity": {"metadata": {"identity": "ff"}},
    "format": {"metadata": {"format": "another"}},
}


@pytest.mark.parametrize("fault", BAD)
def test_hostile_models_are_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    path = _file(tmp_path / "model.safetensors", **BAD[fault])
    started = time.process_time()
    with pytest.raises(ModelError, match=r"model\.safetensors") as error:
        read_model(path)
    assert time.process_time() - started < 2
    assert len(str(error.value).splitlines()) == 1


def test_fields_that_decoding_does_not_need_may_be_unknown(tmp_path: Path) -> None:
    """FORMAT.md, section 6: of encoders and of training."""
    more = {"encoder_search": [1, 2], "trained_hours": 7.5, "trained_for": "eye"}
    path = _file(tmp_path / "later.safetensors", {"config": json.dumps(CONFIG | more)})
    model = read_model(path)
    assert model.config == dataclasses.replace(read_model(TINY).config, trained_for="eye")
    pixels = np.zeros((8, 8, 3), np.uint8)
    assert vaecodec.Codec(path).decode(vaecodec.Codec(path).encode(pixels, 50)).size == (8, 8)
    assert ModelConfig.from_json(model.config.to_json()) == model.config
    assert "trained_for" not in read_model(TINY).config.to_json()


@pytest.mark.parametrize("path", sorted(CASES.glob("model-*.safetensors")), ids=lambda path: path.stem)
def test_cases(path: Path) -> None:
    with pytest.raises(ModelError, match=path.stem):
        vaecodec.Codec(path).encode(np.zeros((8, 8, 3), np.uint8))


def test_what_is_no_file_of_a_sane_size(tmp_path: Path) -> None:
    """Pipes, devices, folders, gigabytes of nothing, headers of gigabytes: refused before they are read."""
    os.mkfifo(tmp_path / "pipe.safetensors")
    with open(tmp_path / "sparse.safetensors", "wb") as file:
        file.write(DATA)
        file.truncate(5 << 30)
    with open(tmp_path / "header.safetensors", "wb") as file:
        file.write((1 << 26).to_bytes(8, "little") + b"{")
        file.truncate(1 << 26)
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "twice.safetensors").write_bytes(_twice())
    for name in ("pipe", "sparse", "header", "folder", "twice", "absent"):
        started = time.perf_counter()
        with pytest.raises(ModelError, match=rf"{name}\.safetensors"):
            read_model(tmp_path / f"{name}.safetensors")
        assert time.perf_counter() - started < 2, name
    with pytest.raises(ModelError):
        read_model("/dev/zero")


def _twice() -> bytes:
    """A key twice in the header."""
    size = int.from_bytes(DATA[:8], "little")
    header = DATA[8 : 8 + size].rstrip()[:-1] + b',"norm":{"dtype":"I16","shape":[16],"data_offsets":[0,32]}}'
    return len(header).to_bytes(8, "little") + header + DATA[8 + size :]


def test_bounds_are_those_of_the_exporter() -> None:
    pytest.importorskip("torch")
    from vaecodec.nets.torch.backend import load_vae

    for model in (read_model(TINY), load_model("fast")):
        expected = {f"prior.{name}": ratio for name, ratio in load_vae(model).prior.check_bounds().items()}
        assert reading.bound_ratios(model.config, model.tensors) == pytest.approx(expected, rel=1e-4)
        assert max(expected.values()) < 1


@pytest.mark.parametrize("name", EARLIER)
def test_models_that_were_shipped_decode_for_ever(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their golden streams, though the full files were gone."""
    for module in (shipped, store):
        monkeypatch.setattr(module, "shipped", dict)
    model = load_model(name)
    assert model.slim
    assert model.identity.hex() == name[-8:]
    codec = vaecodec.Codec(threads=1)
    streams = [path for path in FOLDER.glob("*.vaec") if path.read_bytes()[10:24].find(model.identity) >= 0]
    assert len(streams) >= 4
    for path in streams:
        assert latents_hash(codec.decode_latents(path)) == GOLDEN[path.stem]
        assert codec.decode(path).size
        assert codec.preview(path).size
    with pytest.raises(ModelError, match="only decodes"):
        vaecodec.Codec(name).encode(np.zeros((8, 8, 3), np.uint8))


def test_pixels_of_slim_models_are_those_of_the_full_ones() -> None:
    pytest.importorskip("torch")
    data = (FOLDER / "fast-2341a3a8-q50.vaec").read_bytes()
    name = next(name for name in EARLIER if bytes.fromhex(name[-8:]) in data[:24])
    for backend in ("onnx", "torch"):
        ours = vaecodec.Codec(name, backend).decode_array(data)
        assert np.array_equal(ours, vaecodec.Codec(backend=backend).decode_array(data))


def test_slim_copies_are_what_is_listed(tmp_path: Path) -> None:
    for name in shipped_models():
        full = load_model(name)
        data = slim_copy(full)
        assert len(data) < 4_000_000
        known = EARLIER.get(f"{name}-{full.identity.hex()}")
        assert known is None or known == hashlib.sha256(data).hexdigest()
    (tmp_path / "mine.safetensors").write_bytes(slim_copy(read_model(TINY)))
    with pytest.raises(ModelError, match="nothing says that it is what it claims"):
        read_model(tmp_path / "mine.safetensors")
    tampered = bytearray(Path(load_model("fast-2341a3a8").path).read_bytes())
    tampered[-1] ^= 1
    (tmp_path / "fast-2341a3a8.safetensors").write_bytes(tampered)
    with pytest.raises(ModelError):
        read_model(tmp_path / "fast-2341a3a8.safetensors")


def test_mutants_of_a_model_are_refused_or_work(tmp_path: Path) -> None:
    """Repeats some of what tests/tools/fuzz_models.py tried (docs/robustness.md)."""
    path, picture = tmp_path / "mutant.safetensors", np.full((40, 40, 3), 90, np.uint8)
    worked = 0
    for seed in range(500):
        path.write_bytes(mutant(DATA, np.random.default_rng(seed)))
        started = time.process_time()
        try:
            codec = vaecodec.Codec(read_model(path) and path, threads=1)
            if seed % 5 == 0:
                codec.decode(codec.encode(picture, 90))
            worked += 1
        except vaecodec.VaecodecError:
            pass
        assert time.process_time() - started < 2
    assert 20 < worked < 480


def test_the_second_decoder_reads_the_format_of_models() -> None:
    assert reference_decoder.Model(DATA).config["latents"] == read_model(TINY).config.latents
