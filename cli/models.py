"""vaecodec models"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from vaecodec.cli.printing import show


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(as_json: bool) -> None:
    """List the shipped models: parameters, complexity, rate range (means over validation pictures), checksum."""
    from vaecodec.model.file import load_model
    from vaecodec.model.layers import kmac_per_pixel
    from vaecodec.model.shipped import EARLIER, shipped_models

    rows: list[dict[str, Any]] = []
    for name in shipped_models():
        model = load_model(name)
        rows.append(
            {
                "name": name,
                "identity": model.identity.hex(),
                "parameters": model.parameters,
                "bytes": Path(model.path).stat().st_size,
                "kmac_per_pixel": kmac_per_pixel(model.config),
                "bpp_range": model.bpp_range,
                "sha256": model.checksum,
                "path": str(model.path),
            }
        )
    for name in EARLIER:
        if not any(name == f"{row['name']}-{row['identity']}" for row in rows):
            rows.append({"name": name, "identity": name[-8:], "decodes_only": True})
    if as_json:
        show(json.dumps(rows, indent=2))
        return
    for row in rows:
        if "decodes_only" in row:
            show(f"{row['name']}  {row['identity']}  an earlier model: decodes only")
            continue
        complexity = row["kmac_per_pixel"]
        low, high = row["bpp_range"] or (0, 0)
        show(
            f"{row['name']}  {row['identity']}  {row['parameters'] / 1e6:.2f} M parameters, "
            f"{row['bytes'] / 1e6:.1f} MB, {complexity['encode']:g}/{complexity['decode']:g} kMAC/px encode/decode, "
            f"{low:.2f} to {high:.2f} bpp\n  sha256 {row['sha256']}"
        )
