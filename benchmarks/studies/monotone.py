"""Whether higher quality always means more bytes: encodes every image at every integer quality.

    python benchmarks/studies/monotone.py ../shared/data/kodak --out benchmarks/results

Reports the largest decrease from one quality to the next, for the mean over the images and for any single image.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

import vaecodec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--model", help="name or path [default: the shipped one]")
    arguments = parser.parse_args()
    images = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(arguments.images.glob("*.png"))]
    codec = vaecodec.Codec(arguments.model)
    sizes = np.array([list(map(len, codec.encode_batch(images, quality))) for quality in range(1, 101)], float)
    steps = sizes[1:] / sizes[:-1] - 1
    mean_steps = np.diff(sizes.mean(1)) / sizes[:-1].mean(1)
    result = {
        "smallest_step_of_the_mean_percent": float(mean_steps.min() * 100),
        "smallest_step_of_an_image_percent": float(steps.min() * 100),
        "mean_bytes": sizes.mean(1).tolist(),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "monotone.json").write_text(json.dumps(result, indent=1) + "\n")
    print({name: value for name, value in result.items() if name.startswith("smallest")})


if __name__ == "__main__":
    main()
