"""Pixels <-> streams, tile by tile: encoder.py, decoder.py, and prior.py, the arithmetic between the nets of the
prior."""
