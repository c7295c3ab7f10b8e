"""Draws docs/find.png: queries, and what `find` finds of each among 24 generated scenes.

python tests/tools/find_picture.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pictures import generated_scene
from PIL import Image, ImageDraw

import vaecodec
from vaecodec.features import Index, Match

OUT = Path(__file__).parents[2] / "docs/find.png"
HEIGHT, WIDTH, GAP, TITLE = 240, 320, 12, 18
MIRROR = Image.Transpose.FLIP_LEFT_RIGHT
Queries = dict[str, tuple[int, Image.Image]]


def queries(scenes: list[np.ndarray]) -> Queries:
    """By what was done: of which scene, and the picture."""
    images = [Image.fromarray(scene) for scene in scenes]
    return {
        "30 % off a corner": (2, images[2].crop((96, 0, 320, 168))),
        "half of each side, mirrored": (7, images[7].crop((110, 60, 270, 180)).transpose(MIRROR)),
        "a part at 0.7 of its size": (11, images[11].crop((20, 40, 270, 230)).resize((175, 133))),
        "gray, half size": (5, images[5].convert("L").resize((160, 120))),
    }


def drawn(found: list[tuple[str, Image.Image, Image.Image, Match]]) -> Image.Image:
    """A column for each: the query above, what was found below, with where it lies."""
    sheet = Image.new("RGB", (GAP + len(found) * (WIDTH + GAP), 2 * (HEIGHT + TITLE) + 3 * GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (what, query, picture, match) in enumerate(found):
        left, below = GAP + column * (WIDTH + GAP), 2 * GAP + HEIGHT + 2 * TITLE
        draw.text((left, GAP), what, "black", font_size=14)
        sheet.paste(query.convert("RGB"), (left, GAP + TITLE))
        turned = ", mirrored" if match.mirrored else ""
        words = f"{match.name}: {match.certainty}, score {match.score:.1f}{turned}"
        draw.text((left, below - TITLE), words, "black", font_size=14)
        sheet.paste(picture, (left, below))
        x, y, width, height = match.area
        for inset, colour in ((0, "white"), (1, "red"), (2, "red"), (3, "white")):
            frame = left + x + inset, below + y + inset, left + x + width - 1 - inset, below + y + height - 1 - inset
            draw.rectangle(frame, outline=colour)
    return sheet


def main() -> None:
    codec = vaecodec.Codec(threads=1)
    scenes = [generated_scene(HEIGHT, WIDTH, seed) for seed in range(24)]
    files = {f"{number}.vaec": codec.encode(scene, 50) for number, scene in enumerate(scenes)}
    index = Index.build(files, codec)
    found = []
    for what, (number, query) in queries(scenes).items():
        match = index.find(query, parts=True, codec=codec)[0]
        print(what, number, match)
        found.append((what, query, codec.decode(files[match.name]).convert("RGB"), match))
    drawn(found).quantize(256).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
