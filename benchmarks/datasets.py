"""Image sets that are downloaded on first use: Kodak's 24 photographs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from vaecodec.errors import VaecodecError
from vaecodec.system.output import write_whole

KODAK_URL = "https://r0k.us/graphics/kodak/kodak"
"""Its home for decades; VAECODEC_KODAK_URL names a mirror."""
TIMEOUT = 30
CHUNK = 1 << 16
MAX_BYTES = 1 << 24


def cache_folder() -> Path:
    """VAECODEC_CACHE, or vaecodec in the user's cache folder."""
    if chosen := os.environ.get("VAECODEC_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vaecodec"


def pixels_hash(data: bytes) -> str | None:
    """SHA-256 of the size and RGB pixels of an image file, which survives recompression of a PNG; None if it is not an
    image."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None
    return hashlib.sha256(np.array(pixels.shape, "<i4").tobytes() + pixels.tobytes()).hexdigest()


def kodak(report: Callable[[float], None] = lambda share: None) -> Path:
    """Folder with the 24 images; downloads missing or wrong ones. Raises VaecodecError with the reason if that fails.

    An interrupted download resumes.
    """
    folder, url = cache_folder() / "kodak", os.environ.get("VAECODEC_KODAK_URL", KODAK_URL).rstrip("/")
    expected: dict[str, str] = json.loads(Path(__file__).with_name("kodak.json").read_text())
    for number, (name, digest) in enumerate(expected.items(), 1):
        target = folder / name
        if not (target.exists() and pixels_hash(target.read_bytes()) == digest):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                data = fetch(f"{url}/{name}", target.with_suffix(".part"))
            except OSError as error:  # includes urllib's errors
                reason = getattr(error, "reason", None) or error.strerror or error
                raise VaecodecError(
                    f"cannot fetch {url}/{name}: {reason}; put the images into {folder} yourself"
                ) from error
            if pixels_hash(data) != digest:
                raise VaecodecError(f"{url}/{name} is not the image that it should be: its checksum differs")
            write_whole(target, data, overwrite=True)
        report(number / len(expected))
    return folder


def fetch(url: str, part: Path) -> bytes:
    """Bytes of a URL. A partial download is kept in `part` and resumed."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            resumed = response.status == 206
            total = (have if resumed else 0) + int(response.headers.get("Content-Length") or 0)
            with open(part, "ab" if resumed else "wb") as file:
                while chunk := response.read(CHUNK):
                    file.write(chunk)
                    if file.tell() > MAX_BYTES:
                        raise VaecodecError(f"{url} is far too large")
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: the file was complete
            raise
        total = have
    data = part.read_bytes()
    if total and len(data) < total:
        raise OSError(f"the connection broke after {len(data)} of {total} bytes; try again to go on")
    part.unlink()
    return data
