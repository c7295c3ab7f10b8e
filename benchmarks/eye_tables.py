"""Tables of perceptual quality: bytes against AVIF at equal score, and typical scores of each quality of a model."""

from __future__ import annotations

from vaecodec.benchmarks.bands import BANDS, at_score, in_band, whole_range
from vaecodec.benchmarks.metrics import JUDGES, LABELS
from vaecodec.model.defaults import default_quality, qualities
from vaecodec.model.file import load_model

ANCHOR = "avif"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(line) + " |" for line in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"


def against_avif(kodak: dict, labels: dict[str, str]) -> str:
    """Bytes on Kodak against AVIF in bands of SSIMULACRA 2, at equal MS-SSIM and PSNR."""
    rows, cells = [], kodak["cells"]
    for codec in (codec for codec in labels if codec in kodak["codecs"] and codec != ANCHOR):
        bands = [("ssimulacra2", band) for band in BANDS["ssimulacra2"]]
        bands += [("ms-ssim", whole_range(cells, (codec, ANCHOR), "ms-ssim")), ("psnr", BANDS["psnr"][0])]
        rows.append([labels[codec], *(_percent(in_band(cells, codec, ANCHOR, *band)) for band in bands)])
    names = [f"SSIMULACRA 2 {low} to {high}" for low, high in BANDS["ssimulacra2"]]
    names += ["MS-SSIM", "PSNR {} to {} dB".format(*BANDS["psnr"][0])]
    return table(["bytes on Kodak against AVIF s6 at equal score, %", *names], rows)


def judged(judges: dict, labels: dict[str, str]) -> str:
    """Bytes on Kodak against AVIF by measures that no model was trained on, over the range that both reach."""
    codecs = [codec for codec in labels if codec in judges["codecs"] and codec != ANCHOR]
    rows = []
    for codec in codecs:
        ranges = {name: whole_range(judges["cells"], (codec, ANCHOR), name) for name in JUDGES}
        cells = (_percent(in_band(judges["cells"], codec, ANCHOR, name, ranges[name])) for name in JUDGES)
        rows.append([labels[codec], *cells])
    head = ["bytes on Kodak against AVIF s6 at equal score, %", *(LABELS[name].split(",")[0] for name in JUDGES)]
    return table(head, rows)


def worst_image(kodak: dict, codec: str, score: float = 60) -> str:
    """A sentence on the images for which a codec needs more bytes than AVIF at one SSIMULACRA 2."""
    found = at_score(kodak["cells"], codec, ANCHOR, "ssimulacra2", score)
    worse = [image for image, value in found.items() if value > 0]
    image = max(found, key=lambda name: found[name])
    of = f"on {len(worse)} of {len(found)} images (at worst, {image.removesuffix('.png')}: {found[image]:+.1f} %)"
    return f"At SSIMULACRA 2 of {score:g} it needs more bytes than AVIF {of}."


def meaning(name: str) -> str:
    """Typical scores of each quality of a shipped model (models/quality.json)."""
    identity = load_model(name).identity.hex()
    entry, default = qualities()[identity], default_quality(identity)

    def cell(row: dict, metric: str, digits: int) -> str:
        low, high = row[f"{metric}_spread"]
        return f"{row[metric]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    rows = [
        [
            f"**{row['quality']:g}** (default)" if row["quality"] == default else f"{row['quality']:g}",
            cell(row, "bpp", 2),
            cell(row, "psnr", 1),
            cell(row, "ssimulacra2", 0),
        ]
        for row in entry["table"]
    ]
    return table(["quality", "bpp", "PSNR, dB", "SSIMULACRA 2"], rows)
