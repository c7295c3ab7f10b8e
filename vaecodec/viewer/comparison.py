"""The page of a comparison: the images under a slider, and the figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import Template

from vaecodec.viewer.figures import COLUMNS, EQUAL, Likeness, Shown, cells
from vaecodec.viewer.pages import STYLE, escaped, resource, table
from vaecodec.viewer.scenes import FIT, Scene, Side, viewer

WORDS = ("{} bytes", "{} bpp", "{} smaller", "SSIMULACRA 2 {}", "MS-SSIM {}", "PSNR {} dB")
"""Caption of an image: a phrase for each of COLUMNS."""
SMALL = 1 << 20
"""Most pixels of an image that is compressed with effort: larger ones take long."""


@dataclass(frozen=True)
class Seen:
    """One file on the page: its cells of COLUMNS, and its image."""

    name: str
    cells: Sequence[str]
    side: Side
    clear: bool

    @classmethod
    def of(cls, name: str, shown: Shown, first: Shown, like: Likeness | None) -> Seen:
        """like: None for the first file itself."""
        figures = cells(shown, first, like)
        facts = [form.format(cell) for form, cell in zip(WORDS, figures, strict=True) if cell not in ("", EQUAL)]
        facts += ["equal pixels"] if EQUAL in figures else []
        effort = 60 if shown.width * shown.height <= SMALL else 0
        profile = shown.icc if shown.icc and shown.icc[16:20] == b"RGB " else None
        side = Side.of(shown.pixels, f"{name}: {', '.join(facts)}", profile=profile, effort=effort)
        return cls(name, figures, side, shown.pixels.shape[2] == 4)


def comparison_page(files: Sequence[Seen], width: int, height: int, notes: Iterable[str]) -> str:
    """HTML page comparing images of width x height; `files` have distinct names, and the first is the original."""
    first, second = files[0], files[1]
    scene = Scene(
        first.name, width, height, {file.name: file.side for file in files}, clear=any(f.clear for f in files)
    )
    rows = [(False, [escaped(file.name), *map(escaped, file.cells)]) for file in files]
    parts = {
        "title": f"{escaped(first.name)} and what became of it",
        "subtitle": f"{width}x{height} pixels. Drag over the picture, or move the slider.",
        "style": STYLE,
        "viewer": viewer([scene], first.name, second.name, zooms=(FIT, "1", "2", "4")),
        "table": table("Against the first; higher is better", ["file", *COLUMNS], rows),
        "notes": "".join(f'<p class="faint">{escaped(note)}</p>' for note in notes),
    }
    return Template(resource("comparison.html")).substitute(parts)
