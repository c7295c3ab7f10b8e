"""Looking through an index for a picture: as a whole by previews, as a part by a shortlist of textures and previews,
and on that the gradients of the query slid over those of each preview."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.container import read_container
from vaecodec.codec import Codec
from vaecodec.codec.codec import shared_codec
from vaecodec.coding.decoder import Decoding
from vaecodec.coding.windows import Region
from vaecodec.errors import ModelError, VaecodecError
from vaecodec.model.shipped import name_of
from vaecodec.nets.interface import Float
from vaecodec.picture import to_picture
from vaecodec.system.files import Source, input_limit
from vaecodec.system.naming import MAGIC
from vaecodec.uses.entries import Entry, Group, entry_of, model_words
from vaecodec.uses.likeness import (
    PHASES,
    Field,
    detail,
    fitting,
    gradients,
    luma_of,
    mirrored_whole,
    stretched,
    templates,
    whole,
)

if TYPE_CHECKING:
    from vaecodec.types import ImageLike, SourceLike

SURE, LIKELY = 14.0, 10.0
"""Scores from which on a match is called so."""
WHOLES, TEXTURES = 16, 64
"""How many candidates previews give in all, and textures of each group."""
SHARE = 8
"""Of a large group textures give one in so many, so that as much is found as in a small one."""
AT_ONCE = 256
"""Previews that queries are slid over at a time."""
SCALES = tuple(2 ** (step / 8) for step in (-1, 1, -2, 2, -3, 3, -4, 4, -5, 5, -6, 6, -7, 7, -8, 8, -9, -10, -11, -12))
"""How large the query may show things, as multiples of their size in the archive, where it is not the same size."""
CENTRED = (0.25,)
"""Where queries of another size begin within a pixel of a preview: there scales are not exact anyway."""
NEAREST = 0.999
"""Correlations are cut off here: what is nearer is no surer."""


@dataclass(frozen=True)
class Match:
    """A picture that may show the query.

    score: how sure that is, 0 or more: the correlation r of gradients as artanh(r) times the root of how many pixels
    have detail (Fisher's transformation), which is in standard deviations of what chance gives. mirrored: whether the
    query shows it the other way round. area: (x, y, width, height) in pixels of the picture, where the query lies.
    """

    name: str
    score: float
    mirrored: bool
    area: Region

    @property
    def certainty(self) -> str:
        """The score in a word: "sure", "likely" or "unsure". That a picture is not in the archive is never sure."""
        return "sure" if self.score >= SURE else "likely" if self.score >= LIKELY else "unsure"


class Query:
    """A picture to look for. Textures are those of its .vaec file, by the model and at the quality of a group."""

    def __init__(self, rgb: NDArray[np.uint8], codec: Codec) -> None:
        self._rgb, self.codec = rgb, codec
        self._textures: dict[tuple[str, int], Float] = {}

    @classmethod
    def of(cls, image: ImageLike | SourceLike, codec: Codec) -> Query:
        """An image, or a .vaec file; raises ImageError or FormatError."""
        if not hasattr(image, "shape") and not hasattr(image, "getbands"):
            with Source(image, input_limit(codec.max_pixels)) as source:  # type: ignore[arg-type]
                if source.read(0, len(MAGIC)) == MAGIC:
                    return cls(codec.decode_picture(source).rgb, codec)
                return cls(to_picture(source, codec.max_pixels).rgb, codec)
        return cls(to_picture(image, codec.max_pixels).rgb, codec)

    @cached_property
    def lumas(self) -> tuple[Float, Float]:
        """As it is, and mirrored (H, W)."""
        luma = luma_of(self._rgb)
        return luma, np.ascontiguousarray(luma[:, ::-1])

    def texture(self, group: Group) -> Float | None:
        """None where the model of the group cannot encode. Raises ModelError where it is not here, or another."""
        key = group.model, group.quality
        if key not in self._textures:
            coder = self._coder(group.model)
            if coder.model.slim:
                return None
            if coder.model.config.latents != len(group.entries[0].texture):
                raise ModelError(f"the index is not one of {model_words(group.model)}")
            with Source(coder.encode(self._rgb, group.quality)) as source:
                decoding = Decoding(coder.session, coder.session.workers)
                self._textures[key] = entry_of(decoding, read_container(source, coder.max_pixels), "").texture
        return self._textures[key]

    def _coder(self, identity: str) -> Codec:
        """With the model of that identity; shared, so that it is loaded once."""
        own = self.codec.session.settings
        mine = own.model is not None and self.codec.model.identity.hex() == identity
        model = own.model if mine else name_of(bytes.fromhex(identity))
        return shared_codec(replace(own, model=model, keep=False, effort=1, metadata="none", keep_hidden=False))


def check_model_of(codec: Codec, identity: str) -> None:
    """Raises ModelError where the model of a group is neither shipped nor that of the codec."""
    raw = bytes.fromhex(identity)
    if raw and name_of(raw) is None and (codec.session.settings.model is None or codec.model.identity != raw):
        raise ModelError(f"the index is one of files of model {identity}, which is not here: give its file (model)")


def search(groups: Sequence[Group], query: Query, parts: bool, count: int) -> list[Match]:
    """The `count` best matches, the best first."""
    if not groups:
        raise VaecodecError("the index has no pictures")
    for group in groups:
        check_model_of(query.codec, group.model)
    if count < 1:
        raise VaecodecError("at least one match must be asked for")
    best, wholes = _Best(), _near_as_wholes(groups, query)
    for entry in wholes:
        best.fit(entry, query)
    near = [_near_in_texture(group, query) for group in groups] if parts else []
    for placed in _fields(chain(wholes, *near)):
        best.slide(placed, query, 1.0)
    if parts and not best.sure:
        nearest = list(_fields(chain(wholes, *(entries[:TEXTURES] for entries in near))))
        for scale in SCALES:
            for placed in nearest:
                best.slide(placed, query, scale, CENTRED)
            if best.sure:
                break
    return sorted(best.matches.values(), key=lambda match: -match.score)[:count]


def _near_as_wholes(groups: Sequence[Group], query: Query) -> list[Entry]:
    own = whole(query.lumas[0])
    likeness = [np.maximum(group.wholes @ own, group.wholes @ mirrored_whole(own)) for group in groups]
    order = np.argsort(-np.concatenate(likeness), kind="stable")[:WHOLES]
    entries = [entry for group in groups for entry in group.entries]
    return [entries[i] for i in order]


def _near_in_texture(group: Group, query: Query) -> list[Entry]:
    if len(group.entries) <= TEXTURES:
        return group.entries
    texture = query.texture(group) if group.model else None
    count = max(TEXTURES, len(group.entries) // SHARE)
    return [] if texture is None else [group.entries[i] for i in group.nearest(texture, count)]


class _Placed(NamedTuple):
    """Entries of one unit, and what queries are slid over."""

    entries: list[Entry]
    field: Field


def _fields(entries: Iterable[Entry]) -> Iterator[_Placed]:
    """Each entry once, at most AT_ONCE together."""
    units: dict[int, list[Entry]] = {}
    for entry in {id(entry): entry for entry in entries}.values():
        units.setdefault(entry.unit, []).append(entry)
    for alike in units.values():
        for start in range(0, len(alike), AT_ONCE):
            some = alike[start : start + AT_ONCE]
            yield _Placed(some, Field([entry.preview.astype(np.float32) for entry in some]))


class _Best:
    """The best match of every candidate so far."""

    def __init__(self) -> None:
        self.matches: dict[int, Match] = {}

    @property
    def sure(self) -> bool:
        return any(match.score >= SURE for match in self.matches.values())

    def fit(self, entry: Entry, query: Query) -> None:
        """The query stretched over a whole picture."""
        preview = entry.preview.astype(np.float32)
        for mirrored, luma in enumerate(query.lumas):
            score = _score(fitting(luma, preview), detail(gradients(stretched(luma, preview))))
            if self._is_better(entry, score):
                area = 0, 0, entry.width, entry.height
                self.matches[id(entry)] = Match(entry.name, score, bool(mirrored), area)

    def slide(self, placed: _Placed, query: Query, scale: float, phases: Sequence[float] = PHASES) -> None:
        """The query as a part of pictures; `scale`: its pixels for one of theirs."""
        entries, field = placed
        unit = entries[0].unit
        for mirrored, luma in enumerate(query.lumas):
            for template, down, right in templates(luma, unit * scale, phases):
                weight = detail(template)
                height, width = (max(1, round(side / scale)) for side in luma.shape)
                for entry, place in zip(entries, field.best(template), strict=True):
                    score = _score(place.score, weight)
                    if self._is_better(entry, score):
                        left, top = max(0, round((place.left - right) * unit)), max(0, round((place.top - down) * unit))
                        area = left, top, min(width, entry.width - left), min(height, entry.height - top)
                        self.matches[id(entry)] = Match(entry.name, score, bool(mirrored), area)

    def _is_better(self, entry: Entry, score: float) -> bool:
        known = self.matches.get(id(entry))
        return known is None or score > known.score


def _score(correlation: float, weight: float) -> float:
    """Of a match: `weight` pixels have detail."""
    return math.atanh(min(max(correlation, 0.0), NEAREST)) * math.sqrt(weight)
