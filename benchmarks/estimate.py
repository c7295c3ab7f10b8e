"""Real bytes against the bits that the model estimates at training time (compressai's densities, rounded symbols).

    python benchmarks/estimate.py ../shared/data/kodak --out benchmarks/results

The difference leaves out header and checksum (22 bytes) and holds everything else: integer tables, scale indices that
are not coded, escapes, the words in which the two streams end.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import vaecodec
from vaecodec.bitstream.container import read_container
from vaecodec.config import HYPER_LIMIT
from vaecodec.model.vae import VAE
from vaecodec.rate import RatePosition, quality_units
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.export import warm_start


@torch.no_grad()
def estimated_bytes(vae: VAE, entropy: EntropyModels, pixels: np.ndarray, quality: float) -> float:
    """Bytes of one image (H, W, 3), H and W multiples of 64, by the densities of training."""
    rate = RatePosition.of_quality(quality_units(quality), vae.config.anchors)
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
    prediction = vae(x, torch.tensor([rate.t], dtype=torch.float32))
    _, likelihood = entropy.gaussian(prediction.latents, prediction.scales, prediction.means, training=False)
    probabilities = entropy.hyper_probabilities()[rate.nearest]
    symbols = (prediction.hyper_latents[0].round().long() + HYPER_LIMIT).flatten(1)
    hyper = probabilities.gather(1, symbols)
    return float(-(likelihood.log2().sum() + hyper.log2().sum())) / 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--model", help="name or path [default: the shipped one]")
    parser.add_argument("--qualities", default="1,10,25,50,75,100")
    arguments = parser.parse_args()
    codec = vaecodec.Codec(arguments.model)
    vae, entropy = VAE(codec.model.config).eval(), EntropyModels(codec.model.config)
    warm_start(codec.model, vae, entropy)
    entropy.eval()
    rows = []
    for path in sorted(arguments.images.glob("*.png")):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        for quality in map(float, arguments.qualities.split(",")):
            container = read_container(codec.encode(pixels, quality))
            real = len(container.hyper_stream) + len(container.latent_stream)
            estimate = estimated_bytes(vae, entropy, pixels, quality)
            excess = (real / estimate - 1) * 100
            rows.append(
                {"image": path.name, "quality": quality, "bytes": real, "estimate": estimate, "percent": excess}
            )
        print(path.name, " ".join(f"{row['percent']:+.2f}" for row in rows if row["image"] == path.name), flush=True)
    percents = [row["percent"] for row in rows]
    result = {"worst_percent": max(percents, key=abs), "mean_percent": float(np.mean(percents)), "rows": rows}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "estimate.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"worst {result['worst_percent']:+.2f} %, mean {result['mean_percent']:+.2f} %")


if __name__ == "__main__":
    main()
