"""The integer arithmetic between the nets of the prior: from their outputs to scale indices and means, and from
decoded symbols to what the next context step sees. All of it in int64, the same on every machine.

A slot is what one context step decodes: (N, M, h/2, w/2), where entry p * M/4 + k is channel 4k + g of quad position p,
and g is the group that position p has in that step. N images of equal size go through all of it together.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from vaecodec.bitstream.spec import (
    BIAS_UNIT,
    HYPER_LIMIT,
    INDEX_UNIT,
    LEVEL,
    LEVELS_PER_UNIT,
    MEAN_UNIT,
    OCTAVE,
    SCALES,
    SCALES_PER_OCTAVE,
    STEPS,
    SYMBOL_UNIT,
    step_groups,
)
from vaecodec.model.file import ModelFile
from vaecodec.model.rate import GAIN_BITS, RatePosition, integer_gain
from vaecodec.nets.interface import Float, Nets

Integers = NDArray[np.int64]


def split_slots(y: NDArray) -> list[NDArray]:
    """Latents (N, M, h, w), h and w even -> the four slots (N, M, h/2, w/2) in decoding order."""
    n, m, h, w = y.shape
    quads = y.reshape(n, m // 4, 4, h // 2, 2, w // 2, 2).transpose(4, 6, 0, 1, 2, 3, 5)
    quads = quads.reshape(4, n, m // 4, 4, h // 2, w // 2)
    slots = (np.stack([quads[p, :, :, g] for p, g in enumerate(step_groups(step))], 1) for step in range(STEPS))
    return [slot.reshape(n, m, h // 2, w // 2) for slot in slots]


def join_slots(slots: list[NDArray]) -> NDArray:
    """Inverse of split_slots."""
    n, m, h, w = slots[0].shape
    quads = np.empty((4, n, m // 4, 4, h, w), slots[0].dtype)
    for step, slot in enumerate(slots):
        for p, group in enumerate(step_groups(step)):
            quads[p, :, :, group] = slot.reshape(n, 4, m // 4, h, w)[:, p]
    return quads.reshape(2, 2, n, m // 4, 4, h, w).transpose(2, 3, 4, 5, 0, 6, 1).reshape(n, m, 2 * h, 2 * w)


def _shift_round(values: Integers, bits: int) -> Integers:
    """values / 2^bits, to the nearest integer, halves up."""
    return (values + (1 << (bits - 1))) >> bits


class Prior:
    """The prior of a model at one rate, on some nets."""

    def __init__(self, model: ModelFile, nets: Nets, rate: RatePosition) -> None:
        tensors = model.tensors
        self._nets, self.rate = nets, rate
        self._gain = rate.interpolate(tensors["gain"])
        self._hyper_gain = rate.interpolate(tensors["hyper_gain"])
        self._hyper_bias = self._levels(rate.interpolate(tensors["prior.hyper_rate"]))
        self._step_bias = [self._levels(rate.interpolate(table)) for table in tensors["prior.step_rate"]]
        self._model = model
        self.symbol_gain = np.exp2(self._gain / OCTAVE).astype(np.float32)[:, None, None]
        """Symbols per normalised latent (M, 1, 1)."""
        self.hyper_symbol_gain = np.exp2(self._hyper_gain / OCTAVE).astype(np.float32)[:, None, None]
        """Hyper symbols per unit of z (Z, 1, 1)."""
        orders = map(step_groups, range(STEPS))
        self._slot_gain = [np.concatenate([self._gain[g::4] for g in order])[:, None, None] for order in orders]

    @functools.cached_property
    def norm_gain(self) -> NDArray[np.float32]:
        """Normalised latents per unit of y (M, 1, 1); for encoders, whose models have it."""
        return np.exp2(self._model.tensors["norm"].astype(np.float64) / OCTAVE).astype(np.float32)[:, None, None]

    @staticmethod
    def _levels(bias: Integers) -> Float:
        return bias.astype(np.float32) / BIAS_UNIT

    def hyper_tables_index(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Table of each hyper latent, broadcast to its shape (Z, p, q)."""
        channels = np.arange(shape[0]) + self.rate.nearest * shape[0]
        return np.broadcast_to(channels[:, None, None], shape)

    def features(self, z: NDArray[np.int32], height: int, width: int) -> Float:
        """Hyper symbols (N, Z, p, q) -> features (N, H, height, width) for the context steps."""
        z = np.clip(z, -HYPER_LIMIT, HYPER_LIMIT).astype(np.int64)
        gain = integer_gain(-self._hyper_gain)[:, None, None]
        u = np.clip(_shift_round(z * gain * LEVELS_PER_UNIT, GAIN_BITS), -LEVEL, LEVEL).astype(np.float32)
        return self._nets.hyper_synthesis(u, self._hyper_bias)[..., :height, :width]

    def walk(self, features: Float) -> Walk:
        """From features (N, H, h, w) through the latents (N, M, h, w), h and w even."""
        return Walk(self, features)

    def predict(self, step: int, features: Float, context: list[Float]) -> tuple[Integers, NDArray[np.uint8]]:
        """Means in 1/SYMBOL_UNIT symbol and scale indices of a slot, both (N, M, h/2, w/2)."""
        mean, index = self._nets.context_step(step, features, context, self._step_bias[step])
        gain = self._slot_gain[step]
        return self._symbol_means(mean.astype(np.int64), gain), self._scale_index(index.astype(np.int64), gain)

    def levels(self, step: int, values: Integers) -> Float:
        """Latents of a slot in 1/SYMBOL_UNIT symbol -> what later steps see of them."""
        # SYMBOL_UNIT and LEVELS_PER_UNIT are equal and cancel.
        levels = _shift_round(values * integer_gain(-self._slot_gain[step]), GAIN_BITS)
        return np.clip(levels, -LEVEL, LEVEL).astype(np.float32)

    @staticmethod
    def _symbol_means(mean: Integers, gain: Integers) -> Integers:
        """Emitted means -> means in 1/SYMBOL_UNIT symbol."""
        return _shift_round(mean * integer_gain(gain) * SYMBOL_UNIT, GAIN_BITS + MEAN_UNIT.bit_length() - 1)

    @staticmethod
    def _scale_index(index: Integers, gain: Integers) -> NDArray[np.uint8]:
        """Emitted indices (of normalised latents) -> indices of the symbols' scales."""
        index = (index + gain * (SCALES_PER_OCTAVE * INDEX_UNIT // OCTAVE)) // INDEX_UNIT
        return np.clip(index, 0, SCALES - 1).astype(np.uint8)

    def dequantise(self, values: Integers) -> Float:
        """Quantised latents (..., M, h, w) in 1/SYMBOL_UNIT symbol -> normalised latents v_hat."""
        return values.astype(np.float32) / (SYMBOL_UNIT * self.symbol_gain)


class Walk:
    """The way through the latents of N images, slot by slot: `predict`, then `update` with what was coded, STEPS times;
    then `values`."""

    def __init__(self, prior: Prior, features: Float) -> None:
        self._prior, self._features = prior, features
        self._mean: Integers | None = None
        self._slots: list[Integers] = []
        self._context: list[Float] = []

    def predict(self) -> tuple[Integers, NDArray[np.uint8]]:
        """Means in 1/SYMBOL_UNIT symbol and scale indices of the next slot, both (N, M, h/2, w/2)."""
        self._mean, index = self._prior.predict(len(self._slots), self._features, self._context)
        return self._mean, index

    def update(self, symbols: NDArray[np.int32]) -> None:
        """What was coded of the slot that was predicted, (N, M, h/2, w/2)."""
        values = symbols * SYMBOL_UNIT + self._mean
        if len(self._slots) < STEPS - 1:
            self._context.append(self._prior.levels(len(self._slots), values))
        self._slots.append(values)

    def values(self) -> Integers:
        """The quantised latents (N, M, h, w) in 1/SYMBOL_UNIT symbol."""
        return join_slots(self._slots)
