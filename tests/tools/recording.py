"""The recording in docs/first-steps.md: `python tests/tools/recording.py` runs its commands and writes the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/first-steps.md"
STEPS = """
Make a picture small.
    vaecodec encode photo.jpg
Decode it to view or share it.
    vaecodec decode photo.vaec seen.png
    vaecodec decode photo.vaec mail.jpg -q 85
Inspect the file.
    vaecodec info photo.vaec
Choose a higher or a lower quality.
    vaecodec encode photo.jpg best.vaec -q 90
    vaecodec encode photo.jpg small.vaec -q 30
Fit the size limit of an upload form.
    vaecodec encode photo.jpg form.vaec --target-size 12kB
Guarantee a PSNR.
    vaecodec encode photo.jpg good.vaec --target-psnr 38
See what was lost.
    vaecodec compare photo.jpg photo.vaec small.vaec --html compared.html
Encode a folder of holiday pictures, and decode it again.
    vaecodec encode holiday -o coded
    vaecodec decode coded -o pictures --suffix .jpg
Make a small picture for a page, without its location.
    vaecodec decode photo.vaec page.webp --scale 1/4 --metadata none
Get help after a typo, or for an existing file.
    vaecodec enocde photo.jpg
    vaecodec photo.vaec
    vaecodec encode photo.jpg photo.vaec
"""


def make_pictures(folder: Path) -> None:
    """The pictures that the recording begins with."""
    hills = Image.open(ROOT / "examples/hills.png").convert("RGB")
    hills.save(folder / "photo.jpg", quality=96)
    (folder / "holiday").mkdir()
    for index, name in enumerate(("beach.png", "dinner.png", "hotel.png")):
        hills.crop((60 * index, 0, 60 * index + 300, 200)).save(folder / "holiday" / name)


def typed(command: str, folder: Path) -> str:
    """A command and what it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    ran = subprocess.run(command, shell=True, cwd=folder, env=os.environ | {"PATH": path}, text=True, **streams)
    return f"$ {command}\n{ran.stdout}"


def recording(folder: Path) -> str:
    """All steps, as they stand in the page."""
    make_pictures(folder)
    parts, number = [], 0
    for line in STEPS.strip().splitlines():
        if line.startswith(" "):
            parts[-1] += typed(line.strip(), folder)
        else:
            number += 1
            parts.append(f"{number}. {line}\n\n```console\n")
    return "```\n\n".join(parts) + "```\n"


def recorded() -> str:
    """What the page shows."""
    match = re.search(r"<!-- recording -->\n(.*)<!-- end recording -->", PAGE.read_text(), re.S)
    assert match
    return match[1].strip() + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = recording(Path(folder))
    page = re.sub(
        r"(<!-- recording -->\n).*(<!-- end)", lambda m: f"{m[1]}\n{text}\n{m[2]}", PAGE.read_text(), flags=re.S
    )
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
