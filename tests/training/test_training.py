"""The trainer: a tiny run end to end, exact resume, warm start, and the bits that it predicts."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # as fast for nets this small, and steady on a busy machine
pytest.importorskip("compressai")

from tiny import TINY, tiny_options  # noqa: E402

import vaecodec  # noqa: E402
from vaecodec.model.file import read_model  # noqa: E402
from vaecodec.nets.torch.backend import load_vae  # noqa: E402
from vaecodec.nets.torch.distortion import distortion  # noqa: E402
from vaecodec.nets.torch.vae import VAE  # noqa: E402
from vaecodec.training.data.crops import CropSampler, centre_crops, spread_crops  # noqa: E402
from vaecodec.training.data.pictures import PictureStore, is_validation  # noqa: E402
from vaecodec.training.data.synthetic import altered_crop, synthetic_crop  # noqa: E402
from vaecodec.training.entropy import EntropyModels  # noqa: E402
from vaecodec.training.export import export_model, warm_start  # noqa: E402
from vaecodec.training.folder import forget_lost_steps  # noqa: E402
from vaecodec.training.guard import Guard  # noqa: E402
from vaecodec.training.loop import Trainer  # noqa: E402
from vaecodec.training.mixtures import count_symbols, fit_mixtures  # noqa: E402
from vaecodec.training.options import TrainOptions  # noqa: E402
from vaecodec.training.validate import _Channels, validate  # noqa: E402


def test_store_decodes_folders_and_tars_and_splits_by_name(store: PictureStore) -> None:
    assert {entry["name"] for entry in store.index} == {
        *(f"{i}.png" for i in range(6)), *(f"deep/{i}.webp" for i in range(6, 10))
    }  # fmt: skip
    for entry in store.index:
        seed = int(Path(entry["name"]).stem)
        assert np.array_equal(store.picture(entry), generated_picture(*entry["shape"][:2], seed))
    assert 0.04 < np.mean([is_validation(f"{i}.jpg") for i in range(20000)]) < 0.06
    assert [crop.shape for crop in centre_crops(store.train, store, 3, 128)] == [(128, 128, 3)] * min(
        3, len(store.train)
    )


def test_few_pictures_are_looked_at_in_several_places(store: PictureStore) -> None:
    entries = sorted(store.train, key=lambda entry: min(entry["shape"][:2]))
    size = min(entries[0]["shape"][:2])
    for count in (1, len(entries), 2 * len(entries) - 1):
        found, centres = (crops(entries, store, count, size) for crops in (spread_crops, centre_crops))
        assert all(map(np.array_equal, found, centres))
    crops = spread_crops(entries, store, 4 * len(entries), size)
    assert len(entries) < len(crops) <= 4 * len(entries)
    assert len({crop.tobytes() for crop in crops}) == len(crops)
    assert len(spread_crops(entries, store, 9 * len(entries), 512)) == len(entries)  # smaller ones have no corners


def test_bits_of_an_unripe_density_do_not_count() -> None:
    """A channel carries at most the entropy of its symbols, whatever the density charges."""
    channels = _Channels(1, 3, torch.device("cpu"))
    symbols = torch.zeros(1, 3, 8, 8)
    symbols[0, 1] = torch.arange(64).reshape(8, 8) % 2
    symbols[0, 2] = torch.arange(64).reshape(8, 8)
    for _ in range(2):
        channels.see(torch.full((1, 3), 64 * 2.5), symbols)
    assert channels.bits_a_latent()[0].tolist() == pytest.approx([0, 1, 2.5])
    assert channels.used[0].tolist() == [False, True, True]


def test_crops_are_what_was_asked_for(store: PictureStore) -> None:
    sampler = CropSampler(store, 0)
    for size in (64, 256):  # also larger than the pictures
        batch = sampler.batch(40, size)
        assert batch.shape == (40, size, size, 3)
        assert batch.dtype == np.uint8
    random = np.random.default_rng(0)
    crops = [synthetic_crop(random, 64) for _ in range(60)]
    assert min(crop.std() for crop in crops) == 0
    assert max(crop.std() for crop in crops) > 60
    altered = [altered_crop(random, batch[0]) for _ in range(40)]
    assert all(crop.shape == batch[0].shape and crop.dtype == np.uint8 for crop in altered)
    assert sum(np.array_equal(crop, batch[0]) for crop in altered) == 0


def test_resume_is_exact(store: PictureStore, tmp_path: Path) -> None:
    """Two steps, a stop and two more steps give the same weights as four steps in one go."""

    def steps(trainer: Trainer, shares: list[float]) -> None:
        for share in shares:
            trainer._step(share)

    whole = Trainer(TINY, tiny_options(), store, tmp_path / "whole")
    whole.start()
    steps(whole, [0, 0.1, 0.2, 0.3])
    first = Trainer(TINY, tiny_options(), store, tmp_path / "parts")
    first.start()
    steps(first, [0, 0.1])
    first.save()
    second = Trainer(TINY, tiny_options(), store, tmp_path / "parts")
    second.start()
    assert second.step == 2
    steps(second, [0.2, 0.3])
    for (name, a), b in zip(whole.modules.state_dict().items(), second.modules.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_killed_run_forgets_the_steps_it_lost(tmp_path: Path) -> None:
    log = tmp_path / "train.csv"
    forget_lost_steps(tmp_path, 25)
    assert not log.exists()
    log.write_text("")
    forget_lost_steps(tmp_path, 25)
    log.write_text("step,seconds\n1,0.1\n20,2.0\n40,4.0\n2")
    forget_lost_steps(tmp_path, 25)
    assert log.read_text() == "step,seconds\n1,0.1\n20,2.0\n"


@pytest.fixture(scope="module")
def trained(store: PictureStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path]:
    """A tiny model after some seconds of training, and its model file."""
    run = tmp_path_factory.mktemp("run")
    trainer = Trainer(TINY, tiny_options(0.35), store, run)
    trainer.start()
    before = validate(trainer.vae, trainer.entropy, store)
    after = trainer.train()
    assert after.cost < before.cost - 0.01
    rates = [point.z_bpp + point.y_bpp for point in after.points]
    assert rates == sorted(rates)
    mixtures = fit_mixtures(count_symbols(trainer.vae, trainer.sampler, batches=4, size=128))
    export_model(trainer.vae, trainer.entropy, run / "tiny.safetensors", (rates[0], rates[-1]), mixtures)
    return trainer, run / "tiny.safetensors"


def test_training_is_logged_and_ends_at_a_low_rate(trained: tuple[Trainer, Path]) -> None:
    trainer, _ = trained
    rows = list(csv.DictReader((trainer.run / "train.csv").read_text().splitlines()))
    assert len(rows) > 2
    assert float(rows[-1]["learning_rate"]) < 0.1 * max(float(row["learning_rate"]) for row in rows)
    record = json.loads((trainer.run / "validation.jsonl").read_text().splitlines()[-1])
    assert len(record["points"]) == TINY.anchors
    assert record["cost"] > record["train_cost"] - 5
    assert Image.open(trainer.run / "curve.png").width > 1000


def test_bits_of_the_channels_add_up(trained: tuple[Trainer, Path], store: PictureStore) -> None:
    trainer, _ = trained
    validation = validate(trainer.vae, trainer.entropy, store, crops=2, size=128)
    assert validation.channel_bpp.shape == (TINY.anchors, TINY.latents)
    np.testing.assert_allclose(validation.channel_bpp.sum(1), [p.y_bpp for p in validation.points], rtol=1e-4)


def test_guard_ends_a_run_that_learns_by_heart(tmp_path: Path) -> None:
    guard = Guard(tmp_path, 3)
    for number, (cost, train_cost) in enumerate([(1.0, 1.0), (0.9, 0.9), (0.91, 0.8), (0.92, 0.7), (0.93, 0.6)]):
        assert not guard.stop
        guard.see(cost, train_cost)
        assert guard.last_is_best == (number < 2)
    assert guard.stop
    guard.train_costs[-1] = 0.95  # both got worse: the learning rate, not the pictures
    assert not guard.stop


def test_exported_model_codes_and_real_bytes_match_the_estimate(
    trained: tuple[Trainer, Path], store: PictureStore
) -> None:
    trainer, path = trained
    codec = vaecodec.Codec(path)
    other = vaecodec.Codec(path, backend="torch")
    picture = store.picture(store.index[0])[:128, :128]
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
    vae, entropy = load_vae(read_model(path)), trainer.entropy.eval()
    for anchor, quality in enumerate((1, 34, 67, 100)):
        data = codec.encode(picture, quality)
        ours = codec.decode_latents(data)
        theirs = other.decode_latents(data)
        assert np.array_equal(ours, theirs)
        batch = x.expand(TINY.anchors, -1, -1, -1)
        with torch.no_grad():
            prediction = vae(batch, torch.full((TINY.anchors,), float(anchor)))
            z_bits, y_bits = entropy(prediction)
        estimate = float(z_bits[anchor] + y_bits[anchor]) / 8
        # A small file: the words in which the two streams end weigh more than the 1 % of a photograph.
        assert abs(len(data) - 22 - estimate) < 0.02 * estimate + 12


def test_warm_start_keeps_the_model(trained: tuple[Trainer, Path], tmp_path: Path) -> None:
    _, path = trained
    model = read_model(path)
    vae, entropy = VAE(TINY), EntropyModels(TINY)
    warm_start(model, vae, entropy)
    export_model(vae, entropy, tmp_path / "again.safetensors")
    again = read_model(tmp_path / "again.safetensors")
    for name, tensor in model.tensors.items():
        if not name.startswith("tables"):
            assert np.array_equal(tensor, again.tensors[name]), name


def test_ms_ssim_is_a_distortion_with_finite_gradients() -> None:
    random = np.random.default_rng(3)
    x = torch.from_numpy(generated_picture(192, 192).copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
    noise = torch.from_numpy(random.normal(0, 1, x.shape)).float()
    near, far = (float(distortion("ms-ssim", x, x + sigma * noise)) for sigma in (0.01, 0.1))
    assert float(distortion("ms-ssim", x, x)) == pytest.approx(0, abs=1e-2)
    assert 0 < near < far
    # It minds structure more than brightness, unlike the squared error.
    brighter = x + 0.05
    assert distortion("mse", x, brighter) > distortion("mse", x, x + 0.03 * noise)
    assert distortion("ms-ssim", x, brighter) < distortion("ms-ssim", x, x + 0.03 * noise)
    negative = (0.4 * noise).requires_grad_()
    (distortion("ms-ssim", -0.4 * noise, negative) + distortion("ms-ssim", x, negative)).sum().backward()
    assert torch.isfinite(negative.grad).all()


def test_fine_tuning_for_ms_ssim(trained: tuple[Trainer, Path], store: PictureStore, tmp_path: Path) -> None:
    """Some seconds of fine-tuning lower the MS-SSIM cost of a model trained for squared error."""
    model = read_model(trained[1])
    options = TrainOptions(
        minutes=0.2, metric="ms-ssim", crop=192, final_crop=192, hyper_warmup=0, warmup_steps=5, bf16=False
    )
    trainer = Trainer(model.config, options, store, tmp_path)
    trainer.start(partial(warm_start, model))
    before = trainer._measure(trainer.modules)
    after = trainer.train()
    assert after.cost < before.cost - 0.005
    assert after.points[-1].distortion < 500
