"""The library as people call it: examples, files, mistakes."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

import vaecodec
from vaecodec.errors import MissingPackageError

ROOT = Path(__file__).parents[2]
INTERNAL = ("picture", "pictures", "reach")
"""How names of methods end that deal with pictures of the internal kind."""
METHODS = [name for name in vars(vaecodec.Codec) if not name.startswith("_") and not name.endswith(INTERNAL)]
CALLED = [*vaecodec.__all__, *(f"Codec.{name}" for name in METHODS)]


def found(name: str) -> object:
    item: object = vaecodec
    for part in name.split("."):
        item = getattr(item, part) if not isinstance(item, type) else vars(item)[part]
    return item


PUBLIC = [name for name in CALLED if callable(found(name)) or isinstance(found(name), property)]
PLAIN = ("Error", "Damage", "Target", "ImageLike", "SourceLike")
"""What is caught, given back or annotated."""


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the examples begin with, in a folder with photo.png and photo.vaec."""
    monkeypatch.chdir(tmp_path)
    image = generated_picture(64, 96)
    Image.fromarray(image).save("photo.png")
    codec = vaecodec.Codec("fast", threads=1)
    data = codec.encode(image, 50)
    Path("photo.vaec").write_bytes(data)
    return {"vaecodec": vaecodec, "np": np, "image": image, "codec": codec, "data": data}


@pytest.mark.parametrize("name", [name for name in PUBLIC if not name.endswith(PLAIN)])
def test_examples(name: str, names: dict[str, object]) -> None:
    if name.endswith("tensor"):
        pytest.importorskip("torch")
    check(found(name), name, names)


@pytest.mark.parametrize("name", ["VaecDataset", "webdataset_decoder"])
def test_examples_of_data_sets(name: str, names: dict[str, object]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("webdataset")
    check(getattr(importlib.import_module("vaecodec.datasets"), name), name, names)


@pytest.mark.parametrize("name", ["read", "Index", "Index.build", "Index.find", "Index.load", "Index.save"])
def test_examples_of_features(name: str, names: dict[str, object]) -> None:
    from vaecodec import features

    item: object = features
    for part in name.split("."):
        item = getattr(item, part)
    check(item, name, names | {"features": features})


def check(item: object, name: str, names: dict[str, object]) -> None:
    test = doctest.DocTestParser().get_doctest(item.__doc__ or "", dict(names), name, None, 0)
    assert test.examples, f"{name} has no example"
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


def test_a_wrong_model_fails_at_once_and_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaecodec.model.file.read_raw", pytest.fail)
    with pytest.raises(vaecodec.ModelError, match=r"unknown model 'nope'; shipped models: .*fast"):
        vaecodec.Codec("nope")
    for missing in (
        tmp_path / "mine.safetensors",
        str(tmp_path / "mine.safetensors"),
        f"file://{tmp_path}/m.safetensors",
    ):
        with pytest.raises(vaecodec.ModelError, match=r"m(ine)?\.safetensors .*no such file"):
            vaecodec.Codec(missing)
    with pytest.raises(vaecodec.ModelError, match=r"folder|regular|directory"):
        vaecodec.Codec(tmp_path)
    vaecodec.Codec("fast"), vaecodec.Codec(TINY), vaecodec.Codec("fast-2341a3a8")


def test_repr_says_what_is_not_as_usual() -> None:
    assert repr(vaecodec.Codec(tune="psnr")) == "Codec(model='fast')"
    assert repr(vaecodec.Codec(tune="psnr", threads=2, effort=3)) == "Codec(model='fast', threads=2, effort=3)"
    assert repr(vaecodec.Codec()).startswith("Codec(model='")
    codec = vaecodec.Codec(TINY, keep=False)
    assert eval(repr(codec), {"Codec": vaecodec.Codec}).session.settings.keep is False
    assert repr(pickle.loads(pickle.dumps(codec))) == repr(codec)


def test_effort_of_one_image(picture: np.ndarray) -> None:
    codec = vaecodec.Codec("fast", threads=1)
    plain, refined = codec.encode(picture, 50), codec.encode(picture, 50, effort=2)
    assert refined == vaecodec.Codec("fast", threads=1, effort=2).encode(picture, 50) != plain
    assert codec.encode_batch([picture], 50, effort=2) == [refined]
    assert vaecodec.encode(picture, 50, "fast", effort=2) == refined
    assert vaecodec.Codec("fast", threads=1, effort=2).encode(picture, 50, effort=1) == plain
    target = vaecodec.Size(len(refined))
    assert len(codec.encode(picture, target=target, effort=2)) <= len(refined)
    with pytest.raises(vaecodec.VaecodecError, match="effort must be"):
        codec.encode(picture, 50, effort=10)


BLOCKED = """
import sys
for name in {missing!r}: sys.modules[name] = None
import numpy as np, vaecodec
try:
    {code}
except vaecodec.VaecodecError as error:
    assert isinstance(error, (vaecodec.MissingPackageError, vaecodec.BackendError)), type(error)
    print(error)
"""
PARTS = [
    (["ray"], "import vaecodec.ray", "ray"),
    (["pyarrow"], "import vaecodec.ray", "ray"),
    (["torch"], "import vaecodec.datasets", "torch"),
    (["torch"], "vaecodec.Codec({tiny!r}).decode_to_tensor(vaecodec.encode(np.zeros((9, 9), np.uint8)))", "torch"),
    (
        ["torch"],
        "vaecodec.Codec({tiny!r}).decode_batch([vaecodec.encode(np.zeros((9, 9), np.uint8))], 'torch')",
        "torch",
    ),
    (["torch"], "vaecodec.Codec({tiny!r}, backend='torch').encode(np.zeros((9, 9), np.uint8))", "torch"),
    (["fsspec"], "vaecodec.decode('s3://bucket/a.vaec')", "fsspec"),
]


@pytest.mark.parametrize(("missing", "code", "extra"), PARTS)
def test_what_is_not_installed_is_named(missing: list[str], code: str, extra: str) -> None:
    script = BLOCKED.format(missing=missing, code=code.format(tiny=str(TINY)))
    if extra == "fsspec":
        script = script.replace("assert isinstance", "True or isinstance")
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"pip install 'vaecodec[{extra}]'" in result.stdout
    assert result.stdout.count("\n") == 1


def test_tar_shards_without_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from vaecodec.datasets import webdataset_decoder

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"vaecodec\[webdataset\]") as caught:
        webdataset_decoder("numpy")
    assert isinstance(caught.value, ImportError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_page_names_all_that_is_public() -> None:
    page = (ROOT / "docs/api.md").read_text()
    for name in [*vaecodec.__all__, *METHODS]:
        assert re.search(rf"`(vaecodec\.)?{name}\b", page), name
    for arguments in re.findall(r"^\| `(\w+)\((.*?)\)[^|]*` \|", page.split("## Codec")[1], re.M):
        signature = inspect.signature(getattr(vaecodec.Codec, arguments[0]))
        shown = [part.split("=")[0].strip() for part in arguments[1].split(",") if part.strip() not in ("", "*")]
        assert shown == [name for name in signature.parameters if name != "self"], arguments[0]
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    exec(compile(block, "api.md", "exec"), {})
