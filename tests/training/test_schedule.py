"""A long training run: schedule, averaged weights, budget, precision and record of work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytest.importorskip("compressai")

from tiny import TINY, tiny_options  # noqa: E402

from vaecodec.training import precision  # noqa: E402
from vaecodec.training.checkpoint import load_state  # noqa: E402
from vaecodec.training.data.pictures import PictureStore  # noqa: E402
from vaecodec.training.folder import read_budget  # noqa: E402
from vaecodec.training.loop import Trainer  # noqa: E402
from vaecodec.training.options import TrainOptions  # noqa: E402
from vaecodec.training.precision import bfloat16_pays  # noqa: E402
from vaecodec.training.schedule import averaging, schedule  # noqa: E402
from vaecodec.training.validate import validate  # noqa: E402
from vaecodec.training.work import Work, processor  # noqa: E402


def test_the_rate_is_constant_and_falls_to_zero_at_the_end() -> None:
    assert [schedule(share, 0.2) for share in (0.0, 0.5, 0.8)] == [1, 1, 1]
    assert schedule(0.9, 0.2) == pytest.approx(0.5)
    assert schedule(1.0, 0.2) == pytest.approx(0)
    assert schedule(0.25, 1.0) == pytest.approx(0.5 * (1 + 0.5**0.5))  # half a cosine over the whole run


def test_the_average_looks_back_a_tenth_of_the_run_at_most_so_many_steps() -> None:
    for count, share in ((9, 1 / 1.9), (90, 1 / 10), (100000, 1 / 50)):
        mean = [torch.tensor([2.0])]
        averaging(50)(mean, [torch.tensor([1.0])], torch.tensor(count))
        assert float(mean[0]) == pytest.approx(2 - share)


def test_the_average_is_kept_across_stops(store: PictureStore, tmp_path: Path) -> None:
    first = Trainer(TINY, tiny_options(), store, tmp_path)
    first.start()
    for _ in range(3):
        first._step(0.1)
    first.save()
    first._step(0.1)
    second = Trainer(TINY, tiny_options(), store, tmp_path)
    second.start()
    second._step(0.1)
    pairs = zip(first.average.state_dict().items(), second.average.state_dict().values(), strict=True)
    for (name, mean), again in pairs:
        assert torch.equal(mean, again), name
    assert any(
        not torch.equal(p, q) for p, q in zip(first.modules.parameters(), first.average.parameters(), strict=True)
    )


@pytest.mark.parametrize("average_is_better", [True, False])
def test_the_better_weights_are_handed_out(store: PictureStore, tmp_path: Path, average_is_better: bool) -> None:
    """With noise added to one copy of the weights, `train` keeps and hands out the other."""
    trainer = Trainer(TINY, tiny_options(0.02), store, tmp_path)
    trainer.start()
    worse = trainer.modules if average_is_better else trainer.average.module
    seen = []

    def spoil(path: Path | None = None) -> None:
        with torch.no_grad():
            for parameter in worse.vae.synthesis.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.5)

    trainer.save = spoil
    left = trainer.train(validated=lambda modules, validation: seen.append((modules, validation.cost)))
    assert trainer.averaged == average_is_better
    assert seen[-1][0] is (trainer.average.module if average_is_better else trainer.modules)
    assert validate(trainer.vae, trainer.entropy, store).cost == pytest.approx(left.cost, abs=1e-6)
    record = json.loads((tmp_path / "validation.jsonl").read_text().splitlines()[-1])
    assert (record["averaged_cost"] < record["last_cost"]) == average_is_better
    assert record["cost"] == min(record["averaged_cost"], record["last_cost"])


def test_the_budget_can_be_changed_while_a_run_goes_on(store: PictureStore, tmp_path: Path) -> None:
    """An hour becomes some seconds; rubbish in the file changes nothing."""
    trainer = Trainer(TINY, tiny_options(60), store, tmp_path)
    trainer.start()
    assert read_budget(tmp_path, 60) == 3600

    def shorten(share: float, text: str) -> None:
        (tmp_path / "minutes").write_text("rubbish" if trainer.step == 1 else "0.01\n")

    trainer.train(shorten)
    assert trainer.step == 40  # shortened at 20, read at 40
    assert load_state(tmp_path / "state.safetensors", trainer.modules)["step"] == 40


def test_work_is_counted_by_machine_and_kept(store: PictureStore, tmp_path: Path) -> None:
    trainer = Trainer(TINY, tiny_options(), store, tmp_path)
    trainer.start()
    trainer._step(0.1)
    trainer.work.machine = "another"
    trainer._step(0.1)
    trainer.save()
    again = Trainer(TINY, tiny_options(), store, tmp_path)
    again.start()
    assert again.work.total("crops") == 16
    assert again.work.total("cpu_seconds") > 0
    assert set(again.work.done) == {processor(), "another"}
    assert Work("here").total("crops") == 0


def test_the_precision_is_asked_of_the_processor(
    store: PictureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 is not chosen where it is slow; an explicit choice is obeyed."""
    for seconds, chosen in ((10.0, False), (0.1, True)):
        monkeypatch.setattr(precision, "_seconds", lambda dtype, s=seconds: s if dtype == torch.bfloat16 else 1.0)
        assert bfloat16_pays("cpu") == chosen
        options = TrainOptions(minutes=1, crop=64, final_crop=64)
        assert Trainer(TINY, options, store, tmp_path).bf16 == chosen
        assert not Trainer(TINY, tiny_options(), store, tmp_path).bf16
    monkeypatch.undo()
    assert precision._seconds(torch.float32) > 0
    assert precision._seconds(torch.bfloat16) > 0
