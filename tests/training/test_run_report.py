"""The report of a run: why it stopped, what collapsed, what was learned by heart."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
from browsing import chromium, watched
from click.testing import CliRunner
from PIL import Image

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # as fast for nets this small, and steady on a busy machine
pytest.importorskip("compressai")

from tiny import TINY, tiny_options  # noqa: E402

from vaecodec.bitstream.spec import HYPER_LIMIT  # noqa: E402
from vaecodec.cli.main import group  # noqa: E402
from vaecodec.errors import VaecodecError  # noqa: E402
from vaecodec.model.config import ModelConfig  # noqa: E402
from vaecodec.model.file import load_model  # noqa: E402
from vaecodec.nets.torch.backend import load_vae  # noqa: E402
from vaecodec.training.data.pictures import PictureStore, is_validation  # noqa: E402
from vaecodec.training.diagnosis import diagnose, live, most_live, top_share  # noqa: E402
from vaecodec.training.entropy import EntropyModels  # noqa: E402
from vaecodec.training.export import warm_start  # noqa: E402
from vaecodec.training.gap import at_equal_hardness  # noqa: E402
from vaecodec.training.loop import Trainer  # noqa: E402
from vaecodec.training.validate import looked_at, to_batch, validate  # noqa: E402
from vaecodec.viewer.run_page import write_report  # noqa: E402

Pictures = Callable[[np.random.Generator], np.ndarray]


def noise(random: np.random.Generator) -> np.ndarray:
    """Noise, which can only be learned by heart."""
    return random.integers(0, 256, (64, 64, 3), np.uint8)


def waves(random: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:64, :64] / 64
    angles, phases = random.uniform(0, 6, 3), random.uniform(0, 6, 3)
    planes = [np.sin(10 * (x * np.cos(a) + y * np.sin(a)) + p) for a, p in zip(angles, phases, strict=True)]
    return (np.stack(planes, 2) * 90 + random.normal(128, 4, (64, 64, 3))).clip(0, 255).astype(np.uint8)


def split(folder: Path, kind: Pictures, training: int, held_out: int) -> PictureStore:
    """Pictures of one kind, named so that the split puts `held_out` of them aside."""
    (folder / "in").mkdir(parents=True)
    names = [f"{number}.png" for number in range(2000)]
    for held, count in ((False, training), (True, held_out)):
        for name in [name for name in names if is_validation(name) == held][:count]:
            Image.fromarray(kind(np.random.default_rng(int(name[:-4])))).save(folder / "in" / name)
    return PictureStore.build(folder / "in", folder / "pictures")


def trainer(run: Path, store: PictureStore, steps: int, config: ModelConfig = TINY) -> Trainer:
    options = replace(tiny_options(60), steps=steps, final_crop=64, learning_rate=1e-3, hyper_warmup=0.0)
    made = Trainer(config, options, store, run)
    made.start()
    return made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with nothing wrong."""
    run = tmp_path_factory.mktemp("runs") / "<b>plain"
    trainer(run, split(run, waves, 12, 6), 6).train()
    return run


def names(run: Path) -> set[str]:
    return {found.name for found in diagnose(run).findings if found.grave}


def test_a_run_with_nothing_wrong(plain: Path) -> None:
    diagnosis = diagnose(plain)
    assert names(plain) == set()
    assert diagnosis.line.startswith("y 16/16, z 8/8 channels carry > 0.01 bit; gap train/validation ")
    assert diagnosis.line.endswith("; stopped after its last step")
    assert (diagnosis.last.step, diagnosis.last.held_out) == (6, 6)
    assert json.loads((plain / "stop.json").read_text())["why"] == "steps"


def test_hyper_latents_that_collapsed_are_named(tmp_path: Path) -> None:
    """All of z rounds to zero from the start, and does so still after these few steps."""
    made = trainer(tmp_path, split(tmp_path, waves, 12, 6), 6)
    with torch.no_grad():
        made.vae.hyper_gain.fill_(-8)
    made.average.module.load_state_dict(made.modules.state_dict())
    made.train()
    assert names(tmp_path) == {"z collapsed"}
    # The density is not ripe, and asks for bits; that they say nothing is what counts.
    last = diagnose(tmp_path).last
    assert last.points["z_bpp"].min() > 0
    assert last.z_bits.max() == 0
    assert "y 16/16, z 0/8 channels" in diagnose(tmp_path).line


def test_latents_that_collapsed_are_named(tmp_path: Path, plain: Path) -> None:
    records = (plain / "validation.jsonl").read_text().splitlines()
    record = json.loads(records[-1])
    record["y_bits"][0] = [0.0] * 16
    (tmp_path / "validation.jsonl").write_text(json.dumps(record) + "\n")
    assert names(tmp_path) == {"y collapsed"}
    (found,) = [found for found in diagnose(tmp_path).findings if found.grave]
    assert "at 1 of 4 rates" in found.text


def test_sixteen_pictures_that_are_learned_by_heart(tmp_path: Path) -> None:
    """Noise: a transform with enough latents fits the pictures that it has seen, and no others."""
    made = trainer(tmp_path, split(tmp_path, noise, 16, 6), 6, replace(TINY, latents=128, channels=96))
    made.train()
    assert names(tmp_path) == {"learned by heart"}
    value, error = diagnose(tmp_path).last.gap["cost"]
    assert value - 2 * error > 0.03


def test_hardness_is_not_taken_for_a_gap() -> None:
    random = np.random.default_rng(0)
    hard_out, hard_in = random.normal(1, 1, 40), random.normal(0, 1, 30)
    for gap in (0.0, 0.1):
        held_out = 0.9 * hard_out + gap + random.normal(0, 0.02, 40)
        training = 0.9 * hard_in + random.normal(0, 0.02, 30)
        value, error = at_equal_hardness(held_out, training, hard_out, hard_in)
        assert held_out.mean() - training.mean() > 0.5
        assert value == pytest.approx(gap, abs=3 * error)
        assert 0.002 < error < 0.01
    assert at_equal_hardness(held_out[:1], training[:1], hard_out[:1], hard_in[:1])[1] == math.inf


def test_the_shipped_model_is_reported_as_counting_symbols_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three quarters of its hyper latents are always zero."""
    store, model = split(tmp_path, waves, 3, 3), load_model("fast")
    entropy, vae = EntropyModels(model.config), load_vae(model)
    monkeypatch.setattr(EntropyModels, "fit", partialmethod(EntropyModels.fit, steps=30))  # far enough, and quick
    warm_start(model, vae, entropy)
    found = validate(vae, entropy, store, crops=3, size=128)
    crops, _ = looked_at(store, 3, 128)
    with torch.no_grad():
        batches = [to_batch(np.repeat(crop[None], 8, 0), torch.device("cpu")) for crop in crops]
        z = torch.cat([vae(x, torch.arange(8.0)).hyper_latents.flatten(2) for x in batches], 2)
    assert z.abs().max() < HYPER_LIMIT
    symbols = torch.round(z)
    assert [point.active_hyper for point in found.points] == (symbols != 0).any(2).sum(1).tolist()
    counted = (symbols != symbols[..., :1]).any(2).sum(1).tolist()  # what is always the same says nothing
    assert live(found.z_bits).tolist() == counted
    assert 0 < max(counted) < 60


def test_why_a_run_stopped(tmp_path: Path) -> None:
    store = split(tmp_path, waves, 2, 1)

    def interrupt(share: float, text: str) -> None:
        assert not (tmp_path / "stop.json").exists()
        raise KeyboardInterrupt

    for steps, report, why in (
        (20, interrupt, "signal"),
        (21, lambda *_: 1 / 0, "error"),
        (1, lambda *_: None, "steps"),
    ):
        made = trainer(tmp_path, store, steps)
        if why == "steps":
            made.train(report)
        else:
            with pytest.raises((KeyboardInterrupt, ZeroDivisionError)):
                made.train(report)
        assert json.loads((tmp_path / "stop.json").read_text())["why"] == why
    made = Trainer(TINY, replace(tiny_options(1e-6), steps=50), store, tmp_path)
    made.start()
    made.train()
    assert made.stopped == "clock"


@pytest.mark.parametrize(
    ("why", "words"), [("guard", "guard against overfitting"), ("signal", "a signal"), (None, "killed")]
)
def test_the_line_says_why(plain: Path, tmp_path: Path, why: str | None, words: str) -> None:
    (tmp_path / "validation.jsonl").write_bytes((plain / "validation.jsonl").read_bytes())
    if why:
        (tmp_path / "stop.json").write_text(json.dumps({"why": why}))
    assert words in diagnose(tmp_path).line
    assert names(tmp_path) == ({"learned by heart"} if why == "guard" else set())


@pytest.mark.parametrize(
    ("value", "error", "name"),
    [
        (0.0, 0.01, None),
        (0.02, 0.009, "a gap"),
        (0.01, 0.001, "a gap"),
        (0.02, 0.006, "learned by heart"),
        (0.02, 0.06, "gap unsure"),
    ],
)
def test_a_gap_is_named_by_how_sure_it_is(
    plain: Path, tmp_path: Path, value: float, error: float, name: str | None
) -> None:
    record = json.loads((plain / "validation.jsonl").read_text().splitlines()[-1])
    record["gap"]["cost"] = [value, error]
    (tmp_path / "validation.jsonl").write_text(json.dumps(record) + "\n")
    found = {found.name for found in diagnose(tmp_path).findings} - {"not at its end"}
    assert found == ({name} if name else set())
    assert names(tmp_path) == found & {"learned by heart"}


def test_the_weights_of_an_earlier_step_are_noted(plain: Path, tmp_path: Path) -> None:
    """A run whose time ends with a validation is validated twice at its last step."""
    last = json.loads((plain / "validation.jsonl").read_text().splitlines()[-1])
    for step, noted in ((last["step"], False), (last["step"] - 1, True)):
        best = last | {"step": step, "cost": last["cost"] - 0.1}
        (tmp_path / "validation.jsonl").write_text(f"{json.dumps(best)}\n{json.dumps(last)}\n")
        assert ("an earlier state is kept" in {found.name for found in diagnose(tmp_path).findings}) == noted


def test_without_held_out_pictures_nobody_knows(plain: Path, tmp_path: Path) -> None:
    made = trainer(tmp_path, split(tmp_path, waves, 2, 0), 1)
    made.train()
    assert names(tmp_path) == {"nothing held out"}
    assert "gap train/validation unknown" in diagnose(tmp_path).line


def test_shares_of_channels() -> None:
    bits = np.array([[0.02] * 40, [0.2] * 8 + [0.0] * 32])
    assert live(bits).tolist() == [40, 8]
    assert live(bits, 0.1).tolist() == [0, 8]
    assert most_live(bits) == 40
    assert top_share(bits).tolist() == pytest.approx([0.8, 1])


BAD = {
    "no run": None,
    "rubbish": b"rubbish\n",
    "no text": b"\xff\xfe\n",
    "another kind": b"[1, 2]\n",
    "deep": b"[" * 100000,
    "an old one": b'{"step": 1, "cost": 1}\n',
    "huge numbers": b'{"z_bits": [[1e999]], "y_bits": [[1]]}',
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_run_gets_one_line(tmp_path: Path, kind: str) -> None:
    if BAD[kind] is not None:
        (tmp_path / "validation.jsonl").write_bytes(BAD[kind])
    with pytest.raises(VaecodecError, match=r"validation\.jsonl") as caught:
        diagnose(tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.html"))


def test_damaged_records_get_one_line(plain: Path, tmp_path: Path) -> None:
    record = json.loads((plain / "validation.jsonl").read_text().splitlines()[-1])
    other = {"step": "1", "y_bits": [], "z_bits": [[True]], "points": [], "gap": 3, "held_out": None}
    for name in (*record.keys() & {"step", "points", "y_bits", "z_bits", "gap", "held_out"},):
        (tmp_path / "validation.jsonl").write_text(json.dumps(record | {name: other[name]}) + "\n")
        with pytest.raises(VaecodecError, match="line 1: not what a run writes"):
            diagnose(tmp_path)
    for stop in ("{}", '{"why": []}', '{"why": "moon"}', "\0"):
        (tmp_path / "validation.jsonl").write_text(json.dumps(record) + "\n")
        (tmp_path / "stop.json").write_text(stop)
        with pytest.raises(VaecodecError, match=r"stop\.json is not what a run writes"):
            diagnose(tmp_path)


def test_the_command(plain: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for arguments, code in ((["-o", str(page)], 0), (["-o", str(page)], 1), (["-o", str(page), "-f"], 0), ([], 0)):
        result = CliRunner().invoke(group, ["train-report", str(plain), *arguments])
        assert result.exit_code == code, result.output
        assert code or diagnose(plain).line in result.output
    assert (plain / "report.html").read_bytes() == page.read_bytes()


def test_the_page_in_a_browser(plain: Path) -> None:
    _, path = write_report(plain)
    with chromium() as browser, watched(browser, path) as page:
        assert page.inner_text("h1") == "Training run <b>plain"
        assert "z 8/8 channels" in page.inner_text("body")
        widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert len(widths) == 6
        assert min(widths) > 300
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
