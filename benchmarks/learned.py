"""CompressAI's architectures as codecs: with random weights for times only, with checkpoints for a curve."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaecodec.errors import VaecodecError

Pixels = NDArray[np.uint8]

PREFIX = "compressai-"
ARCHITECTURES = (
    "bmshj2018-factorized", "bmshj2018-factorized-relu", "bmshj2018-hyperprior", "mbt2018-mean", "mbt2018",
    "cheng2020-anchor", "cheng2020-attn", "bmshj2018-hyperprior-vbr", "mbt2018-mean-vbr", "mbt2018-vbr",
)  # fmt: skip
"""All image models of the zoo, listed here for machines without CompressAI."""
SIZE = 4
"""One of the zoo's eight or six sizes; variable-rate nets (vbr) have only one."""
STRIDE = 64


@dataclass(frozen=True)
class CompressaiCodec:
    """`architecture` of the zoo, in the widths of the zoo's quality SIZE (N = 128, M = 192 for most). Variable-rate
    nets run at their default rate.

    Each checkpoint is a point of the curve, and "quality" is its index. Without checkpoints the weights are random and
    only times are meaningful: nets and coder take the same steps for any weights, but the latents then cost few bits.
    """

    name: str
    architecture: str
    checkpoints: tuple[Path, ...] = ()
    nets: dict[float, Any] = field(default_factory=dict, hash=False, compare=False)
    """Loaded nets by quality."""

    @property
    def timing_only(self) -> bool:
        return not self.checkpoints

    @property
    def qualities(self) -> tuple[float, ...]:
        return tuple(range(max(len(self.checkpoints), 1)))

    def version(self) -> str:
        import compressai
        import torch

        weights = [f"{path} {path.stat().st_mtime_ns}" for path in self.checkpoints] or "random weights"
        return f"compressai {compressai.__version__}, torch {torch.__version__}, {weights}"

    def missing(self) -> str | None:
        try:
            import compressai.zoo  # noqa: F401
        except ImportError as error:
            return f"{error.name} is not installed"
        return None

    def _net(self, quality: float):
        import torch
        from compressai.zoo import image_models

        if quality not in self.nets:
            torch.set_num_threads(1)
            torch.manual_seed(0)
            net = image_models[self.architecture](quality=SIZE, pretrained=False)
            if self.checkpoints:
                path = self.checkpoints[int(quality)]
                try:
                    # weights_only: only tensors are unpickled
                    state = torch.load(path, map_location="cpu", weights_only=True)
                    net = type(net).from_state_dict(state.get("state_dict", state))
                except Exception as error:  # torch and compressai raise anything for a file that does not fit
                    reason = (str(error) or type(error).__name__).splitlines()[0]
                    raise VaecodecError(f"cannot read {path} as {self.architecture}: {reason}") from error
            net.eval().update(force=True)
            self.nets[quality] = net
        return self.nets[quality]

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """Serialises sizes and quality, then each stream with its length: some 20 bytes more than the streams."""
        import torch

        height, width = pixels.shape[:2]
        padded = np.pad(pixels, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), "edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            out = self._net(quality).compress(x)
        streams = [s[0] if isinstance(s, list) else s for s in out["strings"]]
        head = struct.pack("<HHHHBB", height, width, *out["shape"], int(quality), len(streams))
        return head + b"".join(struct.pack("<I", len(stream)) + stream for stream in streams)

    def decode(self, data: bytes) -> Pixels:
        import torch

        height, width, h, w, quality, count = struct.unpack_from("<HHHHBB", data)
        at, strings = 10, []
        for _ in range(count):
            (length,) = struct.unpack_from("<I", data, at)
            strings.append([data[at + 4 : at + 4 + length]])
            at += 4 + length
        with torch.inference_mode():
            x = self._net(quality).decompress(strings, (h, w))["x_hat"][0]
        return (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()[:height, :width]


def compressai_codec(name: str) -> CompressaiCodec | None:
    """compressai-ARCHITECTURE or compressai-ARCHITECTURE=PATH, a checkpoint or a folder of them; None if `name` is
    neither."""
    architecture, _, path = name.removeprefix(PREFIX).partition("=")
    if not name.startswith(PREFIX) or architecture not in ARCHITECTURES:
        return None
    found = sorted(file for file in Path(path).glob("*") if file.is_file()) if Path(path).is_dir() else [Path(path)]
    return CompressaiCodec(name, architecture, tuple(found) if path else ())
