"""What can be chosen, and how far: plain numbers and words, which help and Tab show without loading what obeys them."""

from __future__ import annotations

MAX_PIXELS = 1 << 27
"""Default limit on the pixels of an image, for encoding and decoding: 134 megapixels, about 2.5 GB of memory."""
MAX_METADATA = 1 << 24
"""Default limit on a metadata section once inflated, in bytes."""
METADATA = ("all", "icc", "none")
"""How much of the metadata is kept."""
MIN_EFFORT, MAX_EFFORT = 1, 9
MIN_LOG2, MAX_LOG2 = 7, 11
"""Tiles are squares of 2^7 to 2^11 pixels a side."""
TILE_LOG2 = 10
"""What the encoder chooses."""
MAX_TEMPERATURE = 2.0
"""Of samples; at 1 symbols are drawn as often as they are coded."""
SAMPLE_QUALITY = 20
"""The rate whose prior is drawn from where none is asked for."""
