"""A model small enough to train in seconds, and options to do so."""

from __future__ import annotations

from make_golden import TINY as TINY_MODEL

from vaecodec.model.config import ModelConfig
from vaecodec.training.options import TrainOptions

TINY = ModelConfig(
    name="tiny", channels=24, encoder_blocks=1, decoder_blocks=2, latents=16, hyper_channels=16,
    hyper_latents=8, context_channels=16, context_blocks=1, anchors=4, lambda_min=0.001, lambda_max=0.1,
    shortcut=True, expansion=1,
)  # fmt: skip


def tiny_options(minutes: float = 0.05) -> TrainOptions:
    return TrainOptions(
        minutes=minutes, crop=64, final_crop=128, batch=8, warmup_steps=20, bf16=False, reference=str(TINY_MODEL)
    )
