"""The page of the web package with files embedded: any browser shows them and encodes, with nothing installed."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from vaecodec.bitstream.container import read_container
from vaecodec.errors import FormatError, ModelError
from vaecodec.inspection import KEPT
from vaecodec.model.file import ModelFile, load_model, load_model_for, slim_copy
from vaecodec.model.reading import read_raw
from vaecodec.model.shipped import shipped_models
from vaecodec.picture import to_picture
from vaecodec.picture.writing import save_picture
from vaecodec.system.files import Source, input_limit
from vaecodec.system.limits import MAX_PIXELS
from vaecodec.system.naming import MAGIC
from vaecodec.types import SourceLike
from vaecodec.viewer.pages import escaped

CONTENTS = "<!--contents-->"
"""Where files and weights are inserted into the page (web/page/page.html, web/page/embedded.ts)."""
SHOWN = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
"""First bytes of formats that every browser shows: PNG, JPEG, WebP."""


@dataclass(frozen=True)
class Enclosed:
    """A file embedded in the page. model: the identity of the model that decodes it, b"" if it needs none; coded:
    whether it is a .vaec file; notes: conversions."""

    name: str
    data: bytes
    coded: bool
    model: bytes = b""
    notes: Sequence[str] = ()


def enclosed(source: SourceLike, name: str, max_pixels: int = MAX_PIXELS) -> Enclosed:
    """Embed a .vaec file, damaged or not, or another image; formats that browsers do not show become PNG. source: as
    for Source; name: its name on the page. Raises VaecodecError for anything else."""
    with Source(source, input_limit(max_pixels)) as opened:
        if opened.read(0, len(MAGIC)) == MAGIC:
            container = read_container(opened, max_pixels, partial=True)
            model = b"" if container.kept in KEPT else container.header.model
            return Enclosed(name, opened.read(0, opened.size), True, model)
        picture = to_picture(opened, max_pixels)
        data = opened.read(0, opened.size)
        if not data.startswith(SHOWN) or (data[:4] == b"RIFF" and data[8:12] != b"WEBP"):
            data, notes = save_picture(picture, ".png")
            return Enclosed(name, data, False, notes=picture.notes + notes)
        return Enclosed(name, data, False)


def offline_page(files: Sequence[Enclosed], model: ModelFile | None = None) -> str:
    """HTML page with files and the weights that decode them.

    If a file is not .vaec, or there are no files, all of the default model is included, so that the page can encode.
    model: for files that need a model of your own. Raises ModelError if the model of a file is not available.
    """
    encodes = not files or any(not file.coded for file in files)
    weights = {m.identity: (m, encodes) for m in ([load_model()] if encodes else [])}
    for file in files:
        if file.coded and file.model and file.model not in weights:
            weights[file.model] = _model_of(file, model), False
    tags = [_tag("weights", identity.hex(), gzip.compress(_bytes(*found), 6)) for identity, found in weights.items()]
    tags += [_tag("file", file.name, file.data) for file in files]
    page = (resources.files("vaecodec") / "web" / "page.html").read_text("utf-8")
    return page.replace(CONTENTS, "\n".join(tags), 1)


def _model_of(file: Enclosed, own: ModelFile | None) -> ModelFile:
    if own is not None and own.identity == file.model:
        return own
    try:
        return load_model_for(file.model)
    except ModelError as error:
        raise FormatError(f"{file.name}: {error}") from error


def _bytes(model: ModelFile, whole: bool) -> bytes:
    """The model file to embed: the slim copy, unless none is registered or the page needs the whole to encode."""
    ours = model.name in shipped_models()
    return slim_copy(model) if ours and not whole and not model.slim else read_raw(model.path).data


def _tag(kind: str, name: str, data: bytes) -> str:
    """Data in an element that browsers do not execute."""
    text = base64.b64encode(data).decode()
    return f'<script type="application/octet-stream" data-{kind}="{escaped(name)}">{text}</script>'
