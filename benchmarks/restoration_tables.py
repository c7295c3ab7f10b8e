# ruff: noqa: E501 (lines of the pages that it writes)
"""Tables of what is measured on denoising, repair and salvage."""

from __future__ import annotations

from vaecodec.benchmarks.eye_tables import table
from vaecodec.benchmarks.result_tables import load


def results_denoise() -> str:
    found, count = load("denoise.json"), "{crops} crops of {size}x{size}"
    methods = {
        "noisy": "as it is",
        "wavelet": "wavelets",
        "nlm": "non-local means",
        "one_pass": "one pass",
        "default": "as it comes",
        "shifts_4": "4 shifts",
        "blind": "sigma estimated",
    }
    rows = [
        [f"{kind}, sigma {row['sigma']}", *(f"{row[name]:.2f}" for name in methods)]
        for kind in ("white", "gray")
        for row in found[kind]
    ]
    not_white = [
        [
            f"{row['camera']} sensitivity" if "camera" in row else f"white, sigma {row['sigma']}",
            str(row["jpeg"]),
            *(f"{row[name]:.2f}" for name in ("noisy", "blind")),
            f"{row['estimated_sigma']:.1f}",
            f"{row['best']:.2f} ({row['best_sigma']})",
            f"{row['wavelet_best']:.2f} ({row['wavelet_best_sigma']})",
        ]
        for row in found["jpeg"] + found["camera"]
    ]
    encode = [
        [
            f"{row['sigma']}, quality {row['quality']:g}",
            f"{row['bytes_noisy']:,}",
            f"{row['bytes_denoised']:,}",
            f"{100 * row['bytes_denoised'] / row['bytes_noisy'] - 100:+.0f} %",
            f"{row['psnr_noisy']:.2f}",
            f"{row['psnr_denoised']:.2f}",
        ]
        for row in found["encode"]
    ]
    heads = (
        ["PSNR, dB", *methods.values()],
        ["noise", "JPEG", "as it is", "sigma estimated", "estimate", "best sigma", "wavelets, best sigma"],
        ["sigma", "bytes", "bytes denoised", "", "PSNR to the clean picture, dB", "denoised"],
    )
    times = found["times_of_a_round_trip"]
    names = {"one_pass": "one pass", "one_pass_blind": "with the estimate", "two_passes": "two passes"}
    names |= {"shifts_4": "4 shifts", "wavelet": "wavelets", "nlm": "non-local means"}
    clean = found["without_noise"]
    return "\n\n".join(
        [
            f"White noise on {count.format(**found)}:",
            table(heads[0], rows),
            "Noise that is not white, PSNR in dB:",
            table(heads[1], not_white),
            "What `encode --denoise` saves, sigma estimated:",
            table(heads[2], encode),
            f"Of {clean['pictures']} crops without noise {clean['unchanged']} come back as they are, the others at "
            f"{min(clean['changed_psnr']):.1f} dB and more. Times, in times of encoding and decoding at quality 80: "
            + ", ".join(f"{label} {times[name]:.2f}" for name, label in names.items())
            + ".",
        ]
    )


def results_repair() -> str:
    found = load("repair.json")
    methods = {"harmonic": "membrane", "biharmonic": "biharmonic", "navier_stokes": "Navier-Stokes", "telea": "Telea"}
    rows = [
        [
            name,
            f"{row['damaged_percent']:.1f} %",
            *(f"{row[method]:.2f}" if method in row else "" for method in methods),
            f"**{row['repair']:.2f}**" if row["gain"] > 0 else f"{row['repair']:.2f}",
            f"{row['gain']:+.2f}",
            f"{row['gain_quantiles'][0]:+.1f} to {row['gain_quantiles'][-1]:+.1f}",
        ]
        for name, row in found["damage"].items()
    ]
    head = ["PSNR, dB", "damaged", *methods.values(), "repair", "over the best other", "of single pictures"]
    times = found["times_of_a_round_trip"]
    return (
        f"{found['crops']} crops of {found['size']}x{found['size']}:\n\n{table(head, rows)}\n\nTime for the scratches of one "
        f"crop, which lie all over it: {times['repair']:.1f} times that of encoding and decoding it at quality 80, one thread "
        f"(biharmonic: {times['biharmonic']:.2f})."
    )


def results_salvage() -> str:
    found = load("salvage.json")
    psnr, gain = found["psnr_of_lost"], found["gain_db"]
    return (
        f"{found['tiles']} tiles of {found['tile']} pixels in {found['pictures']} pictures, each lost once: PSNR of the "
        f"lost pixels {psnr['gray']:.2f} dB gray, {psnr['mean_colour']:.2f} in the mean colour of the rest, "
        f"**{psnr['smooth']:.2f} smooth**; gain over gray {gain[1]:+.1f} to {gain[3]:+.1f} dB (tenth and ninetieth "
        f"percentile; {gain[0]:+.1f} at worst), {found['time_by_gray']:.2f} times the time of the command."
    )
