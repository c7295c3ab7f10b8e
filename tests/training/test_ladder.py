"""The ladder of training decisions: each row runs and differs as it says; results are compared and drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from make_golden import TINY as TINY_MODEL
from pictures import generated_picture
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("compressai")

from vaecodec.benchmarks.studies import ladder  # noqa: E402
from vaecodec.benchmarks.studies.ladder_rows import LADDER  # noqa: E402
from vaecodec.model.file import read_model  # noqa: E402
from vaecodec.training.data.pictures import PictureStore  # noqa: E402

ROWS = {row.name: row for row in LADDER}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PictureStore:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(4):
        Image.fromarray(generated_picture(160, 160, seed)).save(folder / f"{seed}.png")
    return PictureStore.build(folder, tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    "name",
    ["prior", "reference", "wide-shallow", "no-shortcut",
     "no-context", "prior-6-bits", "scales-3-an-octave", "start-haar", "start-dct", "trained", "ema",
     "straight-through", "noise", "synthesis-last"],
)  # fmt: skip
def test_rows_run(name: str, store: PictureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = read_model(TINY_MODEL)
    monkeypatch.setitem(ladder.CONFIGS, "fast", model.config)
    steps, curve = ladder.run_row(ROWS[name], model, store, 0.002, 1, tmp_path)
    assert steps >= 1
    assert len(curve) == model.config.anchors
    assert all(rate > 0 and score > 0 for rate, score in curve)


def test_every_row_has_its_reference_before_it() -> None:
    names = list(ROWS)
    assert len(names) == len(LADDER)
    for row in LADDER:
        assert names.index(row.reference) <= names.index(row.name)


def test_rows_are_compared_and_drawn(tmp_path: Path) -> None:
    anchor = [(0.1, 25.0), (0.2, 28.0), (0.4, 31.0), (0.8, 34.0)]
    half = [(rate / 2, score) for rate, score in anchor]
    assert ladder.compare(anchor, half) == {"all": -50.0, "low": -50.0, "high": -50.0}
    worse = [(rate, score - 8) for rate, score in anchor]
    assert ladder.compare(anchor, worse)["low"] is None
    rows = [{"name": str(i), "bd_rate": ladder.compare(anchor, curve)} for i, curve in enumerate((half, worse))]
    ladder.draw(rows, tmp_path / "ladder.png")
    assert Image.open(tmp_path / "ladder.png").width > 500


def test_rows_are_named_on_demand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["ladder.py", "pictures", "--list"])
    ladder.main()
    assert len(capsys.readouterr().out.splitlines()) == len(LADDER)
    monkeypatch.setattr(sys, "argv", ["ladder.py", "pictures", "--rows", "none"])
    with pytest.raises(SystemExit):
        ladder.main()
    assert "no such row: none" in capsys.readouterr().err
