"""What is shared by all that a codec does."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture

import vaecodec
from vaecodec.codec import codec_over, shared_codec
from vaecodec.coding.clock import Stopwatch
from vaecodec.coding.session import Session, Settings
from vaecodec.model import file


def test_a_batch_reads_the_model_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, seen = file.read_raw, []
    monkeypatch.setattr(file, "read_raw", lambda path: seen.append(path) or read(path))
    codec = vaecodec.Codec(TINY, threads=2)
    pictures = [generated_picture(64, 80, seed) for seed in range(5)]
    files = codec.encode_batch(pictures, 40)
    codec.decode_batch(files)
    codec.decode(codec.encode(pictures[0], 40))
    assert len(seen) == 1


def test_functions_and_plugin_share_codecs() -> None:
    assert shared_codec(Settings("fast")) is shared_codec(Settings(tune="psnr"))
    assert shared_codec(Settings("fast")) is not shared_codec(Settings("fast", effort=2))


def test_a_clock_hears_of_every_stage_of_its_own_session_alone() -> None:
    """Two threads, one encodes, one decodes: each has the whole of its stages, and nothing of the other's."""
    picture = generated_picture(96, 130)
    watches = {"encode": Stopwatch(), "decode": Stopwatch()}
    codecs = {task: codec_over(Session(Settings(TINY, threads=1), clock)) for task, clock in watches.items()}
    data = codecs["encode"].encode(picture, 40)
    work = [
        threading.Thread(target=lambda: [codecs["encode"].encode(picture, 40) for _ in range(3)]),
        threading.Thread(target=lambda: [codecs["decode"].decode(data) for _ in range(3)]),
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert set(watches["encode"].seconds) == {"analysis", "hyper_analysis", "prior", "entropy"}
    assert set(watches["decode"].seconds) == {"prior", "entropy", "synthesis"}
    assert all(seconds > 0 for watch in watches.values() for seconds in watch.seconds.values())


def test_the_strength_of_the_quantiser_is_an_argument_of_the_session() -> None:
    picture = generated_picture(128, 128)
    plain = codec_over(Session(Settings("fast", threads=1), strength=0.0)).encode(picture, 40)
    assert len(plain) > len(vaecodec.Codec("fast", threads=1).encode(picture, 40))


def test_encoder_and_decoder_walk_alike() -> None:
    codec = vaecodec.Codec(TINY, threads=1)
    coder = codec.session.coder(codec.model, 4000, 1, codec.session.workers)
    v = np.random.default_rng(0).normal(0, 2, (2, codec.model.config.latents, 6, 8)).astype(np.float32)
    streams, values = coder.encode(v)
    assert np.array_equal(coder.decode(streams, 6, 8), values)
