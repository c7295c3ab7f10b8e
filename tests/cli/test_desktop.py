"""The files for Linux desktops agree with the format."""

from __future__ import annotations

import shlex
from configparser import ConfigParser
from pathlib import Path
from xml.etree import ElementTree

from commands import run
from PIL import Image

from vaecodec import pillow
from vaecodec.bitstream.container import JPEG_VERSION, VERSION
from vaecodec.system.naming import MAGIC

DATA = Path(__file__).parents[2] / "data"
NAMES = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}


def test_the_type_is_known_by_its_first_bytes_and_its_suffix() -> None:
    (kind,) = ElementTree.parse(DATA / "vaecodec.xml").getroot()
    assert kind.get("type") == pillow.MIME
    assert [glob.get("pattern") for glob in kind.findall("m:glob", NAMES)] == ["*.vaec"]
    (start,) = kind.findall("m:magic/m:match", NAMES)
    assert (start.get("offset"), start.get("value")) == ("0", MAGIC.decode())
    versions = start.findall("m:match", NAMES)
    assert [(v.get("offset"), int(v.get("value"))) for v in versions] == [("4", VERSION), ("4", JPEG_VERSION)]


def test_the_thumbnailer_runs(folder: Path) -> None:
    entries = ConfigParser(interpolation=None)
    entries.optionxform = str
    entries.read(DATA / "vaecodec.thumbnailer")
    entry = entries["Thumbnailer Entry"]
    assert entry["MimeType"] == f"{pillow.MIME};"
    assert run("encode", folder / "a.png").returncode == 0
    thumbnail = folder / "thumbnail"
    thumbnail.touch()  # as desktops make it
    places = {"%i": str(folder / "a.vaec"), "%o": str(thumbnail)}
    words = [places.get(word, word) for word in shlex.split(entry["Exec"])]
    assert words[0] == entry["TryExec"] == "vaecodec"
    result = run(*words[1:])
    assert (result.returncode, result.stderr) == (0, b"")
    assert Image.open(thumbnail).format == "PNG"
