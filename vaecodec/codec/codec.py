"""Codec: the door to everything. One image goes through it in one direction:
picture -> transform -> prior -> entropy coder -> container, and back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vaecodec.coding.session import Session, Settings

if TYPE_CHECKING:
    pass

from vaecodec.codec.decoding import Decodes
from vaecodec.codec.encoding import Encodes
from vaecodec.model.defaults import DEFAULT_MODEL
from vaecodec.system.limits import MAX_METADATA, MAX_PIXELS, TILE_LOG2


class Codec(Encodes, Decodes):
    """Encodes and decodes images; models are loaded when first needed and kept. Threads may share one Codec.

    model: name of a shipped model, or path or URL of a model file, for encoding (default: eye) and for decoding
    streams of it; streams of other shipped models are decoded with the model that they name. tune: in place of model
    what to encode for: "eye" (what people see), "psnr" or "ms-ssim". backend: "onnx" or
    "torch"; device: "cpu" or "cuda"; threads: how many cores to use (default: all). Limits: max_pixels of an image
    and max_metadata bytes of one EXIF, ICC or XMP block, on both sides. keep: keep images as they are where that takes
    fewer bytes than their latents (text, drawings, patterns without loss; what was a JPEG as one). effort: from 1 to 9,
    of encoding: above 1 the latents of each image are refined in ever more steps (seconds to hours; all models but
    those for psnr need torch for it). keep_hidden: keep the colours of fully transparent pixels, which nobody sees;
    else smooth ones take their place. metadata: "all" that fits, "icc" alone (nothing that says where, when and by
    whom), or "none", both of what is written and of what is read.

    >>> vaecodec.Codec("fast", threads=1)
    Codec(model='fast', threads=1)
    """

    def __init__(
        self,
        model: str | Path | None = None,
        backend: str | None = None,
        device: str | None = None,
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
        max_metadata: int = MAX_METADATA,
        tile_log2: int = TILE_LOG2,
        keep: bool = True,
        effort: int = 1,
        keep_hidden: bool = False,
        tune: str | None = None,
        metadata: str = "all",
    ) -> None:
        settings = Settings(
            model,
            backend,
            device,
            threads,
            max_pixels,
            max_metadata,
            tile_log2,
            keep,
            effort,
            keep_hidden,
            tune,
            metadata,
        )
        self.session = Session(settings)

    def __reduce__(self) -> tuple[Callable[..., Codec], tuple[Settings]]:
        """Pickled as its settings: a worker process loads the model itself."""
        return _codec_of, (self.session.settings,)

    def __repr__(self) -> str:
        """As it would be made: the model, and what is not as usual."""
        usual, own = Settings(), vars(self.session.settings)
        said = {name: value for name, value in own.items() if value != getattr(usual, name)}
        said = {"model": str(said.pop("model", DEFAULT_MODEL)), **said}
        return f"Codec({', '.join(f'{name}={value!r}' for name, value in said.items())})"


def codec_over(session: Session) -> Codec:
    """A codec over a session that others may share, or that somebody watches."""
    codec = Codec.__new__(Codec)
    codec.session = session
    return codec


def _codec_of(settings: Settings) -> Codec:
    return codec_over(Session(settings))


@functools.lru_cache(maxsize=8)
def shared_codec(settings: Settings) -> Codec:
    """The codec of these settings that the functions of the package and the Pillow plugin share: models stay loaded."""
    return _codec_of(settings)
