"""How to train."""

from __future__ import annotations

from dataclasses import dataclass

OPTIMIZERS = ("adam", "soap")
"""soap costs a third more time a step, and at equal time was ahead (docs/training.md)."""


@dataclass(frozen=True)
class TrainOptions:
    """`minutes` is wall-clock time of the whole run, resumed parts included."""

    minutes: float
    metric: str = "mse"
    """Distortion, one of config.METRICS."""
    learning_rate: float = 2.5e-3
    optimizer: str = "adam"
    """One of OPTIMIZERS."""
    decay: float = 1.0
    """Last share of the run in which the learning rate falls to zero along half a cosine; before it, the rate is
    constant (warm-up, stable, decay: Hu et al. 2024, arXiv 2404.06395). 1 suits a short run; a long one that may go on
    later keeps its rate and decays at its very end."""
    average_steps: int = 2000
    """Steps that the averaged weights look back, at most: a tenth of the run where that is fewer."""
    batch: int = 8
    """Crops of `crop` pixels a step and process, a multiple of the number of rate anchors; fewer of the larger final
    crops."""
    crop: int = 256
    """Smaller crops are quicker but mislead the prior: in 128 pixels, two hyper latents a side, every one lies at the
    border and sees padding, and on whole images the prior then costs a fifth to a quarter more (docs/training.md)."""
    final_crop: int = 384
    final_share: float = 0.15
    """Last share of the run that uses final_crop."""
    hyper_warmup: float = 0.25
    """First share of the run in which the price of the bits of z rises to its full height: were it full from the
    start, z would collapse to zero before the prior has learned to make use of it."""
    warmup_steps: int = 300
    clip_norm: float = 2.0
    save_minutes: float = 5.0
    validate_minutes: float = 15.0
    steps: int | None = None
    """Of the whole run; the run ends, and the learning rate has fallen, when these or the minutes are over."""
    reference: str | None = "fast"
    """The model, by name or path, that tells how hard pictures are: without it training and held-out pictures cannot be
    compared (gap.py)."""
    patience: int = 4
    """Overfitting guard: a run ends when so many validations in a row were worse than an earlier one although the
    training pictures still made progress."""
    seed: int = 1
    bf16: bool | None = None
    """Transforms in bfloat16; None: where that is quicker than float32 (precision.py)."""
