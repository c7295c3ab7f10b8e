"""Finding pictures among compressed files: whole, in part, mirrored, and absent ones."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_drawing, generated_scene
from PIL import Image

import vaecodec
from vaecodec.features import Index
from vaecodec.model.file import ModelFile
from vaecodec.uses import searching
from vaecodec.uses.entries import Group
from vaecodec.uses.likeness import Field, detail, gradients, templates, without_slope

SIZE = 240, 320


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec("fast", threads=1)


@pytest.fixture(scope="module")
def scenes() -> list[np.ndarray]:
    return [generated_scene(*SIZE, seed) for seed in range(14)]


@pytest.fixture(scope="module")
def files(codec: vaecodec.Codec, scenes: list[np.ndarray]) -> dict[str, bytes]:
    return {f"{number}.vaec": codec.encode(scene, 50) for number, scene in enumerate(scenes)}


@pytest.fixture(scope="module")
def index(codec: vaecodec.Codec, files: dict[str, bytes]) -> Index:
    return Index.build(files, codec)


def _jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file)


WHOLES = {
    "jpeg": _jpeg,
    "half": lambda image: image.resize((160, 120)),
    "gray": lambda image: image.convert("L"),
    "brighter": lambda image: image.point(lambda sample: min(255, 1.3 * sample)),
    "border off": lambda image: image.crop((16, 12, 304, 228)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@pytest.mark.parametrize("kind", WHOLES)
@pytest.mark.parametrize("number", [3, 8])
def test_wholes(kind: str, number: int, index: Index, codec: vaecodec.Codec, scenes: list[np.ndarray]) -> None:
    first, second, *_ = index.find(WHOLES[kind](Image.fromarray(scenes[number])), codec=codec)
    assert (first.name, first.certainty, first.mirrored) == (f"{number}.vaec", "sure", kind == "mirrored")
    assert second.score < searching.SURE
    left, top, width, height = first.area
    wanted = (16, 12, 288, 216) if kind == "border off" else (0, 0, 320, 240)
    assert np.abs(np.subtract((left, top, width, height), wanted)).max() <= 8


@pytest.mark.parametrize("box", [(96, 50, 320, 218), (40, 70, 200, 190)])
@pytest.mark.parametrize("turned", [False, True])
def test_parts_by_the_shortlist_of_textures(
    box: tuple[int, int, int, int],
    turned: bool,
    index: Index,
    codec: vaecodec.Codec,
    scenes: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a large archive, where only the nearest textures are checked."""
    monkeypatch.setattr(searching, "TEXTURES", 4)
    monkeypatch.setattr(searching, "WHOLES", 1)
    part = Image.fromarray(scenes[5]).crop(box)
    query = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if turned else part
    first, *others = index.find(query, parts=True, count=9, codec=codec)
    assert (first.name, first.mirrored) == ("5.vaec", turned)
    assert first.certainty != "unsure"
    assert len(others) <= 4
    left, top, width, height = first.area
    assert np.abs(np.subtract((left, top, left + width, top + height), box)).max() <= 8


def test_parts_at_another_size(index: Index, codec: vaecodec.Codec, scenes: list[np.ndarray]) -> None:
    part = Image.fromarray(scenes[2]).crop((60, 0, 320, 200))
    first, *_ = index.find(part.resize((182, 140)), parts=True, codec=codec)
    assert first.name == "2.vaec"
    assert np.abs(np.subtract(first.area, (60, 0, 260, 200))).max() <= 20


def test_what_is_not_there_is_not_sure(index: Index, codec: vaecodec.Codec) -> None:
    for seed in range(100, 106):
        assert index.find(generated_scene(*SIZE, seed), parts=True, codec=codec)[0].certainty == "unsure"


def test_a_coded_query_and_a_flat_one(
    index: Index, codec: vaecodec.Codec, files: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "query.vaec").write_bytes(files["7.vaec"])
    assert index.find(tmp_path / "query.vaec", codec=codec)[0].name == "7.vaec"
    assert index.find(files["7.vaec"], count=1, codec=codec)[0].score > searching.SURE
    for side in (1, 3, 200):
        flat = index.find(np.full((side, side), 90, np.uint8), parts=True, codec=codec)
        assert (flat[0].score, flat[0].certainty) == (0, "unsure")


def test_one_index_a_model_and_files_without_latents(scenes: list[np.ndarray], tmp_path: Path) -> None:
    """Drawings kept as pixels are found by their previews, beside files of several models."""
    codec = vaecodec.Codec("fast", threads=1)
    other = vaecodec.Codec("eye", threads=1)
    drawing = generated_drawing()
    files = {"fast": codec.encode(scenes[0], 50), "eye": other.encode(scenes[1], 50), "kept": codec.encode(drawing)}
    index = Index.build(files | {"bad": b"VAEC\x02", "missing": tmp_path / "nothing.vaec"}, codec)
    assert index.counts == {"": 1, codec.model.identity.hex(): 1, other.model.identity.hex(): 1}
    assert [name for name, _ in index.refused] == ["bad", "missing"]
    assert "no such file" in index.refused[1][1]
    for name, picture in (("fast", scenes[0]), ("eye", scenes[1]), ("kept", drawing)):
        assert index.find(picture, codec=codec)[0].name == name
    assert index.find(drawing[:160, :208], parts=True, codec=codec)[0].name == "kept"


def test_nothing_to_look_through(codec: vaecodec.Codec, index: Index) -> None:
    with pytest.raises(vaecodec.VaecodecError, match="no pictures"):
        Index([]).find(np.zeros((9, 9), np.uint8))
    with pytest.raises(vaecodec.VaecodecError, match="at least one"):
        index.find(np.zeros((9, 9), np.uint8), count=0, codec=codec)


def test_another_model_is_refused(
    scenes: list[np.ndarray], index: Index, codec: vaecodec.Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = vaecodec.Codec(TINY, threads=1, keep=False)
    own = Index.build({"a": tiny.encode(scenes[0], 50)}, tiny)
    assert own.find(scenes[0], codec=tiny)[0].name == "a"
    with pytest.raises(vaecodec.ModelError, match=r"files of model [0-9a-f]{8}, which is not here.*\(model\)"):
        own.find(scenes[0], codec=codec)
    (group,) = index.groups
    swapped = Index([replace(group, entries=[replace(e, texture=e.texture[:16]) for e in group.entries])])
    monkeypatch.setattr(searching, "TEXTURES", 4)
    with pytest.raises(vaecodec.ModelError, match="not one of model fast"):
        swapped.find(scenes[0], parts=True, codec=codec)


def test_models_that_only_decode_are_searched_by_previews(
    index: Index, codec: vaecodec.Codec, scenes: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "TEXTURES", 4)
    monkeypatch.setattr(ModelFile, "slim", True)
    assert index.find(scenes[4], parts=True, codec=codec)[0].name == "4.vaec"


def test_the_field_is_the_correlation_by_its_definition() -> None:
    random = np.random.default_rng(0)
    candidates = [random.uniform(0, 255, shape).astype(np.float32) for shape in ((17, 23), (30, 12), (9, 9))]
    template = gradients(candidates[0][4:15, 6:17] + random.normal(0, 40, (11, 11)).astype(np.float32))
    places = Field(candidates).best(template)
    assert (places[0].top, places[0].left) == (4, 6)
    for candidate, place in zip(candidates[:2], places, strict=False):
        field, size, own = gradients(candidate), template.shape[1:], without_slope(template)
        scores = {}
        for top in range(field.shape[1] - size[0] + 1):
            for left in range(field.shape[2] - size[1] + 1):
                part = without_slope(field[:, top : top + size[0], left : left + size[1]])
                scores[top, left] = (part * own).sum() / np.sqrt((part**2).sum() * (own**2).sum())
        assert place.score == pytest.approx(max(scores.values()), abs=1e-4)
    assert places[2] == (0, 0, 0)  # it does not fit on that


def test_detail_counts_pixels_with_gradient() -> None:
    plane = np.zeros((2, 30, 30), np.float32)
    plane[0, :5, :8] = np.where(np.indices((5, 8)).sum(0) % 2, 40, -40)
    assert detail(plane) == pytest.approx(40)
    assert detail(plane + 90) == pytest.approx(40, rel=1e-4)  # a slope is no detail
    assert Field([np.indices((30, 40)).sum(0) * np.float32(5)]).best(np.full((2, 9, 9), 5, np.float32))[0].score == 0
    assert detail(np.zeros((2, 30, 30), np.float32)) == 0
    assert templates(np.zeros((40, 400), np.float32), 8.0) == []


def test_the_shortlist_tells_textures_apart() -> None:
    random = np.random.default_rng(1)
    kinds = random.normal(0, 1, (90, 20)).astype(np.float32)
    entries = [replace(_entry(), texture=kind) for kind in kinds]
    group = Group("cc455c78", 50, entries)
    for number in (0, 44, 89):
        near = group.nearest(kinds[number] + random.normal(0, 0.1, 20).astype(np.float32), 5)
        assert near[0] == number
        assert len(set(near)) == 5


def _entry():
    from vaecodec.uses.entries import Entry

    return Entry("a", 320, 240, 8, np.zeros((30, 40), np.uint8), np.zeros(20, np.float32))
