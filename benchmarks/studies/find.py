"""Finding pictures among compressed files: recall of the first match, by what was done to the query, against a
perceptual hash; how often a match is called sure, rightly and wrongly; CPU times.

    python benchmarks/studies/find.py ../shared/data/train --cache /tmp/find

500 pictures of long side 448 are encoded once into the cache; 150 of them are queries, and 150 others, which are not in
the archive. The scales and thresholds of the search were chosen on other pictures (the 650 after these in the order of
`chosen`). Writes benchmarks/results/find.json. A larger archive, in which these 650 are no queries:

    python benchmarks/studies/find.py ../shared/data/train --cache /tmp/find --archive 2000 --queries 50 \
        --kinds "JPEG 30,gray,mirrored,30 % off a corner,half of each side" --out benchmarks/results/find-large.json
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import vaecodec
from vaecodec.benchmarks.machine import environment
from vaecodec.features import Index
from vaecodec.uses.searching import TEXTURES, Query, search

RESULT = Path(__file__).parents[1] / "results/find.json"
LONG_SIDE, QUALITY = 448, 50
Edit = Callable[[Image.Image, np.random.Generator], Image.Image]


def jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


def box(image: Image.Image, left: float, top: float, side: float) -> Image.Image:
    """A part of `side` times each side of the picture."""
    shares = left, top, left + side, top + side
    return image.crop(tuple(round(share * n) for share, n in zip(shares, image.size * 2, strict=True)))


def corner(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """30 % of each side cut off, at one corner."""
    left, top = 0.3 * random.integers(0, 2, 2)
    return box(image, left, top, 0.7)


def part(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Half of each side, anywhere."""
    left, top = random.uniform(0, 0.5, 2)
    return box(image, left, top, 0.5)


def smaller(image: Image.Image, factor: float) -> Image.Image:
    return image.resize(tuple(round(factor * side) for side in image.size), Image.Resampling.LANCZOS)


def mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


KINDS: dict[str, Edit] = {
    "JPEG 30": lambda image, _: jpeg(image),
    "half size": lambda image, _: smaller(image, 0.5),
    "crop 10 %": lambda image, _: box(image, 0.05, 0.05, 0.9),
    "gray": lambda image, _: image.convert("L").convert("RGB"),
    "brighter x1.3": lambda image, _: image.point(lambda sample: min(255, round(1.3 * sample))),
    "30 % off a corner": corner,
    "mirrored": lambda image, _: mirrored(image),
    "half of each side": part,
    "half of each side, mirrored": lambda image, random: mirrored(part(image, random)),
    "30 % off a corner, 0.6 of the size": lambda image, random: smaller(corner(image, random), 0.6),
}


def chosen(folder: Path, cache: Path, count: int) -> dict[str, Path]:
    """`count` pictures as PNGs in the cache, by their names, in an order of their hashes."""
    entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    names = [entry["name"] for entry in entries if max(entry["w"], entry["h"]) >= LONG_SIDE]
    names = sorted(names, key=lambda name: hashlib.sha256(f"find{name}".encode()).hexdigest())[:count]
    cache.mkdir(parents=True, exist_ok=True)
    places = {name: cache / f"{name}.png" for name in names}
    if all(path.exists() for path in places.values()):
        return places
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                if (file := tar.extractfile(member)) and (path := places.get(Path(member.name).name)):
                    image = Image.open(file).convert("RGB")
                    smaller(image, LONG_SIDE / max(image.size)).save(path, compress_level=1)
    return places


def encoded(pictures: dict[str, Path], codec: vaecodec.Codec) -> dict[str, Path]:
    """Their .vaec files, beside them."""
    files = {name: path.with_suffix(f".{codec.model.identity.hex()}.vaec") for name, path in pictures.items()}
    for name, path in files.items():
        if not path.exists():
            codec.encode_file(pictures[name], path, QUALITY)
    return files


COSINES = np.cos(np.pi / 32 * np.outer(np.arange(8), np.arange(32) + 0.5))


def phash(image: Image.Image) -> np.ndarray:
    """The usual perceptual hash: which of the 64 lowest frequencies of 32x32 pixels are above their median."""
    pixels = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    low = COSINES @ pixels @ COSINES.T
    return (low > np.median(low)).ravel()


def measured(edit: Edit, queries: dict[str, Path], hashes: np.ndarray, index: Index, codec: vaecodec.Codec) -> dict:
    """A row: recall@1 and how sure, of the queries of one kind; hashes (N, 64) of the archive, which begins with
    them."""
    names = list(queries)
    (group,) = index.groups
    hits = {"phash": 0, "whole": 0, "parts": 0, "shortlist": 0, "sure and right": 0, "sure and wrong": 0}
    seconds: dict[str, list[float]] = {"whole": [], "parts": []}
    for number, name in enumerate(names):
        query = edit(Image.open(queries[name]), np.random.default_rng(number))
        distances = (hashes != phash(query)).sum(1)
        hits["phash"] += int(distances[number] == distances.min())  # ties count for it
        asked = Query.of(query, codec)
        for mode in seconds:
            start = time.process_time()
            first = search(index.groups, asked, parts=mode == "parts", count=1)[0]
            seconds[mode].append(time.process_time() - start)
            hits[mode] += first.name == name
        near = group.nearest(asked.texture(group), TEXTURES)
        hits["shortlist"] += name in {group.entries[i].name for i in near}
        if first.certainty == "sure":
            hits["sure and right" if first.name == name else "sure and wrong"] += 1
    row: dict = {key: round(value / len(names), 3) for key, value in hits.items()}
    return row | {"cpu_seconds": {mode: round(median(values), 3) for mode, values in seconds.items()}}


def absent(queries: list[Path], index: Index, codec: vaecodec.Codec) -> dict:
    """What is said of queries that are not in the archive, by what they are: counts of each word."""
    rows = {}
    for kind in ("JPEG 30", "half of each side"):
        words = {"sure": 0, "likely": 0, "unsure": 0}
        for number, path in enumerate(queries):
            query = KINDS[kind](Image.open(path), np.random.default_rng(number))
            words[index.find(query, parts=True, codec=codec)[0].certainty] += 1
        rows[kind] = words
        print("absent", kind, words, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder of pictures and .vaec files, some 250 MB")
    parser.add_argument("--model")
    parser.add_argument("--archive", type=int, default=500, help="pictures that are looked through")
    parser.add_argument("--queries", type=int, default=150, help="of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS), help="what is done to the queries")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    codec = vaecodec.Codec(arguments.model, threads=1, keep=False)
    pictures = list(chosen(arguments.pictures, arguments.cache, arguments.archive + arguments.queries).items())
    archive, queries = dict(pictures[: arguments.archive]), dict(pictures[: arguments.queries])
    files = encoded(archive, codec)
    start = time.process_time()
    index = Index.build(files, codec)
    building = time.process_time() - start
    saved = arguments.cache / "index.npz"
    index.save(saved, overwrite=True)
    result = {
        "environment": environment(),
        "model": codec.model.name,
        "identity": codec.model.identity.hex(),
        "quality": QUALITY,
        "archive": len(index),
        "queries": len(queries),
        "index": {
            "cpu_milliseconds_a_file": round(1000 * building / len(index), 1),
            "bytes_a_file": round(saved.stat().st_size / len(index)),
        },
        "kinds": {},
    }
    hashes = np.stack([phash(Image.open(path)) for path in archive.values()])
    for kind in arguments.kinds.split(","):
        result["kinds"][kind] = measured(KINDS[kind], queries, hashes, index, codec)
        print(kind, result["kinds"][kind], flush=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    result["absent"] = absent([path for _, path in pictures[arguments.archive :]], index, codec)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
