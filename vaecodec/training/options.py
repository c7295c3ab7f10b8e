"""Training options."""

from __future__ import annotations

from dataclasses import dataclass

OPTIMIZERS = ("adam", "soap")
"""soap takes a third more time per step, and was ahead at equal time (docs/training.md)."""


@dataclass(frozen=True)
class TrainOptions:
    """`minutes` is the wall-clock time of the whole run, including resumed parts."""

    minutes: float
    metric: str = "mse"
    """Distortion, one of config.METRICS."""
    learning_rate: float = 2.5e-3
    optimizer: str = "adam"
    """One of OPTIMIZERS."""
    decay: float = 1.0
    """Final fraction of the run in which the learning rate decays to zero along half a cosine; before it, the rate is
    constant (warm-up, stable, decay: Hu et al. 2024, arXiv 2404.06395). 1 suits a short run; a long run that may be
    extended keeps its rate and decays only at the end."""
    average_steps: int = 2000
    """Horizon of the averaged weights in steps, at most; a tenth of the run if that is less."""
    batch: int = 8
    """Crops of `crop` pixels per step and process, a multiple of the number of rate anchors; fewer of the larger final
    crops."""
    crop: int = 256
    """Smaller crops are faster but mislead the prior. In 128 pixels, two hyper latents a side, all lie at the border
    and see padding; on whole images the prior then costs a fifth to a quarter more (docs/training.md)."""
    final_crop: int = 384
    final_share: float = 0.15
    """Final fraction of the run that uses final_crop."""
    hyper_warmup: float = 0.25
    """Initial fraction of the run in which the weight of the bits of z rises to 1: at full weight from the start
    z carries less (docs/vae.md)."""
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
    """Early stopping: a run ends after this many validations in a row that are worse than an earlier one, although the
    cost on training pictures still falls."""
    seed: int = 1
    bf16: bool | None = None
    """Transforms in bfloat16; None: if that is faster than float32 (precision.py)."""
