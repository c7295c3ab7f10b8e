"""Typical scores of each quality of a model on photographs, and so its default quality: writes models/quality.json.

    python benchmarks/studies/quality.py ../shared/data/train [--models eye,fast]

The photographs are whole pictures spread over the validation split, of at least 320 pixels a side; tables of other
models stay. A model's card shows its table (publish.py). Run it again whenever weights change.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import vaecodec
from vaecodec.benchmarks.metrics import psnr, ssimulacra2
from vaecodec.model.defaults import QUALITIES, qualities
from vaecodec.model.file import load_model
from vaecodec.model.shipped import shipped_models
from vaecodec.training.data.pictures import PictureStore

FILE = Path(__file__).parents[2] / "models" / QUALITIES
STEPS = (1, *range(10, 101, 10))
WANTED = 71.5
"""SSIMULACRA 2 of the default quality on these small pictures. Photographs of cameras get some points less, about 70:
"high quality" according to its authors, where other tools have their defaults."""
SPREAD = (10, 90)
"""Percentiles of the pictures."""


def photographs(store: PictureStore, count: int) -> list[np.ndarray]:
    """Validation pictures (H, W, 3), without screenshots."""
    entries = [e for e in store.validation if min(e["shape"][:2]) >= 320 and "creen" not in e["name"]]
    return [np.ascontiguousarray(store.picture(entry)) for entry in entries[:: max(1, len(entries) // count)][:count]]


def row(codec: vaecodec.Codec, pictures: list[np.ndarray], quality: float) -> dict:
    """Means and spreads over the pictures."""
    cells = []
    for pixels in pictures:
        data = codec.encode(pixels, quality)
        decoded = codec.decode_array(data)
        decoded = decoded if decoded.shape[2] == 3 else decoded.repeat(3, 2)
        cells.append((len(data) * 24 / pixels.size, psnr(pixels, decoded), ssimulacra2(pixels, decoded)))
    table = np.array(cells)
    means, spreads = table.mean(0), np.percentile(table, SPREAD, 0).T
    result: dict = {"quality": quality}
    for name, mean, spread in zip(("bpp", "psnr", "ssimulacra2"), means, spreads, strict=True):
        result[name] = round(float(mean), 3)
        result[f"{name}_spread"] = [round(float(value), 3) for value in spread]
    return result


def measured(name: str, pictures: list[np.ndarray]) -> dict:
    """The entry of a model in the file."""
    codec = vaecodec.Codec(name, threads=1, keep=False)
    table = [row(codec, pictures, quality) for quality in STEPS]
    scores = [entry["ssimulacra2"] for entry in table]
    guess = round(float(np.interp(WANTED, scores, STEPS)))
    near = [row(codec, pictures, quality) for quality in range(guess - 2, guess + 3)]
    best = min(near, key=lambda entry: abs(entry["ssimulacra2"] - WANTED))
    table = sorted([*table, best], key=lambda entry: entry["quality"])
    return {"model": name, "pictures": len(pictures), "default_quality": best["quality"], "table": table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--cache", type=Path, help="folder of decoded pictures, as in a training run")
    parser.add_argument("--models", default=",".join(shipped_models()))
    parser.add_argument("--count", type=int, default=28)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = PictureStore.build(arguments.pictures, arguments.cache or Path(folder))
        pictures = photographs(store, arguments.count)
    shipped = {load_model(name).identity.hex() for name in shipped_models()}
    entries = {identity: entry for identity, entry in qualities().items() if identity in shipped}
    for name in arguments.models.split(","):
        entry = measured(name, pictures)
        entries[load_model(name).identity.hex()] = entry
        print(name, entry["default_quality"], [(e["quality"], e["bpp"], e["ssimulacra2"]) for e in entry["table"]])
    FILE.write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
