"""Hostile files are answered with the right error, soon, and in little memory."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzz import GROWTH, LIMIT, SUFFIXES, Fuzzer, peak_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from make_golden import TINY
from PIL import Image

import vaecodec
from vaecodec.picture import save_image

FOLDER = Path(__file__).parents[1] / "attacks"
MEMORY = 96
"""MiB that an attack may take: twice what metadata of 16 MiB and an honest image of 900x900 pixels do."""
EXPECTED: dict[str, str] = json.loads((FOLDER / "attacks.json").read_text())


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec(TINY)


def test_every_attack_has_its_answer() -> None:
    assert {path.stem for path in FOLDER.glob("*.vaec")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_attack(name: str, codec: vaecodec.Codec) -> None:
    data = (FOLDER / f"{name}.vaec").read_bytes()
    started = time.monotonic()
    if EXPECTED[name]:
        with pytest.raises(vaecodec.VaecodecError, match=EXPECTED[name]) as error:
            codec.decode(data)
        assert "\n" not in str(error.value)
    else:
        image = codec.decode(data)
        for suffix in SUFFIXES:
            assert Image.open(io.BytesIO(save_image(image, suffix)[0])).size == image.size
    assert time.monotonic() - started < 2
    with contextlib.suppress(vaecodec.VaecodecError):
        codec.salvage(data)


def test_attacks_take_little_memory() -> None:
    """In a process of their own, since the peak of this one hides what stays below it."""
    command = [sys.executable, __file__, *EXPECTED]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "tools")}
    run = subprocess.run(command, capture_output=True, check=True, timeout=100, env=environment)
    growth = json.loads(run.stdout)
    assert growth.keys() == set(EXPECTED)
    assert max(growth.values()) < MEMORY, growth
    assert sum(growth.values()) < 2 * MEMORY, growth


def print_growth(names: list[str]) -> None:
    """MiB by which each attack raises the peak memory of this process, as JSON."""
    codec, growth = vaecodec.Codec(TINY, threads=1), {}
    codec.decode((FOLDER / "no-streams.vaec").read_bytes())
    for name in names:
        before = peak_memory()
        data = (FOLDER / f"{name}.vaec").read_bytes()
        for decode in (codec.decode, codec.salvage, codec.preview, vaecodec.inspect):
            with contextlib.suppress(vaecodec.VaecodecError):
                decode(data)
        growth[name] = peak_memory() - before
    print(json.dumps(growth))


def test_metadata_limit_is_an_argument(codec: vaecodec.Codec) -> None:
    data = (FOLDER / "exif-bomb.vaec").read_bytes()
    assert len(vaecodec.Codec(TINY, max_metadata=1 << 25).decode(data).info["exif"]) == (1 << 24) + 1


@pytest.fixture(scope="module")
def fuzzer() -> Fuzzer:
    return Fuzzer()


@settings(max_examples=1500, deadline=None, database=None)
@given(seed=st.integers(0, 2**63))
def test_fuzz(seed: int, fuzzer: Fuzzer) -> None:
    fuzzer.run(seed)
    assert fuzzer.slowest < LIMIT, fuzzer.slowest_seed
    assert fuzzer.growth < GROWTH, seed


def test_fuzzing_reaches_the_symbols(fuzzer: Fuzzer) -> None:
    for seed in range(300):
        fuzzer.run(seed)
    assert fuzzer.reached > 0.6 * fuzzer.executions
    assert fuzzer.outcomes["decoded"] > 0.02 * fuzzer.executions


if __name__ == "__main__":
    print_growth(sys.argv[1:])
