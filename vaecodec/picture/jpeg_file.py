"""JPEG files as segments (ITU-T T.81): the subset that FORMAT.md allows, and originals reduced to it.

Nothing here decodes or changes coefficients: a JPEG is split into its segments, and the relevant ones are joined again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SOI, EOI, SOS, DQT, DHT, DRI, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE
BASELINE, PROGRESSIVE = 0xC0, 0xC2
APP0, APP1, APP2, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
MAX_SCANS = 16
"""Most scans of a progressive JPEG. Every scan refines all blocks, so more are an attack on the decoder's time."""
JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"
"""A header of version 1.1, without a unit of resolution or a thumbnail."""
RESTARTS = re.compile(rb"\xff[\xd0-\xd7]")
MARKER = re.compile(rb"\xff[^\x00\xff]")
SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""In a scan, a byte of 255 precedes only a 0 or a restart marker."""


class JpegError(ValueError):
    """The data is not a JPEG of the required kind."""


@dataclass(frozen=True)
class Segment:
    """A marker with its payload; a start of scan includes the coded data after it."""

    marker: int
    payload: bytes = b""
    scan: bytes = b""

    @property
    def data(self) -> bytes:
        if self.marker in (SOI, EOI):
            return bytes([0xFF, self.marker])
        return bytes([0xFF, self.marker]) + (len(self.payload) + 2).to_bytes(2, "big") + self.payload + self.scan


@dataclass(frozen=True)
class Frame:
    """The fields of a start of frame. components: (identifier, sampling factors, quantisation table)."""

    progressive: bool
    width: int
    height: int
    components: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, segment: Segment) -> Frame:
        """Raises JpegError unless it has 8 bits and one or three components."""
        body = segment.payload
        count = body[5] if len(body) > 5 else 0
        if len(body) != 6 + 3 * count or body[0] != 8 or count not in (1, 3):
            raise JpegError("a frame of another kind")
        components = tuple((body[i], body[i + 1], body[i + 2]) for i in range(6, len(body), 3))
        if any(not (1 <= h >> 4 <= 4 and 1 <= h & 15 <= 4) or table > 3 for _, h, table in components):
            raise JpegError("sampling factors or tables out of range")
        height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        return cls(segment.marker == PROGRESSIVE, width, height, components)


def segments(data: bytes) -> Iterator[Segment]:
    """Segments from SOI to the first EOI; bytes between segments are skipped, as libjpeg does. Raises JpegError."""
    if data[:2] != b"\xff\xd8":
        raise JpegError("no JPEG")
    yield Segment(SOI)
    at = 2
    while True:
        found = MARKER.search(data, at)
        marker = data[found.end() - 1] if found else 0
        if not found or marker == SOI or 0xD0 <= marker < 0xD8:
            raise JpegError("no marker where one must stand")
        at = found.end()
        if marker == EOI:
            yield Segment(EOI)
            return
        size = int.from_bytes(data[at : at + 2], "big")
        if size < 2 or at + size > len(data):
            raise JpegError("cut off within a segment")
        payload, at, scan = data[at + 2 : at + size], at + size, b""
        if marker == SOS:
            end = SCAN_END.search(data, at)
            if not end:
                raise JpegError("cut off within a scan")
            scan, at = data[at : end.start()], end.start()
        yield Segment(marker, payload, scan)


@dataclass(frozen=True)
class PlainJpeg:
    """A JPEG that FORMAT.md allows in the section `jpeg`."""

    data: bytes
    frame: Frame
    scans: tuple[bytes, ...]
    basic: bool
    """Whether version 2 allows it as well: baseline, one scan, no restarts."""

    @classmethod
    def parse(cls, data: bytes) -> PlainJpeg:
        """Raises JpegError for anything that FORMAT.md, section 1, forbids."""
        parts = list(segments(data))
        if b"".join(part.data for part in parts) != data:
            raise JpegError("bytes between the segments or after the end")
        head, *rest = parts[1:-1]
        if head.marker != APP0 or not _is_jfif(head.payload):
            raise JpegError("no JFIF header")
        markers = [part.marker for part in rest]
        if set(markers) - {DQT, DHT, DRI, BASELINE, PROGRESSIVE, SOS}:
            raise JpegError("segments of another kind")
        frames = [part for part in rest if part.marker in (BASELINE, PROGRESSIVE)]
        scans = [part for part in rest if part.marker == SOS]
        if len(frames) != 1 or not 1 <= len(scans) <= MAX_SCANS or SOS in markers[: markers.index(frames[0].marker)]:
            raise JpegError("not one frame and its scans")
        if markers[-1] != SOS:
            raise JpegError("segments after the last scan")
        frame = Frame.of(frames[0])
        if [identifier for identifier, _, _ in frame.components] != list(range(1, len(frame.components) + 1)):
            raise JpegError("components that are no gray and no Y'CbCr")
        if len({table for part in rest if part.marker == DQT for table in _tables(part)} & _used(frame)) < len(
            _used(frame)
        ):
            raise JpegError("a quantisation table is missing")
        known = {identifier for identifier, _, _ in frame.components}
        for part in scans:
            count = part.payload[0] if part.payload else 0
            if len(part.payload) != 4 + 2 * count or not {part.payload[1 + 2 * i] for i in range(count)} <= known:
                raise JpegError("a scan of other components")
            if not part.scan:
                raise JpegError("an empty scan")
        restarts = DRI in markers or any(RESTARTS.search(part.scan) for part in scans)
        basic = not frame.progressive and len(scans) == 1 and not restarts
        return cls(data, frame, tuple(part.scan for part in scans), basic)

    def with_surplus(self, surplus: bytes) -> bytes:
        """The file with these bytes added at the end of each stretch of coded data. A decoder skips them after complete
        data; after truncated data it decodes them, which shows in the pixels."""
        parts = []
        for part in segments(self.data):
            if part.marker == SOS:
                coded = RESTARTS.sub(lambda marker: surplus + marker.group(), part.scan) + surplus
                part = Segment(SOS, part.payload, coded)
            parts.append(part.data)
        return b"".join(parts)


def _is_jfif(payload: bytes) -> bool:
    """A JFIF header without a thumbnail."""
    return len(payload) == 14 and payload[:5] == JFIF[:5] and payload[12:] == b"\0\0"


def _used(frame: Frame) -> set[int]:
    return {table for _, _, table in frame.components}


def _tables(segment: Segment) -> list[int]:
    """Numbers of the quantisation tables of a segment; raises JpegError unless all have 8-bit steps."""
    body = segment.payload
    if not body or len(body) % 65 or any(body[i] > 3 for i in range(0, len(body), 65)):
        raise JpegError("quantisation tables of another kind")
    return [body[i] for i in range(0, len(body), 65)]


def plain_jpeg(data: bytes) -> PlainJpeg | None:
    """A user's JPEG with the same coefficients, but without comments, metadata, thumbnails and trailing data. None if
    FORMAT.md does not allow its kind (other colours, coding or depth)."""
    try:
        return PlainJpeg.parse(b"".join(part.data for part in _plain(list(segments(data)))))
    except (JpegError, IndexError):
        return None


def _plain(parts: list[Segment]) -> Iterator[Segment]:
    jfif = next((p.payload for p in parts if p.marker == APP0 and p.payload[:5] == JFIF[:5]), None)
    adobe = next((p.payload for p in parts if p.marker == APP14 and p.payload[:5] == b"Adobe"), None)
    frames = [part for part in parts if part.marker in (BASELINE, PROGRESSIVE)]
    if not frames:
        raise JpegError("no frame")
    names = [identifier for identifier, _, _ in Frame.of(frames[0]).components]
    if len(names) == 3 and jfif is None and (adobe[11:12] != b"\1" if adobe else names == [*b"RGB"]):
        raise JpegError("colours that are not Y'CbCr")  # libjpeg decides the same way
    numbers = {name: number for number, name in enumerate(names, 1)}
    if len(numbers) < len(names):
        raise JpegError("a component twice")
    yield Segment(SOI)
    yield Segment(APP0, jfif[:12] + b"\0\0" if jfif and len(jfif) >= 14 else JFIF)
    for part in parts[1:]:
        body = bytearray(part.payload)
        if part.marker == COM or APP0 <= part.marker <= APP15:
            continue
        if part.marker in (BASELINE, PROGRESSIVE):
            for i in range(6, len(body), 3):
                body[i] = numbers[body[i]]
        if part.marker == SOS and body:
            for i in range(1, 1 + 2 * body[0], 2):
                body[i] = numbers.get(body[i], 0)
        yield Segment(part.marker, bytes(body), part.scan)


def density(data: bytes) -> tuple[float, float] | None:
    """Dots per inch in the JFIF header of a plain JPEG."""
    unit, across, down = data[13], int.from_bytes(data[14:16], "big"), int.from_bytes(data[16:18], "big")
    factor = {1: 1.0, 2: 2.54}.get(unit)
    return (across * factor, down * factor) if factor else None


XMP_NAME, ICC_NAME = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
MAX_PAYLOAD = 65533


def with_metadata(data: bytes, exif: bytes | None, icc: bytes | None, xmp: bytes | None) -> tuple[bytes, list[str]]:
    """A plain JPEG with metadata blocks inserted after its header, and the names of blocks that do not fit."""
    blocks, lost = [], []
    for name, marker, payload in (
        ("exif", APP1, exif and (exif if exif[:6] == b"Exif\0\0" else b"Exif\0\0" + exif)),
        ("xmp", APP1, xmp and XMP_NAME + xmp),
    ):
        if payload and len(payload) > MAX_PAYLOAD:
            lost.append(name)
        elif payload:
            blocks.append(Segment(marker, payload).data)
    if icc:
        size = MAX_PAYLOAD - len(ICC_NAME) - 2
        chunks = [icc[at : at + size] for at in range(0, len(icc), size)]
        if len(chunks) > 255:
            lost.append("icc_profile")
        else:
            numbers = ((chunk, bytes([i, len(chunks)])) for i, chunk in enumerate(chunks, 1))
            blocks += [Segment(APP2, ICC_NAME + number + chunk).data for chunk, number in numbers]
    return data[:20] + b"".join(blocks) + data[20:], lost
