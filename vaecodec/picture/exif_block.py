"""EXIF blocks as bytes: in-place edits of the few fields that turning or resizing a picture invalidates.

Everything else stays byte for byte. Rewriting a block would move the maker notes of cameras, and fail at the first
malformed field.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ORIENTATION, EXIF_IFD, GPS_IFD, WIDTH, HEIGHT = 0x0112, 0x8769, 0x8825, 0xA002, 0xA003
THUMBNAIL, THUMBNAIL_SIZE = 0x0201, 0x0202
SHORT, LONG = 3, 4
_FORMATS = {SHORT: "H", LONG: "I"}
MAX_ENTRIES = 1000


@dataclass(frozen=True)
class _Entry:
    """A number in a directory: its position and its encoding."""

    at: int
    format: str
    value: int


class ExifBlock:
    """An EXIF block, with or without "Exif\\0\\0" before its TIFF header. An invalid block has no fields."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self._base = 6 if data[:6] == b"Exif\0\0" else 0
        header = data[self._base : self._base + 4]
        self._order = {b"II*\0": "<", b"MM\0*": ">"}.get(header)
        self._main, self._next = self._directory(self._number(self._base + 4, "I"))
        pointer = self._main.get(EXIF_IFD)
        self._exif, _ = self._directory(pointer.value if pointer else None)

    def _number(self, at: int, kind: str) -> int | None:
        try:
            return struct.unpack_from(f"{self._order}{kind}", self.data, at)[0] if self._order and at >= 0 else None
        except struct.error:
            return None

    def _directory(self, offset: int | None) -> tuple[dict[int, _Entry], int | None]:
        """The single integers of a directory, and the position of the offset of the next one."""
        start = self._base + offset if offset else -1
        count = self._number(start, "H")
        entries: dict[int, _Entry] = {}
        if count is None or count > MAX_ENTRIES:
            return entries, None
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, size = (self._number(at + place, code) for place, code in ((0, "H"), (2, "H"), (4, "I")))
            if tag is not None and kind in _FORMATS and size == 1:
                value = self._number(at + 8, _FORMATS[kind])
                if value is not None:
                    entries[tag] = _Entry(at + 8, _FORMATS[kind], value)
        return entries, start + 2 + 12 * count

    @property
    def orientation(self) -> int:
        """1 to 8; 1 if missing or invalid."""
        entry = self._main.get(ORIENTATION)
        return entry.value if entry and 1 <= entry.value <= 8 else 1

    @property
    def has_place(self) -> bool:
        """Whether the block has a GPS directory."""
        return GPS_IFD in self._main

    def set_orientation(self, orientation: int) -> bool:
        """Sets the orientation; False if the block has no field for it."""
        entry = self._main.get(ORIENTATION)
        self._set(entry, orientation)
        return entry is not None

    def set_size(self, width: int, height: int) -> None:
        """Updates the dimensions where the block names them, and removes the thumbnail, which shows the old picture."""
        self._set(self._exif.get(WIDTH), width)
        self._set(self._exif.get(HEIGHT), height)
        offset = self._number(self._next, "I") if self._next else None
        if not self._next or not offset:
            return
        thumbnail, _ = self._directory(offset)
        place, size = thumbnail.get(THUMBNAIL), thumbnail.get(THUMBNAIL_SIZE)
        if place and size:
            start = self._base + place.value
            end = min(start + size.value, len(self.data))
            self.data[start:end] = bytes(max(end - start, 0))  # zeros deflate to almost nothing
        struct.pack_into(f"{self._order}I", self.data, self._next, 0)

    def _set(self, entry: _Entry | None, value: int) -> None:
        if entry and value < 1 << 8 * struct.calcsize(entry.format):
            struct.pack_into(f"{self._order}{entry.format}", self.data, entry.at, value)
