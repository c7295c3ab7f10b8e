"""Choices and limits as plain numbers and words: help and Tab completion show them without loading heavy modules."""

from __future__ import annotations

MAX_PIXELS = 1 << 27
"""Default limit on the pixels of an image, for encoding and decoding: 134 megapixels, about 2.5 GB of memory."""
MAX_METADATA = 1 << 24
"""Default limit on an inflated metadata section, in bytes."""
METADATA = ("all", "icc", "none")
"""Levels of metadata to keep."""
MIN_EFFORT, MAX_EFFORT = 1, 9
MIN_LOG2, MAX_LOG2 = 7, 11
"""Tiles are squares of 2^7 to 2^11 pixels a side."""
TILE_LOG2 = 10
"""Default tile size of the encoder."""
MAX_SIGMA, MAX_SHIFTS = 100, 4
"""Of denoising: deviation of the noise in levels of 0..255, and copies whose results are averaged."""
MAX_TEMPERATURE = 2.0
"""Of samples; at 1 symbols are drawn as often as they are coded."""
SAMPLE_QUALITY = 20
"""Default rate of the prior that samples are drawn from."""
