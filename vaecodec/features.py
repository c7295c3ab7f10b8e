"""What compressed files say of their pictures without being decoded: latents for research, and finding copies.

from vaecodec import features

found = features.read("photo.vaec")            # latents, means, scales, bits as arrays
index = features.Index.build(["a.vaec", "b.vaec"])
best = index.find("part.png", parts=True)[0]   # best.name, best.score, best.certainty
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaecodec.bitstream.container import read_container
from vaecodec.codec import Codec
from vaecodec.coding.decoder import Decoding
from vaecodec.errors import naming
from vaecodec.system.files import Source
from vaecodec.uses.index import Index
from vaecodec.uses.reading import Features, read_features
from vaecodec.uses.searching import Match

if TYPE_CHECKING:
    from vaecodec.types import SourceLike

__all__ = ["Features", "Index", "Match", "read"]


def read(source: SourceLike, codec: Codec | None = None) -> Features:
    """What a .vaec file (bytes, path or binary file object) says of its picture before the synthesis, which is not run.

    codec: with the model of the file where it is not shipped. Raises FormatError for a file that is none, is damaged,
    or keeps its picture as it was (pixels or a JPEG) and so has no latents; ModelError where its model is not here.

    >>> found = features.read("photo.vaec")
    >>> found.y_hat.shape, found.z_hat.shape[1:], found.preview.shape
    ((336, 4, 6), (1, 2), (8, 12, 3))
    >>> 0 <= found.bits.min() and found.likelihoods.max() <= 1
    True
    """
    codec = codec or Codec(metadata="none")
    with Source(source) as opened, naming(opened.name):
        decoding = Decoding(codec.session, codec.session.workers)
        return read_features(decoding, read_container(opened, codec.max_pixels))
