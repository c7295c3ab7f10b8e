"""The viewer: two images on top of each other, and a slider that reveals one."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaecodec.viewer.pages import escaped, resource

WEBP_SIDE = 16383
"""Largest side of a WebP file, in pixels."""
FIT = "fit"
"""The zoom that shows the whole image."""


@dataclass(frozen=True)
class Side:
    """One image of a scene on the page: its lossless file and its caption; missed: marked in red."""

    uri: str
    text: str
    missed: bool = False

    @classmethod
    def of(
        cls, pixels: NDArray[np.uint8], text: str, missed: bool = False, profile: bytes | None = None, effort: int = 60
    ) -> Side:
        """pixels: (H, W, 3 or 4) uint8; profile: their ICC profile; effort: 0 (fast) to 100 (small)."""
        options: dict[str, Any] = {"icc_profile": profile} if profile else {}
        kind = "WEBP" if max(pixels.shape) <= WEBP_SIDE else "PNG"
        options |= {"lossless": True, "quality": effort, "method": 4 if effort else 0} if kind == "WEBP" else {}
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return cls(f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}", text, missed)


@dataclass(frozen=True)
class Scene:
    """Images of one size, width x height, to compare in pairs. always: images by name; by_target: images that depend on
    a second choice, by that choice and by name; clear: some are transparent."""

    name: str
    width: int
    height: int
    always: Mapping[str, Side]
    by_target: Mapping[str, Mapping[str, Side]] = field(default_factory=dict)
    clear: bool = False


def viewer(
    scenes: Sequence[Scene],
    left: str,
    right: str,
    targets: Mapping[str, str] | None = None,
    zooms: Sequence[str] = ("1", "2", "4"),
) -> str:
    """HTML of the controls, the two images and their script.

    scenes: one or more, whose sides have the same names; `left` and `right` are shown first. targets: the choices for
    `by_target`, with their labels. zooms: factors or FIT, the initial one first.
    """
    targets = targets or {}
    names = [*scenes[0].always, *next(iter(scenes[0].by_target.values()), {})]
    controls = [_select("image", "Image", {scene.name: scene.name for scene in scenes}) if len(scenes) > 1 else ""]
    if targets:
        controls.append(_select("target", "At", targets, list(targets)[len(targets) // 2]))
    controls += [_select("pick-left", "Left", {name: name for name in names}, left)]
    controls += [_select("pick-right", "Right", {name: name for name in names}, right)]
    labels = {zoom: zoom if zoom == FIT else f"{zoom}x" for zoom in zooms}
    buttons = "".join(f'<button type="button" data-zoom="{zoom}">{label}</button>' for zoom, label in labels.items())
    return f"""<div class="controls">{" ".join(filter(None, controls))}
<span role="group" aria-label="Zoom">{buttons}</span></div>
<div id="viewer"><div id="stage" tabindex="0" aria-label="Comparison"><div id="sheet">
<img id="right" alt=""><img id="left" alt=""><div id="edge"></div></div></div></div>
<input id="slider" type="range" min="0" max="100" step="0.1" value="50" aria-label="Border between left and right">
<div id="captions"><span id="caption-left"></span><span id="caption-right"></span></div>
<script type="application/json" id="scenes">{_json(scenes)}</script>
<script>
{resource("viewer.js")}</script>"""


def _select(identity: str, label: str, options: Mapping[str, str], chosen: str | None = None) -> str:
    lines = "".join(
        f'<option value="{escaped(value)}"{" selected" if value == chosen else ""}>{escaped(text)}</option>'
        for value, text in options.items()
    )
    return f'<label>{label} <select id="{identity}">{lines}</select></label>'


def _json(scenes: Sequence[Scene]) -> str:
    """JSON for a script element, with the characters escaped that could end it."""
    return json.dumps([_facts(scene) for scene in scenes]).replace("<", "\\u003c")


def _facts(scene: Scene) -> dict[str, Any]:
    return {
        "name": scene.name,
        "width": scene.width,
        "height": scene.height,
        "clear": scene.clear,
        "always": {name: vars(side) for name, side in scene.always.items()},
        "by_target": {
            target: {name: vars(side) for name, side in sides.items()} for target, sides in scene.by_target.items()
        },
    }
