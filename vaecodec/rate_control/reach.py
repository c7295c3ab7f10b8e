"""From a target to the file that meets it: the quality, or another form of the format where latents do not suffice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from vaecodec.bitstream.container import MAX_LENGTH, Section
from vaecodec.bitstream.spec import QUALITY_UNIT
from vaecodec.coding.encoder import PINNED, SHARED, Coded, Encoding
from vaecodec.rate_control.forms import jpegs_from, jpegs_within, pixels_of
from vaecodec.rate_control.promise import PROMISED
from vaecodec.rate_control.scores import Score, score_of, usual_curve
from vaecodec.rate_control.search import HIGHEST, Curve, Window, search
from vaecodec.sections.payloads import Kept
from vaecodec.targets import MOST_BYTES, Bpp, Psnr, Size, Target, TargetError, check_target

SLACK, AIM = 0.01, 0.004
"""Fractions by which a file may be, and ideally is, smaller than its target."""
GAIN = 1.0
"""How many dB a JPEG must gain over latents to replace them within a size."""


@dataclass
class Reached:
    """A file for a target. value: the measured value, in words; quality: that of its latents, None without latents;
    encodes: number of encodings of the whole image; notes: other remarks for the user, one line each."""

    target: Target
    data: bytes
    value: str
    quality: float | None
    encodes: int
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        how = "" if self.quality is None else f" at quality {self.quality:g}"
        return f"target {self.target}: {self.value}{how}, {self.encodes} encode{'s' * (self.encodes != 1)}"


def reach(encoding: Encoding, target: Target, progress: Callable[[float], None] | None = None) -> Reached:
    """The file that meets a target, from an encoding of one picture.

    Raises TargetError if none does and the target does not accept the nearest; ImageError if the measure is undefined
    for the image.
    """
    (picture,) = encoding.pictures
    check_target(target, picture.width, picture.height)
    tries = _Tries(encoding, progress)
    if isinstance(target, Size | Bpp):
        pixels = picture.width * picture.height
        limit = target.bytes if isinstance(target, Size) else target.bpp * pixels / 8
        return _within(tries, target, math.floor(min(limit, MOST_BYTES)))
    return _as_good(tries, target, score_of(target, picture, encoding.rgb[0], encoding.model))


class _Tries:
    """The qualities tried for an image."""

    def __init__(self, encoding: Encoding, progress: Callable[[float], None] | None) -> None:
        self.encoding, self._progress = encoding, progress
        self.count = 0
        self.coded: dict[int, Coded] = {}
        """The encodings of the last search, by quality."""

    def search(self, value_of: Callable[[Coded], float], window: Window, curve: Curve) -> dict[int, float]:
        """Values by quality, see search. Refinement is slow, so a search with it starts where the search without it
        ended."""
        for refined in (False, True) if self.encoding.refines else (True,):
            self.coded = {}

            def call(units: int, refined: bool = refined, shared: int = SHARED) -> float:
                self.coded[units] = self.encoding.code(units, self._share(), True, refined, shared)
                return value_of(self.coded[units])

            samples = search(call, window, curve)
            curve = curve.through(samples)
            if not window.holds(samples.values()) and min(samples.values()) < window.low < max(samples.values()):
                samples |= search(partial(call, shared=PINNED), window, curve)
        return samples

    def _share(self) -> Callable[[float], None] | None:
        """Progress of the next try. The number of tries is unknown, so each takes half of what is left."""
        self.count += 1
        before, progress = 1 - 0.5 ** (self.count - 1), self._progress
        return progress and (lambda share: progress(before + share * 0.5**self.count))

    def reached(self, target: Target, data: bytes, value: str, units: int | None, *notes: str) -> Reached:
        return Reached(target, data, value, None if units is None else units / QUALITY_UNIT, self.count, [*notes])


def _within(tries: _Tries, target: Size | Bpp, limit: int) -> Reached:
    """The best file of at most `limit` bytes."""
    encoding, (picture,) = tries.encoding, tries.encoding.pictures
    scale = 8 / (picture.width * picture.height)

    def shown(data: bytes) -> str:
        return f"{len(data)} bytes" if isinstance(target, Size) else f"{len(data) * scale:.4f} bpp"

    if kept := encoding.kept(limit - encoding.sections_bytes()):
        data = encoding.with_kept(kept, HIGHEST)
        if len(data) <= limit:
            return tries.reached(target, data, shown(data), None, _how(kept, encoding))
    offset = math.log(scale)
    full = math.log(max(limit, 1)) + offset
    window = Window(full + math.log(1 - SLACK), full, full + math.log(1 - AIM))
    curve = usual_curve("bpp", encoding.model)
    samples = tries.search(lambda coded: math.log(len(encoding.plain(coded))) + offset, window, curve)
    files = {units: encoding.plain(tries.coded[units]) for units in samples}
    fitting = [units for units, data in files.items() if len(data) <= limit]
    if not fitting:
        units = min(files, key=lambda units: len(files[units]))
        besides = encoding.sections_bytes()
        why = f"; alpha and metadata take {besides} of them" if besides else ""
        note = _out_of_reach(target, f"quality {units / QUALITY_UNIT:g} takes {shown(files[units])}{why}")
        return tries.reached(target, files[units], shown(files[units]), units, note)
    units = max(fitting, key=lambda units: len(files[units]))
    data, notes = files[units], []
    file = picture.origin.file if picture.origin else None
    if file is not None and encoding.keeps:
        notes.append(f"the size wins: as the JPEG that it was the image takes {len(file.data)} bytes")
    if units >= PROMISED and encoding.keeps and (kept := _better_jpeg(tries, units, limit - len(data))):
        data = encoding.with_kept(kept, HIGHEST)
        return tries.reached(target, data, shown(data), None, *notes, _how(kept, encoding))
    if units == HIGHEST and len(data) < limit * (1 - SLACK):
        notes.append("quality 100 takes no more bytes")
    return tries.reached(target, data, shown(data), units, *notes)


def _better_jpeg(tries: _Tries, units: int, room: int) -> Kept | None:
    """A JPEG closer to the picture than its latents at a quality, in at most `room` bytes more."""
    encoding, (picture,) = tries.encoding, tries.encoding.pictures
    rgb, latents = encoding.rgb[0], tries.coded[units]
    score = score_of(Psnr(1), picture, rgb, encoding.model)
    best, most = None, score.measure(encoding.decoded(latents)) + GAIN
    limit = len(encoding.plain(latents)) + room
    empty = encoding.with_kept(Kept(Section.PIXELS, b""), units)
    for kept in jpegs_within(rgb, picture.gray, limit - len(empty) - 8):
        decibels = score.measure(pixels_of(kept, rgb, picture.gray))
        if decibels > most and len(encoding.with_kept(kept, HIGHEST)) <= limit:
            best, most = kept, decibels
    return best


def _as_good(tries: _Tries, target: Target, score: Score) -> Reached:
    """The smallest file that reaches the wanted score."""
    encoding, measured = tries.encoding, dict[int, float]()

    def value_of(coded: Coded) -> float:
        measured[coded.header.quality] = value = score.measure(encoding.decoded(coded))
        coded.latents.clear()  # they are large, and streams can be decoded again
        return score.scaled(value)

    window = Window(*map(score.scaled, score.window))
    samples = tries.search(value_of, window, score.curve)
    met = [units for units, value in samples.items() if value >= window.low]
    units = min(met) if met else max(samples, key=lambda units: samples[units])
    best = tries.reached(target, encoding.plain(tries.coded[units]), score.shown(measured[units]), units)
    others = _others(tries, target, score, units, bool(met))
    if others:
        kept, value = min(others, key=lambda other: len(other[0].payload))
        data = encoding.with_kept(kept, HIGHEST)
        if not met or len(data) < len(best.data):
            note = f"latents reach {best.value}" if not met else ""
            return tries.reached(target, data, score.shown(value), None, *filter(None, [note]), _how(kept, encoding))
    if not met:
        best.notes.append(_out_of_reach(target, f"quality {best.quality:g} gives {best.value}"))
    return best


def _others(tries: _Tries, target: Target, score: Score, units: int, met: bool) -> list[tuple[Kept, float]]:
    """Forms other than latents that reach the wanted score in fewer bytes, with their scores; if latents cannot meet a
    target that is a guarantee, every form that can."""
    encoding, (picture,) = tries.encoding, tries.encoding.pictures
    if not encoding.keeps:
        return []
    rgb, guaranteed = encoding.rgb[0], isinstance(target, Psnr)
    streams = sum(len(stream) for group in tries.coded[units].groups[0] for stream in group)
    limit = streams if met or not guaranteed else MAX_LENGTH
    found = [kept] if (kept := encoding.kept(limit)) else []
    if guaranteed and (not met or units >= PROMISED):
        found += jpegs_from(rgb, picture.gray, lambda pixels: score.measure(pixels) >= score.window.low)
    scored = []
    for kept in found:
        exact = kept.kind == Section.PIXELS
        value = score.measure(picture.rgb if exact else pixels_of(kept, rgb, picture.gray))
        if value >= score.window.low:
            scored.append((kept, value))
    return scored


def _how(kept: Kept, encoding: Encoding) -> str:
    """The form in which a picture is kept, in words."""
    if kept.kind == Section.PIXELS:
        return "kept pixel for pixel"
    origin = encoding.pictures[0].origin
    same = origin is not None and origin.file is not None and kept.payload.endswith(origin.file.data)
    return "kept as the JPEG that it was" if same else "kept as a JPEG"


def _out_of_reach(target: Target, nearest: str) -> str:
    """The note for a target that is out of reach; raises TargetError unless the target accepts the nearest."""
    message = f"the target of {target} is out of reach: {nearest}"
    if not target.best:
        raise TargetError(message)
    return message
