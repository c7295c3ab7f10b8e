"""Pixels <-> streams: encoder.py there, decoder.py back, tile by tile; prior.py between the nets of the prior."""
