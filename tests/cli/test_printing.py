"""How the command prints numbers and sizes."""

from __future__ import annotations

from vaecodec.cli.printing import change, size_in_words, with_flags


def test_sizes_are_said_as_people_say_them() -> None:
    sizes = (0, 1, 999, 1000, 1234, 12_340, 999_499, 999_600, 136_000, 4_560_000, 20_000_000_000)
    words = "0 bytes, 1 bytes, 999 bytes, 1.00 kB, 1.23 kB, 12.3 kB, 999 kB, 1.00 MB, 136 kB, 4.56 MB, 20.0 GB"
    assert ", ".join(map(size_in_words, sizes)) == words
    assert change(136_000, 12_000) == "136 kB -> 12.0 kB (11x smaller)"
    assert change(1000, 2500) == "1.00 kB -> 2.50 kB (2.5x larger)"
    assert change(0, 0) == "0 bytes -> 0 bytes"


def test_settings_of_the_library_become_flags() -> None:
    assert with_flags("more than the limit of 9 (max_pixels)") == "more than the limit of 9 (--max-pixels)"
    assert with_flags("give its file (model), or not (at all)") == "give its file (--model), or not (at all)"
