"""SSIMULACRA 2 (Sneyers 2022, libjxl) as a differentiable perceptual distance to an original.

As published: XYB in six scales, a structure map and two edge maps (added and lost edges); the mean and the fourth root
of the mean fourth power of each, weighted by 108 numbers fitted to human opinions.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = 6
MIN_SIDE = 8
"""Scales end before the picture gets smaller than this, in pixels: six of them need 249 pixels a side."""
OPSIN = ((0.30, 0.622, 0.078), (0.23, 0.692, 0.078), (0.24342268924547819, 0.20476744424496821, 0.55180986650955360))
OPSIN_BIAS = 0.0037930732552754493
"""Bias of the cone responses to linear RGB."""
C2 = 0.0009
TINY = 1e-16
"""Added under the fourth root, which has no gradient at zero; contributes 1e-4 after it."""

# fmt: off
WEIGHTS = (
    # X: by scale; of each scale the means of structure, artefacts, lost detail, then their fourth norms.
    0.0, 0.0007376606707406586, 0.0, 0.0, 0.0007793481682867309, 0.0,
    0.0, 0.0004371155730107379, 0.0, 1.1041726426657346, 0.00066284834129271, 0.00015231632783718752,
    0.0, 0.0016406437456599754, 0.0, 1.8422455520539298, 11.441172603757666, 0.0,
    0.0007989109436015163, 0.000176816438078653, 0.0, 1.8787594979546387, 10.94906990605142, 0.0,
    0.0007289346991508072, 0.9677937080626833, 0.0, 0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053,
    0.0004550992113792063, 0.0, 0.0, 0.0013648766163243398, 0.0, 0.0,
    # Y
    0.0, 0.0, 0.0, 7.466890328078848, 0.0, 17.445833984131262,
    0.0006235601634041466, 0.0, 0.0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264,
    225.20515300849274, 0.0, 0.0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985,
    176.39317598450694, 0.0, 0.0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408,
    0.0, 0.0, 0.0, 34.77906344483772, 44.835625328877896, 0.0,
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    # B - Y
    0.0, 0.0008680556573291698, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0005313191874358747, 0.0, 0.00016533814161379112, 0.0, 0.0,
    0.0, 0.0, 0.0, 0.0004179171803251336, 0.0017290828234722833, 0.0,
    0.0020827005846636437, 0.0, 0.0, 8.826982764996862, 23.19243343998926, 0.0,
    95.1080498811086, 0.9863978034400682, 0.9834382792465353, 0.0012286405048278493, 171.2667255897307,
    0.9807858872435379,
    0.0, 0.0, 0.0, 0.0005130064588990679, 0.0, 0.00010854057858411537,
)
# fmt: on


def ssimulacra2_distance(x: Tensor, x_hat: Tensor) -> Tensor:
    """(B,) the weighted sum of all maps, from 0 (equal) up, before the polynomial that turns it into a score: about 3
    for JPEG at quality 60, 23 at 10. x, x_hat (B, 3, H, W) sRGB in [0, 1], float32; only x_hat receives gradients."""
    layout = torch.channels_last
    with torch.no_grad():
        original = _linear(x.contiguous(memory_format=layout))
    linear = _linear(x_hat.contiguous(memory_format=layout).clamp(0, 1))
    norms: list[Tensor] = []
    for scale in range(SCALES):
        if scale:
            original, linear = (F.avg_pool2d(picture, 2, ceil_mode=True) for picture in (original, linear))
        if min(linear.shape[2:]) < MIN_SIDE:
            break
        norms.append(_norms(original, linear))
    # As in the reference, fewer scales take the first weights without gaps.
    weights = torch.tensor(WEIGHTS[: 18 * len(norms)], device=x.device).reshape(3, len(norms), 2, 3)
    return (torch.stack(norms, 2) * weights).flatten(1).sum(1)


def ssimulacra2_score(distance: Tensor) -> Tensor:
    """The score of a distance, at most 100, as the tool prints it."""
    s = distance.double() * 0.9562382616834844
    s = 2.326765642916932 * s - 0.020884521182843837 * s**2 + 6.248496625763138e-05 * s**3
    return 100 - 10 * s.clamp(min=0) ** 0.6276336467831387


def _linear(srgb: Tensor) -> Tensor:
    """Linear light of sRGB samples in [0, 1]."""
    curve = ((srgb + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= 0.04045, srgb / 12.92, curve)


def _xyb(linear: Tensor) -> Tensor:
    """XYB, shifted so that all three are positive."""
    matrix = torch.tensor(OPSIN, device=linear.device)[:, :, None, None]
    bias = torch.full((3,), OPSIN_BIAS, device=linear.device)
    # Light is never negative, so responses are at least the bias, where a cube root has a gradient.
    cones = F.conv2d(linear, matrix, bias) ** (1 / 3) - OPSIN_BIAS ** (1 / 3)
    long, middle, short = cones.unbind(1)
    y = (long + middle) / 2
    xyb = torch.stack([7 * (long - middle) + 0.42, y + 0.01, short - y + 0.55], 1)
    return xyb.contiguous(memory_format=torch.channels_last)


@cache
def _taps() -> Tensor:
    """11 taps of a Gaussian with standard deviation 1.5."""
    taps = torch.exp(-(torch.arange(-5, 6) ** 2) / (2 * 1.5**2))
    return taps / taps.sum()


def _blur(planes: Tensor) -> Tensor:
    """Blurs (B, C, H, W); as in the reference, mirrored beyond top and bottom, zero beyond left and right."""
    channels = planes.shape[1]
    taps = _taps().to(planes.device)
    planes = torch.cat([planes[:, :, :5].flip(2), planes, planes[:, :, -5:].flip(2)], 2)
    down = F.conv2d(planes, taps.view(1, 1, 11, 1).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(down, taps.view(1, 1, 1, 11).expand(channels, -1, -1, -1), padding=(0, 5), groups=channels)


def _norms(original: Tensor, linear: Tensor) -> Tensor:
    """(B, 3, 2, 3): for X, Y, B - Y the means and fourth norms of the structure, artefact and detail-loss maps."""
    with torch.no_grad():
        a = _xyb(original)
        mean_a, square_a = _blur(torch.cat([a, a * a], 1)).chunk(2, 1)
        edges_a = 1 + (a - mean_a).abs()
    b = _xyb(linear)
    mean_b, square_b, product = _blur(torch.cat([b, b * b, a * b], 1)).chunk(3, 1)
    luminance = 1 - (mean_a - mean_b).square()
    covariance = 2 * (product - mean_a * mean_b) + C2
    variances = (square_a - mean_a * mean_a) + (square_b - mean_b * mean_b) + C2
    structure = (1 - luminance * covariance / variances).clamp(min=0)
    edges = (1 + (b - mean_b).abs()) / edges_a - 1
    return torch.stack([_both_norms(m) for m in (structure, edges.clamp(min=0), (-edges).clamp(min=0))], 3)


def _both_norms(plane: Tensor) -> Tensor:
    """(B, 3, 2): mean and fourth root of the mean fourth power."""
    return torch.stack([plane.mean((2, 3)), (plane.square().square().mean((2, 3)) + TINY) ** 0.25], 2)
