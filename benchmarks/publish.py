# ruff: noqa: E501 (lines of the pages that it writes)
"""Writes measured results into README.md, the model cards, docs/ and benchmarks/results/README.md, and redraws the
figures of benchmarks/results/kodak.

    python benchmarks/publish.py [--check]

Text between `<!-- NAME -->` and `<!-- end NAME -->` is generated from benchmarks/results/*.json and the shipped models.
`--check` changes nothing and exits with 1 if a text is out of date; it ignores the figures.
"""

from __future__ import annotations

import argparse
import re
import sys
from functools import partial
from pathlib import Path

from vaecodec.benchmarks import plots, results
from vaecodec.benchmarks.bd import bd_rate
from vaecodec.benchmarks.eye_tables import against_avif, judged, meaning, table, worst_image
from vaecodec.benchmarks.restoration_tables import results_denoise, results_repair, results_salvage
from vaecodec.benchmarks.result_tables import (
    RESULTS,
    anomaly_areas,
    find_recall,
    load,
    results_devices,
    results_effort,
    results_integrations,
    results_large,
    results_targets,
    results_tiling,
    results_torture,
    startup_workers,
    training_ladder,
)
from vaecodec.benchmarks.results import curve_of
from vaecodec.model.file import load_model
from vaecodec.model.layers import kmac_per_pixel
from vaecodec.model.shipped import shipped_models

ROOT = Path(__file__).parent.parent
MODEL = "eye"
OURS = f"vaecodec-{MODEL}"
LABELS = {
    "jpeg-444": "JPEG 4:4:4", "jpeg-moz": "MozJPEG lossless", "jxl": "JPEG XL e7", "jpeg2000": "JPEG 2000",
    "webp": "WebP m6", "heic": "HEIC", "avif": "AVIF s6", "avif-444": "AVIF 4:4:4", **{f"vaecodec-{name}": f"vaecodec {name}" for name in shipped_models()},
}  # fmt: skip


def bd_table(kodak: dict) -> str:
    """BD-rates of all codecs by each metric."""
    codecs = [name for name in LABELS if name in kodak["codecs"]]
    rows = [
        [label, *(f"{kodak['codecs'][codec]['bd'][metric]['rate_percent']:+.1f}" for codec in codecs)]
        for metric, label in (("ssimulacra2", "SSIMULACRA 2"), ("ms-ssim", "MS-SSIM"), ("psnr", "RGB PSNR"))
    ]
    return table(["BD-rate on Kodak against JPEG, %", *(LABELS[codec] for codec in codecs)], rows)


def speed_table(kodak: dict, speed: dict) -> str:
    low, high = kodak["codecs"][OURS]["points"][0], kodak["codecs"][OURS]["points"][-1]
    rows = [
        [
            "rates on Kodak, all from one model",
            f"{low['bpp']:.3f} to {high['bpp']:.2f} bpp, {low['psnr']:.1f} to {high['psnr']:.1f} dB",
        ]
    ]
    for net, ratio in speed["speedup"].items():
        times = f"encode {ratio['encode']:.1f}, decode {ratio['decode']:.1f} times as fast"
        rows.append([f"against CompressAI's {net}, 768x512, two threads, side by side", times])
    shares = (100 * speed["entropy_share"][task] for task in ("encode", "decode"))
    rows.append(["share of entropy coding in encode / decode", "{:.0f} / {:.0f} %".format(*shares)])
    command = f"{speed['decode_command_seconds']:.2f} s against {speed['import_torch_seconds']:.2f} s"
    rows.append(["whole `vaecodec decode` command against `import torch` alone", command])
    return table(["", ""], rows)


def readme_results() -> str:
    model, kodak = load_model(MODEL), load("kodak/results.json")
    setup = kodak["setup"]
    return f"""Measured on {setup["cores"]} cores of an {setup["cpu"]}, the shipped model `{MODEL}` ({model.path.stat().st_size / 1e6:.1f} MB, \
{model.parameters / 1e6:.1f} M parameters, [model card](models/{MODEL}.md)):

{against_avif(kodak, LABELS)}

{bd_table(kodak)}

{speed_table(kodak, load("speed.json"))}"""


def card_facts(name: str) -> str:
    model = load_model(name)
    config, kmac = model.config, kmac_per_pixel(model.config)
    file = f"`{model.path.name}`, {model.path.stat().st_size / 1e6:.1f} MB; SHA-256 `{model.checksum}`"
    blocks = f"{config.encoder_blocks} / {config.decoder_blocks} residual blocks of {config.channels} channels"
    shortcut = " and linear shortcuts around them" if config.shortcut else ""
    nets = (
        f"convolutional VAE with hyperprior: 16x16 block transform with {blocks} at 1/8 resolution inside it "
        f"(analysis / synthesis){shortcut}, {config.latents} latents, {config.hyper_latents} hyper latents, exact integer prior "
        "with four context steps"
    )
    size = f"{model.parameters / 1e6:.2f} M parameters; {kmac['encode']} kMAC/px to encode, {kmac['decode']} to decode"
    rates = f"one model, {config.anchors} anchors, lambda {config.lambda_min:g} to {config.lambda_max:g}"
    return table(["", ""], [["file", file], ["architecture", nets], ["size", size], ["rates", rates]])


def card_kodak(name: str) -> str:
    kodak = load("kodak/results.json")
    ours, bd = (kodak["codecs"][f"vaecodec-{name}"][what] for what in ("points", "bd"))
    anchor = curve_of(kodak["codecs"]["jpeg"]["points"], "psnr")
    narrow = bd_rate(anchor, curve_of(ours, "psnr"), (0.1, 1.5))
    low, high = bd["psnr"]["rate_interval"]
    points = "; ".join(
        f"{p['bpp']:.3f} bpp, SSIMULACRA 2 of {p['ssimulacra2']:.0f}, {p['psnr']:.1f} dB at quality {p['quality']:g}"
        for p in ours
        if p["quality"] in (1, 25, 50, 75, 100)
    )
    rate, similar, seen = (bd[metric]["rate_percent"] for metric in ("psnr", "ms-ssim", "ssimulacra2"))
    return f"""Kodak, 24 images, real file bytes, decoded 8-bit pixels (`benchmarks/results/kodak`), against JPEG as Pillow
writes it with `optimize=True, subsampling="4:2:0"`, qualities 5 to 95: **BD-rate {rate:+.1f} %** in RGB PSNR over the
common range (95 % interval over images {low:+.1f} to {high:+.1f}; {narrow:+.1f} % from 0.1 to 1.5 bpp of JPEG), **{similar:+.1f} %** in
MS-SSIM, **{seen:+.1f} %** in SSIMULACRA 2. {points}.

{bd_table(kodak)}

{against_avif(kodak, LABELS)}

{worst_image(kodak, f"vaecodec-{name}")}

By measures that no model here was trained on:

{judged(load("judges/results.json"), LABELS)}

Typical scores of each quality on whole validation pictures (`models/quality.json`): means, and the tenth to ninetieth
percentile of the pictures.

{meaning(name)}"""


def card_results(name: str) -> str:
    monotone, estimate, torture = (load(f"{what}.json") for what in ("monotone", "estimate", "torture"))
    worst = max(abs(estimate[kind]["worst_percent"]) for kind in ("coded", "forward"))
    validation = table(
        ["bpp", "PSNR", "latent channels in use"],
        [
            [f"{p['z_bpp'] + p['y_bpp']:.3f}", f"{p['psnr']:.2f}", str(p["active_channels"])]
            for p in load("validation.json")
        ],
    )
    step, own = (monotone[f"smallest_step_of_{what}_percent"] for what in ("the_mean", "an_image"))
    mean, least = torture["mean_db"], torture["worst_db"]
    return f"""{card_kodak(name)}

Every increase of `--quality` by 1 adds at least {step:.1f} % to the mean bytes on Kodak and at least {own:.1f} % to any single
image (`monotone.json`). Real bytes are within {worst:.2f} % of the estimate on every image and quality tried
(`estimate.json`). On {len(torture["images"])} images unlike photographs, at equal bits, against JPEG: {mean:+.1f} dB on average,
{least:+.1f} dB at worst (`torture.json`).

Validation split (32 centre crops of 256x256, plain rounding), one line per anchor:

{validation}"""


SECTIONS = {
    "README.md": {"results": readme_results, "qualities": partial(meaning, MODEL)},
    "docs/training.md": {"ladder": training_ladder},
    "docs/startup.md": {"workers": startup_workers},
    "docs/find.md": {"find": find_recall},
    "docs/anomaly.md": {"anomaly": anomaly_areas},
    **{
        f"models/{name}.md": {
            "facts": partial(card_facts, name),
            "results": partial(card_results if name == MODEL else card_kodak, name),
        }
        for name in shipped_models()
    },
    "benchmarks/results/README.md": {
        "large": results_large, "tiling": results_tiling, "effort": results_effort, "torture": results_torture,
        "targets": results_targets, "denoise": results_denoise, "repair": results_repair, "salvage": results_salvage,
        "integrations": results_integrations, "devices": results_devices,
    },
}  # fmt: skip


def published(text: str, sections: dict) -> str:
    """`text` with its sections regenerated; raises ValueError if one is missing."""
    for name, make in sections.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end {name} -->)", re.S)
        if not pattern.search(text):
            raise ValueError(f"no section {name}")
        made = make()
        text = pattern.sub(lambda match, made=made: f"{match[1]}\n{made}\n{match[2]}", text)
    return text


def draw(folder: Path = RESULTS / "kodak") -> None:
    """rd_METRIC.png and .svg of the results.json in a folder; README.md shows the first."""
    for metric in ("ssimulacra2", "ms-ssim", "psnr"):
        plots.rate_distortion(results.read(folder), metric, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    stale = False
    for name, sections in SECTIONS.items():
        path = ROOT / name
        before = path.read_text()
        after = published(before, sections)
        if after != before:
            stale = True
            print(f"{name} {'is not up to date' if arguments.check else 'written'}")
            if not arguments.check:
                path.write_text(after)
    if not arguments.check:
        draw()
    sys.exit(int(stale and arguments.check))


if __name__ == "__main__":
    main()
