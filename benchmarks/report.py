"""report.html: tables, plots and a viewer of crops in one file that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from string import Template

from PIL import Image

from vaecodec.benchmarks.metrics import LABELS
from vaecodec.benchmarks.results import timing_only
from vaecodec.benchmarks.views import TOLERANCE, Pixels, Shot, View
from vaecodec.output import write_whole

TEMPLATE = Path(__file__).with_name("report.html")
OURS = "vaecodec"


def write_report(result: dict, views: list[View], out: Path) -> Path:
    """Write OUT/report.html from a result and the plots that lie in OUT; returns its path."""
    metrics = [name for name in LABELS if any(name in e["points"][0] for e in result["codecs"].values())]
    quick = "quick run: few qualities a codec; " if result["setup"].get("quick") else ""
    subtitle = f"{quick}{result['images']} images, anchor {result['anchor']}; real file bytes, decoded 8-bit pixels"
    parts = {
        "title": f"Rate and distortion on {_text(result['dataset'])}",
        "subtitle": _text(subtitle),
        "answer": _answer(result, metrics),
        "table": _summary(result, metrics),
        "of_images": _details("BD-rate of every image", "".join(_of_images(result, metric) for metric in metrics)),
        "notes": _notes(result),
        "plots": "".join(_plot(out / f"rd_{m}.svg", f"{LABELS[m]} against rate") for m in metrics)
        + _plot(out / "speed.svg", "Bits saved against decoding speed"),
        "viewer": _viewer(result, views),
        "method": _method(result),
        "points": _details("Every point of every curve", _points(result, metrics)),
        "views": _json(views),
    }
    path = out / "report.html"
    write_whole(path, Template(TEMPLATE.read_text()).substitute(parts).encode(), overwrite=True)
    return path


def _text(value: object) -> str:
    return html.escape(str(value))


def _table(caption: str, head: list[str], rows: list[tuple[bool, list[str]]]) -> str:
    """Cells are HTML; a row may be marked as ours."""
    lines = "".join(
        ('<tr class="ours">' if ours else "<tr>") + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for ours, cells in rows
    )
    heads = "".join(f"<th>{cell}</th>" for cell in head)
    table = f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'  # which scrolls, by keyboard too


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>" if content else ""


def _rate(entry: dict, metric: str) -> float | None:
    bd = (entry.get("bd") or {}).get(metric)
    return bd["rate_percent"] if bd else None


def _ranked(result: dict, metric: str) -> list[tuple[str, dict]]:
    """Codecs by BD-rate, the best first; the anchor among them at 0; those without one at the end."""

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
    label, anchor = LABELS[metrics[0]].split(",")[0], _text(result["anchor"])
    return (
        f"<p>At equal {label}, <strong>{_text(name)}</strong> needs {abs(rate):.1f} % fewer bits than {anchor}, more "
        "savings than any other codec here.</p>"
    )


def _summary(result: dict, metrics: list[str]) -> str:
    rows = []
    for name, entry in _ranked(result, metrics[0]) if metrics else result["codecs"].items():
        cells = [_text(name)]
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
    return _table(caption + "; ".join(_ranges(result, metric) for metric in metrics) + ".", head, rows)


def _ranges(result: dict, metric: str) -> str:
    """Where the scores begin and end over which BD-rates are means: by codec, each with its own."""
    found = [bd["score_range"] for entry in result["codecs"].values() if (bd := (entry.get("bd") or {}).get(metric))]
    if not found:
        return f"{LABELS[metric]}: none"
    lows, highs = zip(*found, strict=True)
    return f"{LABELS[metric]}: {_span(lows)} to {_span(highs)}"


def _span(values: Sequence[float]) -> str:
    ends = f"{min(values):.1f}", f"{max(values):.1f}"
    return ends[0] if ends[0] == ends[1] else f"({ends[0]} or, by codec, up to {ends[1]})"


def _of_images(result: dict, metric: str) -> str:
    """BD-rates of every image alone, and at the end the scores over which each codec's BD-rate of the set is a mean."""
    rates = {name: entry["bd_of_images"][metric] for name, entry in result["codecs"].items() if "bd_of_images" in entry}
    if not rates:
        return ""
    rows = [
        (False, [_text(image), *("-" if own[image] is None else f"{own[image]:+.1f}" for own in rates.values())])
        for image in next(iter(rates.values()))
    ]
    sets = [result["codecs"][name]["bd"][metric] for name in rates]
    spans = ["{:.1f} to {:.1f}".format(*bd["score_range"]) if bd else "-" for bd in sets]
    caption = f"BD-rate of every image alone, %, {LABELS[metric].split(',')[0]}; - where its curves do not overlap"
    return _table(caption, ["image", *map(_text, rates)], [*rows, (False, ["range of the set", *spans])])


def _notes(result: dict) -> str:
    random = [_text(name) for name, entry in result["codecs"].items() if timing_only(entry)]
    if not random:
        return ""
    return f'<p class="faint">{", ".join(random)}: random weights, there for the times only.</p>'


def _plot(path: Path, caption: str) -> str:
    if not path.exists():
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{_text(caption)}" src="data:image/svg+xml;base64,{data}">'
    return f"<figure>{image}<figcaption>{_text(caption)}</figcaption></figure>"


def _viewer(result: dict, views: list[View]) -> str:
    if not views:
        return ""
    targets = list(views[0].shots)
    names = list(views[0].shots[targets[0]])
    right = next((name for name in names if name.startswith(OURS)), names[-1])
    left = result["anchor"] if result["anchor"] in names else names[0]

    def select(identity: str, label: str, options: list[tuple[str, str]], chosen: str) -> str:
        lines = "".join(
            f'<option value="{_text(value)}"{" selected" if value == chosen else ""}>{_text(text)}</option>'
            for value, text in options
        )
        return f'<label>{label} <select id="{identity}">{lines}</select></label>'

    sides = [("original", "original"), *((name, name) for name in names)]
    rates = [(str(target), f"{target:g} bpp") for target in targets]
    zooms = "".join(f'<button type="button" data-zoom="{zoom}">{zoom}x</button>' for zoom in (1, 2, 4))
    return f"""<h2>See for yourself</h2>
<p class="faint">Crops of {len(views)} images at equal bits a pixel of the whole image (red where a codec comes no
nearer than {TOLERANCE:.0%}). Drag over the picture, or move the slider.</p>
<div class="controls">{select("image", "Image", [(v.image, v.image) for v in views], views[0].image)}
{select("target", "At", rates, rates[len(rates) // 2][0])} {select("pick-left", "Left", sides, left)}
{select("pick-right", "Right", sides, right)} <span role="group" aria-label="Zoom">{zooms}</span></div>
<div id="stage" tabindex="0" aria-label="Comparison"><div id="sheet"><img id="right" alt=""><img id="left" alt="">
<div id="edge"></div></div></div>
<input id="slider" type="range" min="0" max="100" step="0.1" value="50" aria-label="Border between left and right">
<div id="captions"><span id="caption-left"></span><span id="caption-right"></span></div>"""


def _json(views: list[View]) -> str:
    """For a script element: what could end it is escaped."""
    data = []
    for view in views:
        height, width = view.original.shape[:2]
        shots = {
            str(target): {name: _facts(shot, target) for name, shot in by_codec.items()}
            for target, by_codec in view.shots.items()
        }
        entry = {"image": view.image, "width": width, "height": height, "original": _uri(view.original), "shots": shots}
        data.append(entry)
    return json.dumps(data).replace("<", "\\u003c")


def _facts(shot: Shot, target: float) -> dict:
    facts = {"quality": shot.quality, "bpp": shot.bpp, "scores": shot.scores, "near": shot.near(target)}
    return facts | {"uri": _uri(shot.pixels)}


def _uri(pixels: Pixels) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=60)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _method(result: dict) -> str:
    setup = result["setup"]
    versions = ", ".join(f"{name} {version}" for name, version in setup["versions"].items())
    coders = "".join(f"<li>{_text(name)}: {_text(version)}</li>" for name, version in setup["codecs"].items())
    commit = _text(setup["commit"] or "unknown") + (" with changes that are not committed" if setup["dirty"] else "")
    cores = "and its process one core" if setup["one_core_each"] else "but may start more"
    return (
        "<p>BD-rate: mean difference of log rate at equal score (PCHIP through the means over the images of bits a "
        "pixel and of the score), over the scores that both curves cover; intervals by bootstrap over the images. Each "
        f"codec is asked for {setup['threads']} thread, {cores}; seconds are CPU time of all threads.</p>"
        f"<ul>{coders}</ul>"
        f'<p class="faint">{_text(setup["cpu"])}, {setup["cores"]} cores, {_text(setup["machine"])}, '
        f"Python {_text(setup['python'])}; {_text(versions)}; commit {commit}.</p>"
    )


def _points(result: dict, metrics: list[str]) -> str:
    rows = []
    for name, entry in result["codecs"].items():
        for p in entry["points"]:
            scores = [f"{p[key]:.4f}" if key in p else "-" for key in ("bpp", *metrics)]
            seconds = [f"{p[key]:.3f}" for key in ("encode_s", "decode_s")]
            rows.append((name.startswith(OURS), [_text(name), f"{p['quality']:g}", *scores, *seconds]))
    return _table("Means over the images", ["codec", "quality", "bpp", *metrics, "encode, s", "decode, s"], rows)
