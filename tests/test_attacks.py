"""Hostile files are answered with the right error, soon, and in little memory."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest
from fuzz import LIMIT, Fuzzer
from hypothesis import given, settings
from hypothesis import strategies as st
from make_golden import TINY

import vaecodec

FOLDER = Path(__file__).parent / "attacks"
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
        codec.decode(data)
    assert time.monotonic() - started < 2
    with contextlib.suppress(vaecodec.VaecodecError):
        codec.salvage(data)


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


def test_fuzzing_reaches_the_symbols(fuzzer: Fuzzer) -> None:
    for seed in range(300):
        fuzzer.run(seed)
    assert fuzzer.reached > 0.6 * fuzzer.executions
    assert fuzzer.outcomes["decoded"] > 0.02 * fuzzer.executions
