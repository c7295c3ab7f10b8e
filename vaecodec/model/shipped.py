"""The shipped models, by name only: nothing is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vaecodec.errors import ModelError
from vaecodec.system.storage import is_url

if TYPE_CHECKING:
    from importlib.abc import Traversable

SUFFIX = ".safetensors"
EARLIER_FOLDER = "earlier"
EARLIER = {
    "fast-2341a3a8": "bd49bd049285dcbcc0bff9fd7fd5f094798f609b8c707e0fb07c0f10c2211e50",
    "fast-ms-ssim-9e966cdd": "05867b523f4936115d5a84e559d91739483023a3d3d8e7ee1f864ce1b767e0af",
}
"""Formerly shipped models, by name and identity: SHA-256 of the slim file that still decodes their streams."""


def model_folder() -> Traversable:
    """The folder of the shipped models: in the package, which may be a zip, or beside it in a clone."""
    from importlib import resources  # Tab completion and --help do not pay for it

    inside = resources.files("vaecodec") / "models"
    return inside if inside.is_dir() else resources.files("vaecodec.models")


def shipped() -> dict[str, tuple[str, str]]:
    """Model files in the package: model name -> (file name, first bytes of its checksum). They are called
    NAME-IDENTITY."""
    files = sorted(file.name for file in model_folder().iterdir() if file.name.endswith(SUFFIX))
    stems = [(name, *name.removesuffix(SUFFIX).rpartition("-")) for name in files]
    return {model: (name, identity) for name, model, _, identity in stems}


def shipped_models() -> list[str]:
    """Names of the models in the package."""
    return list(shipped())


def name_of(identity: bytes) -> str | None:
    """The name of the shipped or earlier model that a stream names."""
    for name, (_, prefix) in shipped().items():
        if prefix == identity.hex():
            return name
    return next((name for name in EARLIER if name.endswith(f"-{identity.hex()}")), None)


def check_name(name: str) -> None:
    """Raises ModelError unless it is the name of a known model, a path or a URL."""
    known = shipped()
    if name in known or name in EARLIER or is_url(name) or Path(name).suffix == SUFFIX or Path(name).exists():
        return
    raise ModelError(f"unknown model {name!r}; shipped models: {', '.join(known) or 'none'}, or give a path")
