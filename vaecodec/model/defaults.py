"""The default model and quality for encoding."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from vaecodec.errors import VaecodecError
from vaecodec.model.shipped import model_folder

DEFAULT_MODEL = "eye"
TUNES = {"eye": "eye", "psnr": "fast", "ms-ssim": "fast-ms-ssim"}
"""Shipped models by training distortion."""
QUALITIES = "quality.json"
"""File beside the shipped models: typical scores of each quality on photographs, by the identity of the model
(benchmarks/quality.py)."""
ORDINARY_QUALITY = 60.0
"""Default quality of models without measurements."""


def tuned_model(model: str | Path | None, tune: str | None) -> str | Path | None:
    """The model to load, given a model or a `tune` (one of TUNES); raises VaecodecError for an unknown tune, or if both
    are given."""
    if tune is None:
        return model
    if model is not None:
        raise VaecodecError("tune is another name for a shipped model: give tune or model, not both")
    if tune not in TUNES:
        raise VaecodecError(f"unknown tune {tune!r}; there are {', '.join(TUNES)}")
    return TUNES[tune]


@cache
def qualities() -> dict[str, dict[str, Any]]:
    """The contents of QUALITIES."""
    return json.loads((model_folder() / QUALITIES).read_text())


def default_quality(identity: str) -> float:
    """The quality at which the model of that identity (8 hexadecimal digits) reaches a mean SSIMULACRA 2 of about 70 on
    photographs."""
    return qualities().get(identity, {}).get("default_quality", ORDINARY_QUALITY)
