"""Codec, in two halves that share a session: encoding.py and decoding.py."""

from vaecodec.codec.codec import Codec, codec_over, shared_codec
from vaecodec.codec.decoding import Kind

__all__ = ["Codec", "Kind", "codec_over", "shared_codec"]
