"""The figures of docs/vae.md: blur, idle channels, repair, samples, interpolation. All pictures are generated.

python benchmarks/studies/vae_figures.py [--out docs/figures]
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import vaecodec
from vaecodec.benchmarks.studies import damage
from vaecodec.bitstream.coder import SymbolTables
from vaecodec.bitstream.spec import SYMBOL_UNIT
from vaecodec.bitstream.tables import TOTAL
from vaecodec.coding.prior import join_slots, split_slots
from vaecodec.coding.session import Session, Settings
from vaecodec.coding.tile import TileCoder
from vaecodec.model.rate import quality_units
from vaecodec.picture.membrane import membrane
from vaecodec.rate_control.metrics import psnr
from vaecodec.system.output import write_whole
from vaecodec.uses.sample import sample

ROOT = Path(__file__).parents[2]
QUALITIES = (1, 15, 29, 43, 57, 72, 86, 100)
SIDE, GAP, CAPTION = 192, 4, 18

Pixels = NDArray[np.uint8]


def hills(side: int = SIDE) -> Pixels:
    """A part of the example image, with grass and a ridge."""
    return np.asarray(Image.open(ROOT / "examples/hills.png").convert("RGB"))[110 : 110 + side, 130 : 130 + side].copy()


def discs(side: int = SIDE) -> Pixels:
    """Another picture, drawn: discs with edges, on a slope of colour."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:side, :side] / side
    picture = np.stack([200 - 90 * y, 150 + 40 * x, 90 + 120 * y], 2)
    for _ in range(9):
        cx, cy, radius = random.uniform(0, 1, 3) * (1, 1, 0.2) + (0, 0, 0.06)
        picture[np.hypot(x - cx, y - cy) < radius] = random.uniform(20, 235, 3)
    return (picture + random.normal(0, 2, (side, side, 1))).clip(0, 255).astype(np.uint8)


def wall(side: int = SIDE) -> Pixels:
    """Bricks, and boards with rings, drawn: edges and lines that go on."""
    random = np.random.default_rng(2)
    y, x = np.mgrid[:side, :side].astype(float)
    y += 0.15 * x
    row = (y // 24).astype(int)
    across = x + 24 * (row % 2)
    shade = random.uniform(0.8, 1.2, (40, 40))[row, (across // 48).astype(int)]
    mortar = (y % 24 < 3) | (across % 48 < 3)
    bricks = np.where(mortar[..., None], (176, 170, 160), shade[..., None] * (150, 84, 64))
    rings = 0.5 + 0.5 * np.sin(np.hypot(1.5 * (x - 0.95 * side), 0.7 * (y - 0.4 * side)) / 2)
    boards = (190, 140, 90) - rings[..., None] * (70, 62, 46)
    picture = np.where((x < 0.52 * side + 0.1 * y)[..., None], bricks, boards)
    return (picture + random.normal(0, 2, (side, side, 1))).clip(0, 255).astype(np.uint8)


def sheet(rows: list[list[tuple[Pixels, str]]]) -> Image.Image:
    """Pictures of one size, each with a caption below."""
    side = rows[0][0][0].shape[1]
    size = len(rows[0]) * (side + GAP) - GAP, len(rows) * (side + CAPTION)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for row, cells in enumerate(rows):
        for column, (pixels, caption) in enumerate(cells):
            place = column * (side + GAP), row * (side + CAPTION)
            image.paste(Image.fromarray(pixels), place)
            draw.text((place[0] + 2, place[1] + side + 2), caption, "black", font_size=12)
    return image


def coder_at(session: Session, quality: float) -> TileCoder:
    return session.coder(session.model, quality_units(quality), 1, session.workers)


def blur(session: Session) -> Image.Image:
    """The same part at falling rates."""
    picture = hills()
    cells = [(picture, "original")]
    for quality in (80, 40, 15, 1):
        data = vaecodec.Codec("fast").encode(picture, quality)
        decoded = np.asarray(vaecodec.decode(data))
        cells.append((decoded, f"q {quality}: {8 * len(data) / SIDE**2:.2f} bpp, {psnr(picture, decoded):.1f} dB"))
    return sheet([cells])


def bits_of(tables: SymbolTables, symbols: NDArray[np.int32], index: NDArray[np.integer]) -> NDArray[np.float64]:
    """What the tables of the file ask for symbols; outliers cost what an escape does."""
    bits = np.zeros(symbols.shape)
    for table in np.unique(index):
        here, radius = index == table, int(tables.radius[table])
        counts, found = tables.packed.table(int(table)), symbols[here]
        place = np.where(np.abs(found) <= radius, found + radius, 2 * radius + 1)
        bits[here] = -np.log2(counts[place] / TOTAL)
    return bits


def channel_bits(coder: TileCoder, picture: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bits a latent of each channel of y (M,) and of z (Z,), 0 for channels whose symbols are all zero."""
    v, prior, model = coder.analyse(picture[None]), coder.prior, coder.model
    z = coder.hyper_symbols(v)
    z_bits = bits_of(model.hyper_tables, z[0], prior.hyper_tables_index(z.shape[1:]))
    walk, parts = prior.walk(prior.features(z, *v.shape[2:])), []
    for target in split_slots(v * prior.symbol_gain):
        mean, index = walk.predict()
        symbols = np.where(index > 0, np.rint(target - mean / SYMBOL_UNIT), 0).astype(np.int32)
        parts.append((symbols, np.where(index > 0, bits_of(model.latent_tables, symbols, index), 0)))
        walk.update(symbols)
    y, y_bits = (join_slots(list(slots))[0] for slots in zip(*parts, strict=True))
    used_y, used_z = y.any((1, 2)), z[0].any((1, 2))
    return y_bits.mean((1, 2)) * used_y, z_bits.mean((1, 2)) * used_z


def channels(session: Session) -> Image.Image:
    """What the channels of y and of z carry at eight rates."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture = np.asarray(Image.open(ROOT / "examples/hills.png").convert("RGB"))[:320, :448]
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.2), dpi=90)
    lines = []
    for quality, colour in zip(QUALITIES, pyplot.get_cmap("plasma")(np.linspace(0, 0.9, 8)), strict=True):
        found = channel_bits(coder_at(session, quality), picture)
        for plot, bits in zip(axes, found, strict=True):
            largest = -np.sort(-bits[bits > 1e-4])
            plot.plot(np.arange(1, len(largest) + 1), largest, color=colour, label=f"q {quality}")
        lines.append("y {}/{}, z {}/{}".format(*(n for b in found for n in (int((b > 0.01).sum()), len(b)))))
    for plot, name, count in zip(axes, "yz", (336, 128), strict=True):
        plot.axhline(0.01, color="gray", linestyle=":", linewidth=0.8)
        plot.set(title=f"channels of {name}, the largest first", xlim=(0, count), yscale="log", ylabel="bits a latent")
        plot.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    pyplot.close(figure)
    print("channels that carry > 0.01 bit, by quality:", *lines, sep="\n  ")
    return Image.open(buffer).convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=64)


def repair(session: Session) -> Image.Image:
    """Text and scratches: damaged, filled by a membrane, repaired, and the picture itself."""
    picture, rows = wall(), []
    for mask in (damage.text(SIDE, 3), damage.scratches(SIDE, 3, 9)):
        damaged = np.where(mask[..., None], 255, picture).astype(np.uint8)
        smooth = np.rint(membrane(damaged.astype(np.float32), ~mask)).astype(np.uint8)
        whole = np.asarray(vaecodec.repair(damaged, mask))
        scores = (f"{psnr(picture[mask], pixels[mask]):.1f} dB there" for pixels in (smooth, whole))
        names = ("damaged", f"membrane: {next(scores)}", f"repair: {next(scores)}", "original")
        rows.append(list(zip((damaged, smooth, whole, picture), names, strict=True)))
    return sheet(rows)


def samples(session: Session) -> Image.Image:
    """Out of the prior alone, and with the hyper latents of an image."""
    size = SIDE, SIDE
    cells = [(np.asarray(sample(size, 1, 1.0, None, q, "fast")), f"q {q}, seed 1") for q in (5, 20, 60)]
    cells.append((np.asarray(sample(size, 1, 0.7, None, 60, "fast")), "q 60, temperature 0.7"))
    cells.append((np.asarray(sample(size, 1, 1.0, like(), 60, "fast")), "q 60, like half gray, half hills"))
    return sheet([cells])


def like() -> Pixels:
    """Detail in its right half alone."""
    picture = np.full((SIDE, SIDE, 3), 120, np.uint8)
    picture[:, SIDE // 2 :] = hills()[:, SIDE // 2 :]
    return picture


def interpolation(session: Session) -> Image.Image:
    """Latents of two pictures mixed and synthesised, over their pixels cross-faded."""
    one, two = hills(), discs()
    shares, rows = (0.25, 0.5, 0.75), []
    for quality in (10, 50, 90):
        coder = coder_at(session, quality)
        v_one, v_two = (coder.analyse(picture[None]) for picture in (one, two))
        ends = [coder.synthesise(v)[0].astype(float) for v in (v_one, v_two)]
        cells = []
        for share in shares:
            mixed = coder.synthesise((1 - share) * v_one + share * v_two)[0]
            faded = np.rint((1 - share) * ends[0] + share * ends[1]).astype(np.uint8)
            cells.append((mixed, faded, psnr(faded, mixed)))
        print(f"interpolation at quality {quality}: cross-fade to", *(f"{score:.1f} dB" for *_, score in cells))
        if quality == 50:
            rows.append([(one, "one"), *((m, f"latents, {s:g}") for (m, _, _), s in zip(cells, shares, strict=True))])
            rows[0].append((two, "other"))
            rows.append([(one, "one"), *((f, f"pixels: {p:.1f} dB to above") for _, f, p in cells), (two, "other")])
    return sheet(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/figures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    session = Session(Settings("fast"))
    for draw in (blur, channels, repair, samples, interpolation):
        buffer, image = io.BytesIO(), draw(session)
        if image.mode == "P":
            image.save(buffer, "PNG", optimize=True)
        else:
            image.save(buffer, "WEBP", quality=80, method=6)
        path = out / f"vae-{draw.__name__}.{'png' if image.mode == 'P' else 'webp'}"
        write_whole(path, buffer.getvalue(), overwrite=True)
        print(f"{path}: {len(buffer.getvalue())} bytes")


if __name__ == "__main__":
    main()
