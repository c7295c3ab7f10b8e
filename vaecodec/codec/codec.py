"""Codec: the entry point to everything.

One image goes through it in one direction: picture -> transform -> prior -> entropy coder -> container, and back.
"""

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
    """Encodes and decodes images; loads each model on first use and keeps it. Threads may share one Codec.

    model: name of a shipped model, or path or URL of a model file, for encoding (default: eye) and for decoding streams
    of it; streams of other shipped models are decoded with the model that they name. tune: what to encode for, instead
    of a model: "eye" (human vision), "psnr" or "ms-ssim". backend: "onnx" or "torch"; device: "cpu" or "cuda"; threads:
    number of cores to use (default: all). max_pixels and max_metadata: limits on the pixels of an image and on the
    bytes of one EXIF, ICC or XMP block, when encoding and decoding. keep: store an image losslessly (text, drawings,
    patterns), or as the JPEG it once was, if that takes fewer bytes than latents. effort: encoder effort from 1 to 9;
    above 1 the latents of each image are refined in ever more steps (seconds to hours; all models but those for psnr
    need torch for it). keep_hidden: keep the colours of fully transparent pixels, which are invisible; by default
    smooth ones replace them. metadata: "all" that fits, "icc" alone (nothing that tells where, when and by whom), or
    "none", for both writing and reading.

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
        """The call that makes this codec: the model, and all arguments that differ from their defaults."""
        usual, own = Settings(), vars(self.session.settings)
        said = {name: value for name, value in own.items() if value != getattr(usual, name)}
        said = {"model": str(said.pop("model", DEFAULT_MODEL)), **said}
        return f"Codec({', '.join(f'{name}={value!r}' for name, value in said.items())})"


def codec_over(session: Session) -> Codec:
    """A codec over a session that others may share or observe."""
    codec = Codec.__new__(Codec)
    codec.session = session
    return codec


def _codec_of(settings: Settings) -> Codec:
    return codec_over(Session(settings))


@functools.lru_cache(maxsize=8)
def shared_codec(settings: Settings) -> Codec:
    """The codec of these settings that the package's functions and the Pillow plugin share, so that models stay
    loaded."""
    return _codec_of(settings)
