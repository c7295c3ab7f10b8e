"""Real bytes against the bits that the model estimates: its tables for y, compressai's training densities for z.

    python benchmarks/studies/estimate.py ../shared/data/kodak --out benchmarks/results

Measured twice: for the symbols that the encoder chose ("coded"), and, independently of the codec, with plain rounding
against the training forward pass of the torch model ("forward"). The difference excludes header and checksum (22 bytes)
and includes everything else: integer tables, scale indices that are not coded, escapes, and the words that end the
streams.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import vaecodec
from vaecodec.bitstream.coder import Decoder
from vaecodec.bitstream.container import Streams, read_container
from vaecodec.bitstream.spec import HYPER_LIMIT, SYMBOL_UNIT
from vaecodec.bitstream.tables import TOTAL, PackedTables
from vaecodec.codec import codec_over
from vaecodec.coding.prior import Prior, split_slots
from vaecodec.coding.session import Session, Settings
from vaecodec.model.rate import RatePosition, quality_units
from vaecodec.nets.onnx.backend import OnnxNets
from vaecodec.nets.torch.vae import VAE
from vaecodec.system.files import Source
from vaecodec.training.entropy import EntropyModels
from vaecodec.training.export import warm_start


def latent_bits(tables: PackedTables, symbols: np.ndarray, index: np.ndarray) -> float:
    """Bits of symbols with scale indices by the probabilities of their tables; zero where the index is 0."""
    coded = index > 0
    symbols, index = symbols[coded].astype(np.int64), index[coded]
    radius = tables.radius[index].astype(np.int64)
    outlier = np.abs(symbols) > radius
    counts = tables.counts[tables.starts[index] + np.where(outlier, 2 * radius + 1, symbols + radius)]
    return float(-np.log2(counts / TOTAL).sum() + 16 * outlier.sum())


def hyper_bits(entropy: EntropyModels, symbols: np.ndarray, anchor: int) -> float:
    """Bits of hyper symbols (Z, p, q) under the densities of one anchor."""
    places = torch.from_numpy(symbols.astype(np.int64) + HYPER_LIMIT).flatten(1)
    return float(-entropy.hyper_probabilities()[anchor].gather(1, places).log2().sum())


def streams_of(data: bytes) -> Streams:
    return read_container(Source(data), 1 << 30).group(0)


@torch.no_grad()
def coded_bytes(codec: vaecodec.Codec, entropy: EntropyModels, data: bytes, rate: RatePosition) -> float:
    """Estimated bytes of the symbols in a file."""
    model, values = codec.model, codec.decode_latents(data)
    prior, slots = Prior(model, OnnxNets(model), rate), split_slots(values[None])
    height, width = values.shape[1:]
    shape = (model.config.hyper_latents, -(-height // 4), -(-width // 4))
    tables = prior.hyper_tables_index(shape).ravel()
    z = Decoder(streams_of(data).hyper).decode(tables, model.hyper_tables).reshape(shape)
    bits = hyper_bits(entropy, z, rate.nearest)

    walk = prior.walk(prior.features(z[None], height, width))
    for slot in slots:
        mean, index = walk.predict()
        symbols = (slot - mean) // SYMBOL_UNIT
        bits += latent_bits(model.latent_tables.packed, symbols, index)
        walk.update(symbols)
    return bits / 8


@torch.no_grad()
def forward_bytes(
    vae: VAE, entropy: EntropyModels, tables: PackedTables, pixels: np.ndarray, rate: RatePosition
) -> float:
    """Estimated bytes of one image (H, W, 3), H and W multiples of 64, by the forward pass of training."""
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
    prediction = vae(x, torch.tensor([rate.t], dtype=torch.float32))
    y_bits = latent_bits(tables, prediction.symbols.numpy(), prediction.scale_index.numpy())
    z = prediction.hyper_latents[0].round().numpy()
    return (y_bits + hyper_bits(entropy, z, rate.nearest)) / 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--model", help="name or path [default: the shipped one]")
    parser.add_argument("--qualities", default="1,25,50,75,100")
    arguments = parser.parse_args()
    codec = vaecodec.Codec(arguments.model)
    plain = codec_over(Session(Settings(arguments.model), strength=0))
    vae, entropy = VAE(codec.model.config).eval(), EntropyModels(codec.model.config)
    warm_start(codec.model, vae, entropy)
    entropy.eval()
    rows = []
    for path in sorted(arguments.images.glob("*.png")):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        for quality in map(float, arguments.qualities.split(",")):
            rate = RatePosition.of_quality(quality_units(quality), codec.model.config.anchors)
            row = {"image": path.name, "quality": quality}
            for name, coder in (("coded", codec), ("forward", plain)):
                data = coder.encode(pixels, quality)
                real = sum(map(len, streams_of(data)))
                if name == "coded":
                    estimate = coded_bytes(codec, entropy, data, rate)
                else:
                    estimate = forward_bytes(vae, entropy, codec.model.latent_tables.packed, pixels, rate)
                row |= {f"{name}_bytes": real, f"{name}_percent": (real / estimate - 1) * 100}
            rows.append(row)
        print(
            path.name,
            *(f"{r['coded_percent']:+.2f}/{r['forward_percent']:+.2f}" for r in rows if r["image"] == path.name),
            flush=True,
        )
    result: dict = {"rows": rows}
    for name in ("coded", "forward"):
        percents = [row[f"{name}_percent"] for row in rows]
        result[name] = {"worst_percent": max(percents, key=abs), "mean_percent": float(np.mean(percents))}
        print(name, result[name])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "estimate.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
