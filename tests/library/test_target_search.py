"""The parts of rate control that need no nets: sizes in words, the search, the measures."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
from pictures import generated_picture

from vaecodec.errors import ImageError, VaecodecError
from vaecodec.rate_control.metrics import ms_ssim, psnr
from vaecodec.rate_control.scores import USUAL, usual_curve
from vaecodec.rate_control.search import HIGHEST, LOWEST, Curve, Window, search
from vaecodec.targets import Bpp, MsSsim, Psnr, Size, Ssimulacra2, check_alone, check_target, size_of

SHARE = math.log(0.99)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1, 1), ("2048", 2048), ("512B", 512), ("100kB", 100_000), ("100KB", 100_000), ("100k", 100_000),
        ("64KiB", 65536), ("64Ki", 65536), ("1.5 MB", 1_500_000), (" .5MiB ", 524_288), ("2GB", 2 * 10**9),
        ("30 bytes", 30), ("1 byte", 1), (np.int64(7), 7),
    ],
)  # fmt: skip
def test_sizes(text: str | int, size: int) -> None:
    assert size_of(text) == Size(text).bytes == size


@pytest.mark.parametrize(
    "text",
    ["", "kB", "10XB", "-5", "1e3", "0", 0, -3, "0.2", 1.5, True, None, "10 kB x", "١kB", "9" * 400, b"1", 9**99],
)
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(VaecodecError, match="a size must be") as refused:
        Size(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "38", None, 1j])
@pytest.mark.parametrize("kind", [Bpp, Psnr, MsSsim, Ssimulacra2])
def test_what_is_no_number(kind: type, value: object) -> None:
    with pytest.raises(VaecodecError, match="must be a number"):
        kind(value)


@pytest.mark.parametrize("wrong", [(Bpp, 0), (Psnr, -1), (MsSsim, 0), (MsSsim, 1.01), (Ssimulacra2, 101)])
def test_numbers_out_of_range(wrong: tuple[type, float]) -> None:
    kind, value = wrong
    with pytest.raises(VaecodecError, match=r"must be a number (above|at most)"):
        kind(value)
    assert Ssimulacra2(-30).score == -30


def test_targets_are_checked_against_the_image() -> None:
    check_target(MsSsim(0.9), 161, 161)
    with pytest.raises(ImageError, match="at least 161 pixels a side; this one has 300x160"):
        check_target(MsSsim(0.9), 300, 160)
    if importlib.util.find_spec("ssimulacra2"):
        check_target(Ssimulacra2(70), 8, 8)
        with pytest.raises(ImageError, match="at least 8 pixels a side; this one has 7x9"):
            check_target(Ssimulacra2(70), 7, 9)
    with pytest.raises(VaecodecError, match=r"a target must be Size, .* not str"):
        check_target("100kB", 300, 300)
    with pytest.raises(VaecodecError, match="in place of a quality"):
        check_alone(50, Size(1))
    check_alone(None, Size(1))


def test_the_package_of_ssimulacra2_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(VaecodecError, match="pip install ssimulacra2"):
        check_target(Ssimulacra2(70), 300, 300)


def test_the_search_takes_few_calls_whatever_the_image() -> None:
    curve, random, counts = usual_curve("bpp", b"none"), np.random.default_rng(0), []
    for _ in range(300):
        shift, stretch, bend = random.normal(0, 0.6), random.uniform(0.6, 1.5), random.uniform(-0.3, 0.3)

        def call(units: int, shift: float = shift, stretch: float = stretch, bend: float = bend) -> float:
            """With a wave: nets and rounding make no function of images monotone."""
            wave = 0.002 * math.sin(units * 1.7)
            return shift + stretch * curve.at(units) + bend * math.sin(units / 3000) + wave

        wanted = random.uniform(call(200), call(9900))
        samples = search(call, Window(wanted + SHARE, wanted, wanted - 0.004), curve)
        assert wanted + SHARE <= [*samples.values()][-1] <= wanted
        counts.append(len(samples))
    assert np.mean(counts) < 3.5
    assert max(counts) <= 8


def test_the_search_ends_at_steps_and_at_the_ends() -> None:
    curve = Curve([LOWEST, HIGHEST], [0, 1])
    samples = search(lambda units: 0.0 if units < 7001 else 3.0, Window(1, 2, 1.5), curve)
    assert {7000, 7001} <= samples.keys()
    assert len(samples) < 2 * math.log2(HIGHEST)
    assert HIGHEST in search(lambda units: 0.0, Window(1, 2, 1.5), curve)
    assert LOWEST in search(lambda units: 5.0, Window(1, 2, 1.5), curve)
    assert search(lambda units: units / HIGHEST, Window(0.3, 0.4, 0.35), curve) == {3565: 0.3565}


def test_curves_meet_samples() -> None:
    curve = Curve([100, 200, 400], [1, 2, 3])
    assert curve.through({200: 7.0}).at(100) == 6
    stretched = curve.through({100: 4.0, 200: 7.0})
    assert [stretched.at(units) for units in (100, 200, 400)] == [4, 7, 10]
    assert stretched.where(5.5) == 150
    for measure in USUAL:
        values = usual_curve(measure, b"none").values
        assert [*values] == sorted(values)
        assert len(values) == 11


@pytest.mark.parametrize("shape", [(161, 161), (161, 333), (256, 200), (255, 170), (330, 175)])
def test_ms_ssim_is_that_of_the_package(shape: tuple[int, int]) -> None:
    torch, theirs = pytest.importorskip("torch"), pytest.importorskip("pytorch_msssim").ms_ssim
    random, image = np.random.default_rng(0), generated_picture(*shape)
    flat = np.full((*shape, 3), 77, np.uint8)
    others = [np.clip(image + random.normal(0, sigma, image.shape), 0, 255).astype(np.uint8) for sigma in (1, 20, 90)]
    pairs = [(image, other) for other in others] + [(image, image), (image, 255 - image), (flat, 255 - flat)]
    gray = image[..., :1]
    for a, b in [*pairs, (gray, 255 - gray // 2)]:
        tensors = (torch.from_numpy(side.copy()).permute(2, 0, 1)[None].float() for side in (a, b))
        assert ms_ssim(a, b) == pytest.approx(float(theirs(*tensors, data_range=255)), abs=1e-4)


def test_psnr_by_its_definition() -> None:
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 256, (600, 7, 3), np.uint8) for _ in range(2))
    expected = 10 * np.log10(255**2 / np.square(a.astype(float) - b).mean())
    assert psnr(a, b) == pytest.approx(expected)
    seen = random.random((600, 7)) < 0.3
    assert psnr(a, b, seen) == pytest.approx(10 * np.log10(255**2 / np.square(a.astype(float) - b)[seen].mean()))
    assert psnr(a, a) == psnr(a, b, np.zeros((600, 7), bool)) == math.inf
