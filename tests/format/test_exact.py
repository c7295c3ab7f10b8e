"""The exact prior: integers, whatever computes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest

from vaecodec.bitstream.spec import INDEX_LIMIT, LEVEL, MEAN_LIMIT
from vaecodec.coding.prior import join_slots, split_slots
from vaecodec.errors import BackendError, ModelError
from vaecodec.model.file import load_model
from vaecodec.model.rate import RatePosition, integer_gain, quality_units
from vaecodec.nets.check import check_exact
from vaecodec.nets.onnx.backend import OnnxNets

torch = pytest.importorskip("torch")

from vaecodec.nets.torch import prior as torch_prior  # noqa: E402
from vaecodec.nets.torch.backend import TorchNets, load_vae  # noqa: E402
from vaecodec.nets.torch.exact import ExactConv, quantise_weight  # noqa: E402


def test_slots_partition_the_latents() -> None:
    y = np.arange(8 * 6 * 10).reshape(8, 6, 10)
    slots = [slot[0] for slot in split_slots(y[None])]
    assert sorted(np.concatenate([slot.ravel() for slot in slots])) == list(range(y.size))
    two = np.stack([y, y[::-1]])
    assert np.array_equal(join_slots(split_slots(two)), two)
    in_torch = torch_prior.split_slots(torch.from_numpy(y)[None])
    assert all(np.array_equal(a, b[0].flatten(0, 1).numpy()) for a, b in zip(slots, in_torch, strict=True))
    assert np.array_equal(torch_prior.join_slots(in_torch)[0].numpy(), y)
    # FORMAT.md: in step s, quad position p has the channels with c mod 4 = p xor (0, 3, 1, 2)[s].
    for step, first in enumerate((0, 3, 1, 2)):
        for p in range(4):
            expected = y[(p ^ first) :: 4, p // 2 :: 2, p % 2 :: 2]
            assert np.array_equal(slots[step].reshape(4, 2, 3, 5)[p], expected)


def test_powers_of_two_are_exact_in_torch() -> None:
    assert [float(v) for v in torch.exp2(-torch.arange(13.0))] == [2.0**-n for n in range(13)]


def test_integer_gain_is_a_rounded_power_of_two() -> None:
    log2 = np.arange(-12 * 256, 12 * 256 + 1)
    error = integer_gain(log2) / 65536 / 2 ** (log2 / 256) - 1
    assert np.abs(error[log2 >= -512]).max() < 1e-4
    # No table entry is so near to a half that another libm could round it differently.
    mantissas = 2 ** (np.arange(256) / 256) * 16384
    assert np.abs(mantissas % 1 - 0.5).min() > 1e-4


def test_layers_equal_int64_arithmetic() -> None:
    torch.manual_seed(3)
    for inputs, outputs, kernel, groups in ((40, 24, 1, 1), (24, 24, 3, 24)):
        layer = ExactConv(inputs, outputs, kernel, groups=groups)
        layer.bias.data.normal_()
        x = torch.randint(-LEVEL, LEVEL + 1, (1, inputs, 7, 9))
        integers, shift = quantise_weight(layer.weight.detach())
        bias = (layer.bias.detach() * 256).round().long()
        # FORMAT.md: floor(sum * 2^-s + b/16 + 1/2), here over a common denominator of 2^(s + 4).
        total = (
            torch.nn.functional.conv2d(x.double(), integers.double(), padding=kernel // 2, groups=groups).long() * 16
        )
        scale = (2 ** shift.long()).view(-1, 1, 1)
        expected = torch.div(total + bias.view(-1, 1, 1) * scale + 8 * scale, 16 * scale, rounding_mode="floor")
        assert torch.equal(layer(x.float()).floor().long(), expected)


def test_overflowing_layers_are_refused() -> None:
    layer = ExactConv(1200, 4)
    layer.weight.data.fill_(0.9)
    with pytest.raises(ModelError, match="overflow"):
        layer.check_bound("layer")


def test_shipped_model_is_within_bounds_and_survives_loading() -> None:
    model = load_model()
    vae = load_vae(model)
    assert max(vae.prior.check_bounds().values()) < 1
    for name, module in vae.named_modules():
        if isinstance(module, ExactConv):
            integers, _shift = quantise_weight(module.weight.detach())
            assert np.array_equal(integers.numpy(), model.tensors[f"{name}.weight"])
            weight, bias = model.exact_layer(name)
            assert np.array_equal(module.exact_weight().detach().numpy(), weight)
            assert np.array_equal(module.exact_bias().detach().numpy(), bias)


@pytest.mark.parametrize("quality", [1, 33.3, 100])
def test_both_runtimes_give_the_same_integers(quality: float) -> None:
    model = load_model()
    config, random = model.config, np.random.default_rng(int(quality))
    rate = RatePosition.of_quality(quality_units(quality), config.anchors)
    onnx, torch_ = OnnxNets(model), TorchNets(model)

    def levels(*shape: int) -> np.ndarray:
        spread = random.choice([3, 40, 400])
        return np.clip(np.rint(random.normal(0, spread, shape)), -LEVEL, LEVEL).astype(np.float32)

    bias = rate.interpolate(model.tensors["prior.hyper_rate"]).astype(np.float32) / 16
    u = levels(2, config.hyper_latents, 3, 2)
    features = onnx.hyper_synthesis(u, bias)
    assert features.shape == (2, config.hyper_channels, 12, 8)
    assert np.array_equal(features[1:], onnx.hyper_synthesis(u[1:], bias))
    assert len(np.unique(features)) > 10
    assert np.array_equal(features, torch_.hyper_synthesis(u, bias))
    slots: list[np.ndarray] = []
    for step in range(4):
        bias = rate.interpolate(model.tensors["prior.step_rate"][step]).astype(np.float32) / 16
        outputs = onnx.context_step(step, features, slots, bias)
        for ours, theirs, limit in zip(
            outputs, torch_.context_step(step, features, slots, bias), (MEAN_LIMIT, INDEX_LIMIT), strict=True
        ):
            assert np.array_equal(ours, theirs)
            assert np.array_equal(ours, np.rint(ours))
            assert len(np.unique(ours)) > 10
            assert np.abs(ours).max() <= limit
        assert all(
            np.array_equal(one, both[:1])
            for one, both in zip(
                onnx.context_step(step, features[:1], [slot[:1] for slot in slots], bias), outputs, strict=True
            )
        )
        slots.append(levels(2, config.latents, 6, 4))


def test_a_device_that_computes_otherwise_is_refused() -> None:
    model = load_model()
    good, bad = TorchNets(model), TorchNets(model)
    check_exact(good, OnnxNets(model), model)
    with torch.no_grad():
        bad._vae.prior.steps[3].blocks[0].mix.bias[0] += 0.5
    with pytest.raises(BackendError, match="exact"):
        check_exact(bad, good, model)


class Otherwise:
    """Nets of a device that computes right unless `when` says otherwise of the features and the rate bias."""

    def __init__(self, nets: OnnxNets, when: Callable[[np.ndarray, np.ndarray], bool]) -> None:
        self.nets, self.when = nets, when
        self.hyper_synthesis = nets.hyper_synthesis

    def context_step(self, step: int, features: np.ndarray, slots: list, bias: np.ndarray) -> tuple:
        mean, index = self.nets.context_step(step, features, slots, bias)
        return mean + self.when(features, bias), index


def test_the_check_sees_whole_tiles_and_every_anchors_end() -> None:
    model = load_model()
    nets = OnnxNets(model, threads=1)
    check_exact(Otherwise(nets, lambda features, bias: False), nets, model)
    low, high = (model.float_tensor("prior.step_rate")[2, anchor] / 16 for anchor in (0, -1))
    assert low.any()
    assert high.any()
    faults = [
        lambda features, bias: features.shape[2:] == (64, 64),  # a full tile of 1024 pixels
        lambda features, bias: np.array_equal(bias, low),
        lambda features, bias: np.array_equal(bias, high),
    ]
    for fault in faults:
        with pytest.raises(BackendError, match="exact"):
            check_exact(Otherwise(nets, fault), nets, model)


def test_onnxruntime_that_falls_back_to_the_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        providers = ("CPUExecutionProvider",)

        def __init__(self, graph: bytes, options: onnxruntime.SessionOptions, providers: list, **_: object) -> None:
            assert providers[0] == ("CUDAExecutionProvider", {"device_id": 0})
            assert options.log_severity_level == 4

        def get_providers(self) -> tuple:
            return self.providers

        def run(self, *_: object) -> None:
            raise RuntimeError("computes\non CUDA")

    severities = []
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", severities.append)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    # The reference of the check computes on the CPU, with real sessions.
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda *arguments, **options: (real if arguments[2] == ["CPUExecutionProvider"] else Session)(
            *arguments, **options
        ),
    )
    with pytest.raises(BackendError, match="cannot use CUDA") as caught:
        OnnxNets(load_model(), "cuda")
    assert len(str(caught.value).splitlines()) == 1
    assert severities == [4]
    Session.providers = ("CUDAExecutionProvider", "CPUExecutionProvider")
    with pytest.raises(BackendError, match="computes"):
        OnnxNets(load_model(), "cuda")
