"""Index files: saved and loaded unchanged; hostile ones give a one-line error."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_drawing, generated_scene

import vaecodec
from vaecodec.features import Index
from vaecodec.system.npz import read_arrays, write_arrays


@pytest.fixture(scope="module")
def index() -> Index:
    codec = vaecodec.Codec("fast", threads=1)
    files = {f"{seed}.vaec": codec.encode(generated_scene(100, 130, seed), 50) for seed in range(3)}
    return Index.build(files | {"kept": codec.encode(generated_drawing())}, codec)


@pytest.fixture
def saved(index: Index, tmp_path: Path) -> Path:
    index.save(tmp_path / "x.npz")
    return tmp_path / "x.npz"


def test_it_comes_back(index: Index, saved: Path) -> None:
    loaded = Index.load(saved)
    assert loaded.counts == index.counts
    for one, other in zip(index, loaded, strict=True):
        assert (one.name, one.width, one.height, one.unit) == (other.name, other.width, other.height, other.unit)
        assert np.array_equal(one.preview, other.preview)
        assert np.array_equal(one.texture, other.texture)
    query, codec = generated_scene(100, 130, 1), vaecodec.Codec("fast", threads=1)
    assert loaded.find(query, codec=codec) == index.find(query, codec=codec)
    with np.load(saved, allow_pickle=False) as arrays:  # numpy alone reads it
        assert arrays["textures_1"].shape == (3, 336)


def test_it_appears_whole_and_replaces_nothing_unasked(index: Index, saved: Path, tmp_path: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(vaecodec.VaecodecError, match="exists already"):
        Index(index.groups[:1]).save(saved)
    assert saved.read_bytes() == before
    Index(index.groups[:1]).save(saved, overwrite=True)
    assert len(Index.load(saved)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def _changed(saved: Path, **arrays: np.ndarray | None) -> Path:
    """A copy of the index file with these arrays changed or (None) removed."""
    held = read_arrays(saved) | arrays
    write_arrays(saved, {name: array for name, array in held.items() if array is not None}, overwrite=True)
    return saved


def _text(saved: Path, **changes: object) -> np.ndarray:
    text = json.loads(read_arrays(saved)["vaecodec_features"].tobytes())
    text["groups"][1] |= changes
    return np.frombuffer(json.dumps(text | {"version": changes.get("version", 1)}).encode(), np.uint8)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sizes_1", None),
        ("vaecodec_features", None),
        ("vaecodec_features", lambda array: array[:-3]),
        ("vaecodec_features", lambda array: np.frombuffer(b"[" * 100_000, np.uint8)),
        ("vaecodec_features", lambda array: np.frombuffer(b'{"version": 1, "groups": {"a": 1}}', np.uint8)),
        ("previews_1", lambda array: array[:-1]),
        ("previews_1", lambda array: array.astype(np.float32)),
        ("shapes_1", lambda array: 0 * array),
        ("shapes_1", lambda array: array + 150),
        ("sizes_1", lambda array: 0 * array),
        ("sizes_1", lambda array: array[:2]),
        ("sizes_1", lambda array: array * np.uint32(2) ** (np.arange(3) == 2)),
        ("textures_1", lambda array: np.nan * array),
        ("textures_1", lambda array: array[:, :0]),
        ("textures_1", lambda array: array[0]),
    ],
)
def test_arrays_that_do_not_agree(saved: Path, name: str, change: object) -> None:
    _changed(saved, **{name: None if change is None else change(read_arrays(saved)[name])})
    with pytest.raises(vaecodec.FormatError, match=r"x\.npz"):
        Index.load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"model": "zz"},
        {"model": 3},
        {"model": ""},
        {"quality": 0},
        {"quality": "50"},
        {"names": ["a"]},
        {"names": [1, 2, 3]},
        {"names": ["a" * 5000, "b", "c"]},
    ],
)
def test_texts_that_do_not_agree(saved: Path, changes: dict[str, object]) -> None:
    _changed(saved, vaecodec_features=_text(saved, **changes))
    with pytest.raises(vaecodec.FormatError, match=r"x\.npz"):
        Index.load(saved)


def _npz(path: Path, data: bytes, name: str = "a.npy") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return path


def _npy(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def test_nothing_is_unpickled_or_believed(tmp_path: Path) -> None:
    path = tmp_path / "hostile.npz"
    objects = _npy(np.array([{}], dtype=object), allow_pickle=True)
    claims = _npy(np.zeros(3)).replace(b"(3,)", b"(3000000000000,)".ljust(4))
    for data in (objects, claims, b"", b"\x93NUMPY", b"no array", _npy(np.array(["text"])), _npy(np.eye(3))[:-1]):
        with pytest.raises(vaecodec.FormatError, match="hostile"):
            read_arrays(_npz(path, data))
    with pytest.raises(vaecodec.FormatError, match="more than 1000 bytes"):
        read_arrays(_npz(path, _npy(np.zeros(10_000))), limit=1000)
    assert np.array_equal(read_arrays(_npz(path, _npy(np.eye(3))))["a"], np.eye(3))
    assert read_arrays(_npz(path, _npy(np.float32(3))))["a"].shape == ()
    for other in (b"", b"PK\x03\x04", b"VAEC"):
        path.write_bytes(other)
        with pytest.raises(vaecodec.FormatError, match="hostile"):
            read_arrays(path)
    with pytest.raises(vaecodec.VaecodecError, match="no such file"):
        read_arrays(tmp_path / "missing.npz")


def test_mutants_end_in_one_line(saved: Path) -> None:
    data, random = saved.read_bytes(), np.random.default_rng(0)
    said = []
    for _ in range(300):
        mutant = bytearray(data)
        for at in random.integers(0, len(data), random.integers(1, 4)):
            mutant[at] = random.integers(256)
        saved.write_bytes(bytes(mutant[: random.integers(len(data))] if random.random() < 0.2 else mutant))
        try:
            Index.load(saved)
        except vaecodec.VaecodecError as error:
            said.append(str(error))
    assert len(said) > 200
    assert not any("\n" in message for message in said)
