"""The constants of FORMAT.md, on which every reader of files and models must agree.

Nothing here depends on torch or onnxruntime: the trainer, both runtimes and the format share these numbers.
"""

MAX_CHANNELS = 4096
"""Most channels, of any kind, that a model may have."""

PATCH = 16
"""One latent position covers PATCH x PATCH pixels."""
PAD = 2 * PATCH
"""Images are padded to a multiple of this, so that latents come in whole 2x2 quads."""
HYPER_STRIDE = 4
"""One hyper latent position covers HYPER_STRIDE x HYPER_STRIDE latent positions."""

RESIDUAL = 0.1
"""Factor on the output of a residual block. The corrections to the linear transform are small next to the activations
that produce them: without the factor, steps of the optimizer exceed the corrections and the blocks never learn."""
LEAK = 0.1
"""Slope of the leaky rectifier below zero."""

STEPS = 4
"""Number of context steps; also the number of channel groups and of positions in a quad."""
STEP_POSITION = (0, 3, 1, 2)
"""Channel group g is decoded in step s at quad position g ^ STEP_POSITION[s] (0..3 = top left, top right,
bottom left, bottom right): diagonal neighbours first, then the two that see all four neighbours."""

LEVEL = 127
"""Activations and weights of the integer nets lie in [-LEVEL, LEVEL]."""
LEVELS_PER_UNIT = 16
"""Integer activations per unit of the real-valued activation they stand for."""
EXACT_BOUND = 1 << 24
"""float32 holds every integer below this: no partial sum of an integer layer may reach it."""

OCTAVE = 256
"""Gains are stored as log2 in units of 1/OCTAVE octave."""
SCALES = 64
"""Number of scale indices."""
SCALE_MIN = 0.11
"""Standard deviation, in symbols, of scale index 0."""
SCALES_PER_OCTAVE = 6
"""Scale index i stands for SCALE_MIN * 2 ** (i / SCALES_PER_OCTAVE)."""
INDEX_UNIT = 256
"""The prior emits scale indices in units of 1/INDEX_UNIT index."""
BIAS_UNIT = 16
"""Biases of integer layers are multiples of 1/BIAS_UNIT level."""
INDEX_PER_UNIT = 8
"""Scale indices per unit of the real-valued scale output."""
MEAN_UNIT = 512
"""The prior emits means in units of 1/MEAN_UNIT of a normalised latent."""
SYMBOL_UNIT = 16
"""Dequantised latents are integers in units of 1/SYMBOL_UNIT symbol."""
MEAN_LIMIT = 16383
"""Largest magnitude of an emitted mean, in 1/MEAN_UNIT."""
INDEX_LIMIT = 32767
"""Largest magnitude of an emitted scale index, in 1/INDEX_UNIT."""
HYPER_LIMIT = 64
"""Hyper latents are clamped to [-HYPER_LIMIT, HYPER_LIMIT]."""

IDENTITY_BYTES = 4
"""Bytes of a model's identity in a stream: the first of the SHA-256 of the model file."""

QUALITY_UNIT = 100
"""Qualities are stored as integers in units of 1/QUALITY_UNIT."""
QUALITY_MIN, QUALITY_MAX = 1, 100


def step_groups(step: int) -> list[int]:
    """The channel group that each quad position has in a step."""
    return [position ^ STEP_POSITION[step] for position in range(STEPS)]
