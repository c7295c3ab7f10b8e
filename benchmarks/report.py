"""report.html: tables, plots and a viewer of crops in one self-contained file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from string import Template

from vaecodec.benchmarks.metrics import LABELS
from vaecodec.benchmarks.results import timing_only
from vaecodec.benchmarks.views import TOLERANCE, Shot, View
from vaecodec.system.output import write_whole
from vaecodec.viewer import STYLE, Scene, Side, escaped, table, viewer

TEMPLATE = Path(__file__).with_name("report.html")
OURS = "vaecodec"


def write_report(result: dict, views: list[View], out: Path) -> Path:
    """Write OUT/report.html from a result and the plots in OUT; returns its path."""
    metrics = [name for name in LABELS if any(name in e["points"][0] for e in result["codecs"].values())]
    quick = "quick run: few qualities a codec; " if result["setup"].get("quick") else ""
    subtitle = f"{quick}{result['images']} images, anchor {result['anchor']}; real file bytes, decoded 8-bit pixels"
    parts = {
        "title": f"Rate and distortion on {escaped(result['dataset'])}",
        "subtitle": escaped(subtitle),
        "answer": _answer(result, metrics),
        "table": _summary(result, metrics),
        "of_images": _details("BD-rate of every image", "".join(_of_images(result, metric) for metric in metrics)),
        "notes": _notes(result),
        "plots": "".join(_plot(out / f"rd_{m}.svg", f"{LABELS[m]} against rate") for m in metrics)
        + _plot(out / "speed.svg", "Bits saved against decoding speed"),
        "viewer": _viewer(result, views),
        "method": _method(result),
        "points": _details("Every point of every curve", _points(result, metrics)),
        "style": STYLE,
    }
    path = out / "report.html"
    write_whole(path, Template(TEMPLATE.read_text()).substitute(parts).encode(), overwrite=True)
    return path


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>" if content else ""


def _rate(entry: dict, metric: str) -> float | None:
    bd = (entry.get("bd") or {}).get(metric)
    return bd["rate_percent"] if bd else None


def _ranked(result: dict, metric: str) -> list[tuple[str, dict]]:
    """Codecs by BD-rate, the best first, with the anchor at 0; codecs without one at the end."""

    def key(item: tuple[str, dict]) -> float:
        rate = 0.0 if item[0] == result["anchor"] else _rate(item[1], metric)
        return float("inf") if rate is None else rate

    return sorted(result["codecs"].items(), key=key)


def _answer(result: dict, metrics: list[str]) -> str:
    if not metrics or len(result["codecs"]) < 2:
        return ""
    name, entry = _ranked(result, metrics[0])[0]
    if (rate := _rate(entry, metrics[0])) is None:
        return ""
    label, anchor = LABELS[metrics[0]].split(",")[0], escaped(result["anchor"])
    return (
        f"<p>At equal {label}, <strong>{escaped(name)}</strong> needs {abs(rate):.1f} % fewer bits than {anchor}, more "
        "savings than any other codec here.</p>"
    )


def _summary(result: dict, metrics: list[str]) -> str:
    rows = []
    for name, entry in _ranked(result, metrics[0]) if metrics else result["codecs"].items():
        cells = [escaped(name)]
        for metric in metrics:
            bd = (entry.get("bd") or {}).get(metric)
            text = f"{bd['rate_percent']:+.1f} %" if bd else "0" if name == result["anchor"] else "-"
            if bd and bd["rate_interval"]:
                text += ' <span class="interval">{:+.1f} to {:+.1f}</span>'.format(*bd["rate_interval"])
            cells.append(text)
        bd = (entry.get("bd") or {}).get(metrics[0]) if metrics else None
        cells.append(f"{bd['score']:+.2f} dB" if bd else "-")
        cells += [f"{median(p[key] for p in entry['points']):.3f} s" for key in ("encode_s", "decode_s")]
        memory = entry.get("memory")
        cells.append(f"{memory['codec_mib']:.0f} MiB" if memory else "-")
        rows.append((name.startswith(OURS), cells))
    rates = [f"BD-rate, {LABELS[metric].split(',')[0]}" for metric in metrics]
    first = LABELS[metrics[0]].split(",")[0] if metrics else ""
    head = ["codec", *rates, f"BD {first}", "encode", "decode", "memory"]
    caption = (
        "Bits at equal quality against the anchor, with 95 % intervals over the images; CPU seconds of one core an "
        "image; memory that coding adds. Over the scores that both curves cover: "
    )
    return table(caption + "; ".join(_ranges(result, metric) for metric in metrics) + ".", head, rows)


def _ranges(result: dict, metric: str) -> str:
    """The range of scores of each codec over which its BD-rate is a mean."""
    found = [bd["score_range"] for entry in result["codecs"].values() if (bd := (entry.get("bd") or {}).get(metric))]
    if not found:
        return f"{LABELS[metric]}: none"
    lows, highs = zip(*found, strict=True)
    return f"{LABELS[metric]}: {_span(lows)} to {_span(highs)}"


def _span(values: Sequence[float]) -> str:
    ends = f"{min(values):.1f}", f"{max(values):.1f}"
    return ends[0] if ends[0] == ends[1] else f"({ends[0]} or, by codec, up to {ends[1]})"


def _of_images(result: dict, metric: str) -> str:
    """BD-rates of each image, and the range of scores of each codec's BD-rate over the set."""
    rates = {name: entry["bd_of_images"][metric] for name, entry in result["codecs"].items() if "bd_of_images" in entry}
    if not rates:
        return ""
    rows = [
        (False, [escaped(image), *("-" if own[image] is None else f"{own[image]:+.1f}" for own in rates.values())])
        for image in next(iter(rates.values()))
    ]
    sets = [result["codecs"][name]["bd"][metric] for name in rates]
    spans = ["{:.1f} to {:.1f}".format(*bd["score_range"]) if bd else "-" for bd in sets]
    caption = f"BD-rate of every image alone, %, {LABELS[metric].split(',')[0]}; - where its curves do not overlap"
    return table(caption, ["image", *map(escaped, rates)], [*rows, (False, ["range of the set", *spans])])


def _notes(result: dict) -> str:
    random = [escaped(name) for name, entry in result["codecs"].items() if timing_only(entry)]
    if not random:
        return ""
    return f'<p class="faint">{", ".join(random)}: random weights, there for the times only.</p>'


def _plot(path: Path, caption: str) -> str:
    if not path.exists():
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{escaped(caption)}" src="data:image/svg+xml;base64,{data}">'
    return f"<figure>{image}<figcaption>{escaped(caption)}</figcaption></figure>"


def _viewer(result: dict, views: list[View]) -> str:
    if not views:
        return ""
    targets = {str(target): f"{target:g} bpp" for target in views[0].shots}
    names = list(next(iter(views[0].shots.values())))
    right = next((name for name in names if name.startswith(OURS)), names[-1])
    left = result["anchor"] if result["anchor"] in names else names[0]
    return f"""<h2>See for yourself</h2>
<p class="faint">Crops of {len(views)} images at equal bits a pixel of the whole image (red where a codec comes no
nearer than {TOLERANCE:.0%}). Drag over the picture, or move the slider.</p>
{viewer([_scene(view) for view in views], left, right, targets)}"""


def _scene(view: View) -> Scene:
    height, width = view.original.shape[:2]
    shots = {
        str(target): {name: _side(name, shot, target) for name, shot in by_codec.items()}
        for target, by_codec in view.shots.items()
    }
    return Scene(view.image, width, height, {"original": Side.of(view.original, "original")}, shots)


def _side(name: str, shot: Shot, target: float) -> Side:
    text = f"{name}: {shot.bpp:.3f} bpp, {shot.scores} (quality {shot.quality:g})"
    missed = not shot.near(target)
    return Side.of(shot.pixels, text + (", as near as it comes" if missed else ""), missed)


def _method(result: dict) -> str:
    setup = result["setup"]
    versions = ", ".join(f"{name} {version}" for name, version in setup["versions"].items())
    coders = "".join(f"<li>{escaped(name)}: {escaped(version)}</li>" for name, version in setup["codecs"].items())
    commit = escaped(setup["commit"] or "unknown") + (" with changes that are not committed" if setup["dirty"] else "")
    cores = "and its process one core" if setup["one_core_each"] else "but may start more"
    return (
        "<p>BD-rate: mean difference of log rate at equal score (PCHIP through the means over the images of bits a "
        "pixel and of the score), over the scores that both curves cover; intervals by bootstrap over the images. Each "
        f"codec is asked for {setup['threads']} thread, {cores}; seconds are CPU time of all threads.</p>"
        f"<ul>{coders}</ul>"
        f'<p class="faint">{escaped(setup["cpu"])}, {setup["cores"]} cores, {escaped(setup["machine"])}, '
        f"Python {escaped(setup['python'])}; {escaped(versions)}; commit {commit}.</p>"
    )


def _points(result: dict, metrics: list[str]) -> str:
    rows = []
    for name, entry in result["codecs"].items():
        for p in entry["points"]:
            scores = [f"{p[key]:.4f}" if key in p else "-" for key in ("bpp", *metrics)]
            seconds = [f"{p[key]:.3f}" for key in ("encode_s", "decode_s")]
            rows.append((name.startswith(OURS), [escaped(name), f"{p['quality']:g}", *scores, *seconds]))
    return table("Means over the images", ["codec", "quality", "bpp", *metrics, "encode, s", "decode, s"], rows)
