"""Odd places of images: maps of them over the images as PNG files, and one page with all of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.anomaly import Normal
from vaecodec.errors import explain
from vaecodec.nets.interface import Float
from vaecodec.picture import to_picture
from vaecodec.system.limits import MAX_PIXELS
from vaecodec.system.output import write_whole
from vaecodec.system.storage import local_path, place
from vaecodec.viewer.pages import STYLE, escaped, resource

PAGE, MAP = "index.html", ".map.png"
"""The page in the folder of maps; what is added to the name of an image for its map."""
SIDE = 360
"""Longest side of an image on the page, in pixels."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
WARM, HOT = np.array([255, 214, 10], np.float32), np.array([214, 20, 60], np.float32)
"""Colours of a map at the threshold, and at twice the threshold and above."""
OPACITY = 0.75


@dataclass(frozen=True)
class Found:
    """What became of an image. place: (x, y) of the oddest pixel; uris: the image and its map, for the page; error: why
    there is no score."""

    name: str
    score: float = 0.0
    is_anomaly: bool = False
    place: tuple[int, int] = (0, 0)
    uris: tuple[str, str] = ("", "")
    error: str | None = None


def heat_picture(rgb: NDArray[np.uint8], heat: Float, threshold: float) -> NDArray[np.uint8]:
    """A map (H, W) over the gray picture of RGB (H, W, 3): from half the threshold on in colour, yellow at the
    threshold, red from twice the threshold on."""
    gray = (rgb @ LUMA)[:, :, None]
    level = heat[:, :, None] / max(threshold, 1e-6)
    colour = WARM + np.clip(level - 1, 0, 1) * (HOT - WARM)
    opacity = OPACITY * np.clip(2 * level - 1, 0, 1)
    return (gray + opacity * (colour - gray)).round().astype(np.uint8)


def examine(
    normal: Normal,
    files: Sequence[tuple[str, str | Path]],
    false_alarms: float,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
    report: Callable[[Found], None] = lambda found: None,
) -> list[Found]:
    """Score images on all cores, in the order of `files`, pairs of a name and a path or URL; the map of each goes to
    `out` under its name and MAP. `report` gets each as soon as it is done. What goes wrong with one is its `error`."""
    threshold = normal.threshold(false_alarms)

    def one(file: tuple[str, str | Path]) -> Found:
        name, source = file
        try:
            picture = to_picture(source, max_pixels)
            score, heat, is_anomaly = normal.score_picture(picture, false_alarms, alone=False)
            y, x = divmod(int(heat.argmax()), heat.shape[1])
            uris = ("", "")
            if out is not None:
                over = heat_picture(picture.rgb, heat, threshold)
                _write_map(place(out, name + MAP), over, overwrite)
                uris = (_uri(picture.rgb), _uri(over))
        except Exception as error:  # it is of this file alone
            return Found(name, error=explain(error))
        return Found(name, score, is_anomaly, (x, y), uris)

    found = []
    for item in normal.workers.map(one, files):
        report(item)
        found.append(item)
    return found


def _write_map(path: str | Path, pixels: NDArray[np.uint8], overwrite: bool) -> None:
    if (local := local_path(path)) is not None:
        local.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    write_whole(path, buffer.getvalue(), overwrite)


def _uri(pixels: NDArray[np.uint8]) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def oddities_page(found: Iterable[Found], normal: Normal, false_alarms: float) -> str:
    """HTML that needs nothing else: the images with their maps and scores, the oddest first."""
    found = list(found)
    scored = sorted((item for item in found if item.error is None), key=lambda item: -item.score)
    threshold, odd = normal.threshold(false_alarms), sum(item.is_anomaly for item in scored)
    failed = "".join(f"<li>{escaped(item.name)}: {escaped(item.error)}</li>" for item in found if item.error)
    parts = {
        "title": f"{odd} of {len(scored)} images are odd",
        "style": STYLE,
        "summary": f"The threshold is {threshold:.2f}, for {threshold_basis(normal, false_alarms)}.",
        "cards": "\n".join(_card(item, threshold) for item in scored),
        "failures": f"<h2>Not scored</h2><ul>{failed}</ul>" if failed else "",
    }
    return Template(resource("oddities.html")).substitute(parts)


def threshold_basis(normal: Normal, false_alarms: float) -> str:
    """What a threshold stands on, in words."""
    share = max(false_alarms, normal.least)
    words = f"{share:.1%} of false alarms, by cross-validation over {normal.images} good images"
    return words + (f" (so few cannot tell {false_alarms:.1%})" if share > false_alarms else "")


def _card(item: Found, threshold: float) -> str:
    share = min(item.score / max(threshold, 1e-6), 2) / 2
    images = "".join(f'<img src="{uri}" alt="{text}">' for uri, text in zip(item.uris, ("image", "map"), strict=True))
    return (
        f'<figure class="card{" odd" if item.is_anomaly else ""}"><div class="pair">{images}</div>'
        f'<div class="meter"><i style="width:{share:.1%}"></i><u></u></div>'
        f'<figcaption><b>{escaped(item.name)}</b><span class="score">{item.score:.2f}'
        f"{' odd' if item.is_anomaly else ''}</span><span>at {item.place[0]}, {item.place[1]}</span>"
        "</figcaption></figure>"
    )
