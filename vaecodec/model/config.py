"""The configuration of a model, as its file stores it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from vaecodec.bitstream.spec import MAX_CHANNELS, STEPS
from vaecodec.errors import ModelError

IGNORED = ("encoder_", "trained_")
"""Prefixes of configuration fields that only encoders and trainers need: readers ignore unknown fields with them."""

MS_SSIM_MIN_SIZE = 192
"""Least pixels a side for MS-SSIM, alone or within "eye": five scales with windows of 11 pixels need at least 161."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of one model. The defaults of `shortcut` and `expansion` apply to older model files, which lack these
    fields."""

    name: str = "fast"
    channels: int = 192
    """Channels of the transform blocks at 1/8 resolution; 192 hold a whole 8x8 block of RGB."""
    encoder_blocks: int = 3
    decoder_blocks: int = 3
    latents: int = 336
    """Latent channels (a multiple of STEPS)."""
    hyper_channels: int = 128
    """Width of the hyper analysis and of the features from the hyper synthesis to the context steps."""
    hyper_latents: int = 128
    context_channels: int = 128
    context_blocks: int = 2
    lambda_min: float = 0.0003
    lambda_max: float = 0.5
    anchors: int = 8
    """Number of rates with learned parameters; in between they are interpolated."""
    shortcut: bool = False
    """Whether linear 16x16 transforms bypass the residual blocks, for detail that these lose."""
    expansion: int = 2
    """Hidden channels of the feed-forward layers of the transform blocks, in multiples of `channels`."""
    trained_for: str = ""
    """Distortion used in training, one of METRICS or of a later version's; "" in older model files, see `metric`."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value) is int and not 1 <= value <= MAX_CHANNELS:
                raise ModelError(f"model configuration: {field.name} = {value} is out of range")
        finite = math.isfinite(self.lambda_min) and math.isfinite(self.lambda_max)
        names = self.name, self.trained_for
        if not finite or not all(len(name) <= 100 and name.isprintable() for name in names):
            raise ModelError("model configuration: a name or a lambda is out of range")
        if self.latents % STEPS or self.anchors < 2 or not 0 < self.lambda_min < self.lambda_max:
            raise ModelError("model configuration: inconsistent sizes")

    @property
    def metric(self) -> str:
        """The training distortion. Older files lack the field: their names end with the distortion, except for mse."""
        by_name = next((metric for metric in METRICS if self.name.endswith(f"-{metric}")), "mse")
        return self.trained_for or by_name

    @property
    def lambdas(self) -> list[float]:
        """Rate-distortion trade-off of each anchor on CompressAI's scale: loss = bpp + lambda * 255^2 * MSE."""
        return [self.lambda_at(anchor) for anchor in range(self.anchors)]

    def lambda_at(self, t: Any) -> Any:
        """Lambda at the fractional anchor t, a number or a torch tensor of them: log-linear in t."""
        return self.lambda_min * (self.lambda_max / self.lambda_min) ** (t / (self.anchors - 1))

    @property
    def analysis_halo(self) -> int:
        """Latents around a rectangle of latents whose pixels the analysis needs: a 3x3 layer at 1/8 for each block."""
        return -(-self.encoder_blocks // 2)

    @property
    def synthesis_halo(self) -> int:
        """Latents around a rectangle of pixels that the synthesis needs."""
        return -(-self.decoder_blocks // 2)

    def to_json(self) -> str:
        values = dataclasses.asdict(self)
        if not self.trained_for:
            del values["trained_for"]  # the slim files of older models must not change
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read `to_json` output; raises ModelError on anything else.

        Fields of later versions that begin with one of IGNORED do not affect decoding.
        """
        try:
            values = json.loads(text)
            types = {f.name: type(getattr(cls(), f.name)) for f in dataclasses.fields(cls)}
            if not isinstance(values, dict):
                raise ValueError
            values = {name: value for name, value in values.items() if name in types or not name.startswith(IGNORED)}
            if values.keys() - types.keys():
                raise ValueError
            if any(type(value) is not types[name] for name, value in values.items()):
                raise ValueError
            return cls(**values)
        except (ValueError, TypeError, RecursionError) as error:
            raise ModelError("model configuration is not readable") from error


CONFIGS: dict[str, ModelConfig] = {
    "fast": ModelConfig(shortcut=True, expansion=1),
    "base": ModelConfig(
        name="base",
        channels=384,
        encoder_blocks=6,
        decoder_blocks=6,
        latents=384,
        hyper_channels=192,
        context_channels=192,
        shortcut=True,
    ),
}
"""`fast` can be trained on a CPU; `base`, with eight times the work per pixel, needs a GPU."""

METRICS = ("mse", "ms-ssim", "eye")
"""Distortions for which a model can be trained."""
