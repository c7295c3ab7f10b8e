"""What the records of a run say of it: what its latents carry, whether it learned by heart, why it stopped.

A VAE can fail in silence in two ways. Its posterior collapses: a part of the latents carries nothing, because the prior
was cheaper to follow than to beat (Bowman et al. 2016; He et al. 2019). Or it learns its pictures by heart.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaecodec.errors import VaecodecError, reason
from vaecodec.training.folder import CLOCK, ERROR, GUARD, SIGNAL, STEPS, STOP

LIVE, BUSY = 0.01, 0.1
"""Bits a latent above which a channel is live, and busy."""
TOP = 32
"""So many channels are looked at for the share of the bits that the largest have."""
COLLAPSED = 1.0
"""Bits that all channels of y, or of z, carry together at one position, below which they have collapsed."""
BY_HEART = 0.0144
"""log2(1.01): so much more held-out pictures cost where training pictures are learned by heart, if that is SURE."""
SURE, LIKELY = 3, 2
"""Standard errors that a gap is above 0."""
UNSURE = 0.07
"""log2(1.05): a gap that is not known to 5 % is not known."""
LARGEST = 1 << 28
"""Bytes of a log that are read; a record has some 50,000."""
STOPPED = {
    CLOCK: "stopped by clock",
    STEPS: "stopped after its last step",
    GUARD: "stopped by the guard against overfitting",
    SIGNAL: "stopped by a signal",
    ERROR: "stopped by an error",
}


@dataclass(frozen=True)
class Record:
    """One validation. points, train_points: columns by name, each (A,); y_bits (A, M), z_bits (A, Z): bits a latent;
    gap: (value, standard error) by name, rows of an anchor each or one; None where there is none."""

    step: int
    minutes: float
    cost: float
    train_cost: float
    held_out: int
    points: dict[str, NDArray[np.float64]]
    train_points: dict[str, NDArray[np.float64]]
    y_bits: NDArray[np.float64]
    z_bits: NDArray[np.float64]
    gap: dict[str, NDArray[np.float64]] | None


@dataclass(frozen=True)
class Finding:
    """name: in two or three words; text: what it means, one sentence; grave: a warning, and not only worth knowing."""

    name: str
    text: str
    grave: bool


@dataclass(frozen=True)
class Diagnosis:
    """Of a run: its validations in their order, why it stopped, what was found, and all of it in one line."""

    name: str
    records: list[Record]
    stopped: str
    findings: list[Finding]
    line: str

    @property
    def last(self) -> Record:
        return self.records[-1]


def diagnose(run: Path) -> Diagnosis:
    """Read what `vaecodec train` keeps in its folder; raises VaecodecError where that is no run, or an old one.

    >>> print(diagnose(Path("runs/mine")).line)  # doctest: +SKIP
    y 336/336, z 33/128 channels carry > 0.01 bit; gap train/validation +0.4 % (+-1.5); stopped by clock
    """
    records, why = _records(run / "validation.jsonl"), _why(run / STOP)
    last = records[-1]
    findings = [*_collapse("y", last.y_bits), *_collapse("z", last.z_bits), *_by_heart(records, why)]
    best = min(records, key=lambda record: record.cost)
    if best.step != last.step:
        text = f"The validation at step {best.step} was the best; the model has the weights of that step."
        findings.append(Finding("an earlier state is kept", text, False))
    if why in (SIGNAL, ERROR, None):
        text = "The learning rate falls only towards the end. If the run does not go on, the same command resumes it."
        findings.append(Finding("not at its end", text, False))
    stopped = "still running, or killed" if why is None else STOPPED[why]
    counts = ", ".join(f"{name} {most_live(bits)}/{bits.shape[1]}" for name, bits in _bits(last))
    line = f"{counts} channels carry > {LIVE:g} bit; {gap_in_words(last)}; {stopped}"
    return Diagnosis(run.resolve().name, records, stopped, findings, line)


def _bits(record: Record) -> list[tuple[str, NDArray[np.float64]]]:
    return [("y", record.y_bits), ("z", record.z_bits)]


def live(bits: NDArray[np.float64], threshold: float = LIVE) -> NDArray[np.int64]:
    """How many channels of bits (A, C) carry more than the threshold, at each anchor (A,)."""
    return (bits > threshold).sum(1)


def most_live(bits: NDArray[np.float64]) -> int:
    """At the rate where most are."""
    return int(live(bits).max())


def top_share(bits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of all bits (A, C) that the TOP largest channels have, at each anchor (A,); 1 where there are none."""
    total = bits.sum(1)
    return np.where(total > 0, -np.sort(-bits, 1)[:, :TOP].sum(1) / np.where(total > 0, total, 1), 1)


def percent(log2: float) -> float:
    """A ratio, given by its log2, as what it is above 1 in %."""
    return 100 * (2**log2 - 1)


def gap_in_words(record: Record) -> str:
    if record.gap is None:
        return "gap train/validation unknown"
    value, error = record.gap["cost"]
    sure = f" (+-{percent(2 * error):.1f})" if math.isfinite(error) else " (from too few pictures)"
    return f"gap train/validation {percent(value):+.1f} %{sure}"


def _collapse(name: str, bits: NDArray[np.float64]) -> list[Finding]:
    sums, silent = bits.sum(1), bits.shape[1] - most_live(bits)
    dead = np.flatnonzero(sums < COLLAPSED)
    if len(dead):
        where = "at all rates" if len(dead) == len(sums) else f"at {len(dead)} of {len(sums)} rates"
        cause = "their bits cost too much (hyper_warmup)" if name == "z" else "the lowest lambda may be too low"
        text = f"All channels of {name} together carry less than {COLLAPSED:g} bit a position {where}: {cause}."
        return [Finding(f"{name} collapsed", text, True)]
    if silent:
        text = f"{silent} of the {bits.shape[1]} channels of {name} carry next to nothing at every rate."
        return [Finding(f"idle channels of {name}", text, False)]
    return []


def _by_heart(records: list[Record], why: str | None) -> list[Finding]:
    last, name = records[-1], "learned by heart"
    if why == GUARD:
        return [Finding(name, "Validations got worse while the training pictures went on getting better.", True)]
    if not last.held_out:
        text = "All pictures are trained on: nothing can show whether they are learned by heart. Give some more."
        return [Finding("nothing held out", text, True)]
    if last.gap is None:
        return []
    value, error = last.gap["cost"]
    if value > max(BY_HEART, SURE * error):
        text = f"Held-out pictures cost {percent(value):.1f} % more than training pictures that are as hard."
        return [Finding(name, text, True)]
    if value > LIKELY * error:
        text = f"Held-out pictures seem to cost {percent(value):.1f} % more: if that grows, training is memorising."
        return [Finding("a gap", text, False)]
    if 2 * error > UNSURE:
        text = f"Known to {percent(2 * error):.0f} % only; more held-out pictures or a longer run would tell more."
        return [Finding("gap unsure", text, False)]
    return []


def _why(path: Path) -> str | None:
    """Why the run stopped, or None where its folder does not say."""
    try:
        why = str(json.loads(_text(path))["why"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VaecodecError(f"{path} is not what a run writes") from error
    if why not in STOPPED:
        raise VaecodecError(f"{path} is not what a run writes, or of a later version")
    return why


def _records(path: Path) -> list[Record]:
    try:
        lines = _text(path).splitlines()
    except FileNotFoundError as error:
        raise VaecodecError(
            f"{path.parent} is no run that has been validated: vaecodec train writes {path.name} there"
        ) from error
    records = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if "z_bits" in values:  # earlier versions did not count them
                records.append(_record(values))
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise VaecodecError(f"{path}, line {number}: not what a run writes") from error
    if not records:
        raise VaecodecError(f"{path} has no record of this version of vaecodec: train on for one")
    if len({(record.y_bits.shape, record.z_bits.shape) for record in records}) > 1:
        raise VaecodecError(f"{path}: its records are of different models")
    return records


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise VaecodecError(f"cannot read {path}: {reason(error)}") from error
    if len(data) > LARGEST:
        raise VaecodecError(f"{path} is larger than what any run writes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VaecodecError(f"{path} is not what a run writes") from error


def _record(values: dict[str, Any]) -> Record:
    """Raises ValueError, KeyError or TypeError for what is none."""
    y_bits, z_bits = (_numbers(values[name], 2) for name in ("y_bits", "z_bits"))
    anchors = len(y_bits)
    names = ("z_bpp", "y_bpp", "psnr", "active_channels", "active_hyper")
    points, train_points = (
        {name: _numbers([point[name] for point in values[part]], 1) for name in names}
        for part in ("points", "train_points")
    )
    gap = values["gap"] and {
        name: _numbers([[v, math.inf if e is None else e] for v, e in rows], 2, finite=False)
        for name, rows in (values["gap"] | {"cost": [values["gap"]["cost"]]}).items()
    }
    columns = [z_bits, *points.values(), *train_points.values(), *([gap["rate"], gap["distortion"]] if gap else [])]
    if any(len(column) != anchors for column in columns) or not 0 < anchors < 1000:
        raise ValueError
    if gap:
        gap["cost"] = gap["cost"][0]
    scalars = _numbers([values[name] for name in ("step", "seconds", "cost", "train_cost", "held_out")], 1)
    step, seconds, cost, train_cost, held_out = scalars.tolist()
    return Record(
        int(step), seconds / 60, cost, train_cost, int(held_out), points, train_points, y_bits, z_bits, gap or None
    )


def _numbers(values: Any, dimensions: int, finite: bool = True) -> NDArray[np.float64]:
    array = np.array(values)
    if array.ndim != dimensions or array.dtype.kind not in "if" or not array.size or np.isnan(array).any():
        raise ValueError
    if finite and not np.isfinite(array).all():
        raise ValueError
    return array.astype(np.float64)
