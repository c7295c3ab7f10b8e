# ruff: noqa: E501 (lines of the pages that it writes)
"""Tables of the scripts' measurements, from benchmarks/results/*.json."""

from __future__ import annotations

import json
from pathlib import Path

from vaecodec.benchmarks.eye_tables import table

RESULTS = Path(__file__).parent / "results"


def load(name: str) -> dict | list:
    return json.loads((RESULTS / name).read_text())


def results_large() -> str:
    head = ["megapixels", "encode", "decode", "region", "1/8 preview", "memory to encode / decode"]
    tasks = {"encode": 1, "decode": 1, "region": 2, "preview": 1}  # and the decimals of their seconds
    rows = [
        [
            f"{r['megapixels']:g}",
            *(f"{r[task]['seconds']:.{digits}f} s" for task, digits in tasks.items()),
            f"{r['encode']['peak_mib']} / {r['decode']['peak_mib']} MiB",
        ]
        for r in load("large.json")
    ]
    return table(head, rows)


def results_tiling() -> str:
    rows = []
    for tile, entry in load("tiling.json").items():
        if tile != "curves":
            changes = entry["seam_psnr_change_db"].values()
            rows.append([tile, f"{entry['bd_rate_percent']:+.2f} %", f"{min(changes):+.3f} to {max(changes):+.3f} dB"])
    return table(["tile", "BD-rate", "PSNR at the borders"], rows)


def results_effort() -> str:
    tables = [_effort("effort.json", "PSNR")]
    if (RESULTS / "effort-ssimulacra2.json").exists():
        tables.append(_effort("effort-ssimulacra2.json", "SSIMULACRA 2"))
    return "\n\n".join(tables)


def _effort(name: str, metric: str) -> str:
    effort = load(name)
    rows = [
        [
            str(row["effort"]),
            str(row["steps"]),
            *(f"{row[part]:+.1f} %" for part in ("bd_rate_percent", "low", "high")),
            f"{row['encode_time_ratio']:.0f}",
            f"{row['seconds_a_megapixel']:.1f} s",
        ]
        for row in effort["rows"]
    ]
    head = ["effort", "steps", "BD-rate", "low rates", "high rates", "time relative to effort 1", "per megapixel"]
    return (
        f"Model {effort['model']}, by {metric}, {effort['crops']} crops of {effort['size']}x{effort['size']}.\n\n"
        f"{table(head, rows)}"
    )


def results_integrations() -> str:
    tests = {"Pillow:": "library/test_pillow", "folder": "cli/test_folders", "preview": "format/test_tiles"}
    rows = []
    for name, entry in load("integrations.json").items():
        test = next((test for start, test in tests.items() if name.startswith(start)), "library/test_pipelines")
        ours, plain = entry["seconds"], entry["plain_seconds"]
        rows.append(
            [name, f"`tests/{test}.py`", f"{1000 * ours:.0f} ms", f"{1000 * plain:.0f} ms", f"{ours / plain:.2f}"]
        )
    return table(["integration", "test", "time", "plain call", "ratio"], rows)


def results_devices() -> str:
    if not (RESULTS / "devices.json").exists():
        return "Not measured on the shipped weights yet."
    devices = load("devices.json")
    rows = [
        [name, *(f"{rate[task]:.2f}" if rate else "not measured" for task in ("encode", "decode"))]
        for name, rate in devices["megapixels_a_second"].items()
    ]
    return table([f"{devices['image']}, megapixels per second", "encode", "decode"], rows)


def startup_workers() -> str:
    if not (RESULTS / "workers.json").exists():
        return "Not measured on the shipped weights yet."
    workers = load("workers.json")
    rows = [[str(workers["images"]), *(f"{workers['seconds'][n]:.2f} s" for n in "12"), f"{workers['ratio']:.2f}"]]
    return table(["images of 768x512", "`--jobs 1`", "`--jobs 2`", "ratio"], rows)


def results_torture() -> str:
    images = load("torture.json")["images"]
    budgets = sorted({budget for row in images.values() for budget in row}, key=float)

    def cell(pair: list | None) -> str:
        return "" if pair is None else f"{'-' if pair[0] is None else f'{pair[0]:.1f}'} / {pair[1]:.1f}"

    rows = [[name.replace("_", " "), *(cell(row.get(budget)) for budget in budgets)] for name, row in images.items()]
    return table(["image", *(f"{budget} bpp" for budget in budgets)], rows)


def results_targets() -> str:
    if not (RESULTS / "targets.json").exists():
        return "Not measured on the shipped weights yet."
    targets = load("targets.json")
    units = {"size": (100, " %"), "bpp": (100, " %"), "psnr": (1, " dB"), "ms-ssim": (1, "")}
    rows = []
    for kind, entry in targets["summary"].items():
        scale, unit = units[kind]
        wanted = ", ".join(dict.fromkeys(row["target"] for row in targets["rows"][kind]))
        misses = (
            f"{scale * entry[f'{end}_miss']:.{2 if scale > 1 or unit else 5}f}{unit}" for end in ("smallest", "largest")
        )
        rest = ", ".join(
            f"{entry[how]} {how}" for how in ("another form", "end of scale", "out of reach") if how in entry
        )
        cost = [f"{entry['mean_encodes']:.1f} (at most {entry['most_encodes']})", f"{entry['median_time_ratio']:.1f}"]
        rows.append([wanted, f"{entry['latents']} in latents, {rest}", *misses, *cost])
    head = ["targets", "files", "smallest miss", "largest miss", "encodes", "time relative to a plain encode"]
    return f"Model {targets['model']}, {targets['images']} images.\n\n{table(head, rows)}"


def training_ladder() -> str:
    ladder = load("ladder.json")
    rows = []
    for row in ladder["rows"]:
        rates = ("" if rate is None else f"{rate:+.2f}" for rate in row["bd_rate"].values())
        rows.append([row["part"], row["name"], row["what"], str(row["steps"]), *rates])
    return f"""{ladder["minutes"]:g} minutes of one thread per row; BD-rate (%) over all eight rates, the lower and the upper four.

{table(["part", "row", "what", "steps", "all", "low", "high"], rows)}"""


def find_recall(name: str) -> str:
    if not (RESULTS / name).exists():
        return "Not measured on the shipped weights yet."
    found = load(name)
    head = ["query", "phash, 64 bits", "`find`", "`find --crops`", "shortlist of textures", "sure"]
    modes = "phash", "whole", "parts", "shortlist", "sure and right"

    def recall(kinds: dict) -> str:
        return table(head, [[kind, *(f"{row[mode]:.3f}" for mode in modes)] for kind, row in kinds.items()])

    wrong = sum(round(row["sure and wrong"] * found["queries"]) for row in found["kinds"].values())
    total = len(found["kinds"]) * found["queries"]
    lines = "\n".join(
        f"| {kind} | {words['sure']} | {words['likely']} | {words['unsure']} |"
        for kind, words in found["absent"].items()
    )
    times = [row["cpu_seconds"] for row in found["kinds"].values()]
    low, high = (f(row["parts"] for row in times) for f in (min, max))
    return f"""Share of queries whose first match is right (recall@1): {found["archive"]} photographs and other training pictures of long side
448, encoded with `{found["model"]}` ({found["identity"]}) at quality {found["quality"]}, {found["queries"]} queries of each kind
(`benchmarks/studies/find.py`, [{name}](../benchmarks/results/{name})). "Shortlist": how often the textures alone have the
picture among their first 64; "sure": how often `--crops` is right and calls it so.

{recall(found["kinds"])}

Of all {total} queries with `--crops`, {wrong} were called sure of a wrong picture. The first match of {found["queries"]} queries that are not in
the archive is called:

| query | sure | likely | unsure |
|---|---|---|---|
{lines}

One core, CPU time: {found["index"]["cpu_milliseconds_a_file"]:.0f} ms a file to read, {found["index"]["bytes_a_file"] / 1000:.1f} kB in the index; a query {max(row["whole"] for row in times):.2f} s, with `--crops`
{low:.2f} to {high:.2f} s (medians of the kinds)."""


def anomaly_areas() -> str:
    if not (RESULTS / "anomaly.json").exists():
        return "Not measured on the shipped weights yet."
    found = load("anomaly.json")
    methods = list(found["mean"])
    rows = [
        [name, *(f"{t['areas'][m]['image']:.2f} / {t['areas'][m]['pixel']:.2f}" for m in methods)]
        for name, t in found["textures"].items()
    ]
    mean = found["mean"].values()
    rows.append(["**mean**", *(f"**{m['image']:.3f} / {m['pixel']:.3f}**" for m in mean)])
    kinds = found["textures"]["brick"]["areas"]["vaecodec"]["by_defect"]
    by_kind = [
        [
            kind,
            *(f"{sum(t['areas'][m]['by_defect'][kind] for t in found['textures'].values()) / 7:.2f}" for m in methods),
        ]
        for kind in kinds
    ]
    alarms = [
        [name, *(f"{100 * share:.0f} %" for share in t["false_alarms"].values())]
        for name, t in found["textures"].items()
    ]
    times = [t["times_of_a_round_trip"] for t in found["textures"].values()]
    return f"""Areas under the ROC, of images / of pixels (`benchmarks/studies/anomaly.py`, seed {found["seed"]}: 48 good pictures to learn
from, 21 good and 60 with drawn defects to tell apart; brick, grass and gravel are photographs of scikit-image):

{table(["texture", *methods], rows)}

{table(["defect, images", *methods], by_kind)}

False alarms among 60 fresh good pictures, where 5 % and 10 % were asked for:

{table(["texture", "5 %", "10 %"], alarms)}

A score takes {min(times):.2f} to {max(times):.2f} times as long as encoding and decoding the image."""
