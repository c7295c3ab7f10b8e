"""Targets: the file has the size, or is as near to the original, as was asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image, ImageFilter

import vaecodec
import vaecodec.coding.encoder
from vaecodec.picture import to_picture
from vaecodec.rate_control.metrics import ms_ssim, psnr
from vaecodec.rate_control.reach import Reached
from vaecodec.rate_control.search import HIGHEST, LOWEST
from vaecodec.targets import Bpp, MsSsim, Psnr, Size, Ssimulacra2, Target, TargetError


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec("fast", threads=1)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """With some texture, so that the scale of qualities has a wide range: (288, 320, 3)."""
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 256, (288, 320), np.uint8))
    texture = noise.filter(ImageFilter.GaussianBlur(2)).filter(ImageFilter.UnsharpMask(3, 300, 0))
    mixed = 0.7 * generated_picture(288, 320, 3) + 0.35 * np.asarray(texture)[:, :, None]
    return mixed.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def embossed() -> np.ndarray:
    """What no latents of any quality come near to: coloured noise in relief (96, 112, 3)."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 112, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).filter(ImageFilter.EMBOSS))


def reached(codec: vaecodec.Codec, image: object, target: Target) -> Reached:
    return codec.reach(to_picture(image), target)


def section_names(data: bytes) -> set[str]:
    return set(vaecodec.inspect(data)["parts"]) - {"hyper latents", "latents", "header and checksums"}


@pytest.mark.parametrize("size", [1500, 4000, "12kB"])
def test_sizes_are_used_and_never_exceeded(codec: vaecodec.Codec, pixels: np.ndarray, size: int | str) -> None:
    target = Size(size)
    found = reached(codec, pixels, target)
    assert 0.99 * target.bytes <= len(found.data) <= target.bytes
    assert found.value == f"{len(found.data)} bytes"
    assert found.quality == vaecodec.inspect(found.data)["quality"]
    assert 1 <= found.encodes <= 7


def test_bits_a_pixel_are_those_of_the_whole_file(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    found = reached(codec, pixels, Bpp(0.5))
    assert 0.495 <= vaecodec.inspect(found.data)["bpp"] <= 0.5


def test_alpha_and_metadata_count_in_the_size(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    image = Image.fromarray(np.dstack([pixels, generated_picture(*pixels.shape[:2], 5)[..., 0]]))
    image.info["xmp"] = np.random.default_rng(0).bytes(3000)
    alpha = len(codec.encode(image, 1))
    assert alpha > 5000
    data = codec.encode(image, target=Size(alpha + 2000))
    assert 0.99 * (alpha + 2000) <= len(data) <= alpha + 2000
    with pytest.raises(
        TargetError, match=r"target of 3000 bytes is out of reach: quality 1 takes .* alpha and metadata"
    ):
        codec.encode(image, target=Size(3000))


@pytest.mark.parametrize("decibels", [32, 38.5])
def test_psnr_is_met_and_hardly_exceeded(codec: vaecodec.Codec, pixels: np.ndarray, decibels: float) -> None:
    found = reached(codec, pixels, Psnr(decibels))
    got = psnr(pixels, vaecodec.Codec().decode_array(found.data))
    assert decibels <= got <= decibels + 0.1
    assert found.value == f"{got:.2f} dB"
    assert (
        str(found) == f"target PSNR {decibels:g} dB: {got:.2f} dB at quality {found.quality:g}, {found.encodes} encodes"
    )


@pytest.mark.parametrize("wanted", [0.93, 0.98, 0.995])
def test_ms_ssim_is_met_and_hardly_exceeded(codec: vaecodec.Codec, pixels: np.ndarray, wanted: float) -> None:
    data = codec.encode(pixels, target=MsSsim(wanted))
    assert wanted <= ms_ssim(pixels, codec.decode_array(data)) <= wanted + 0.001


def test_ssimulacra2_is_met(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    pytest.importorskip("ssimulacra2")
    from vaecodec.rate_control.metrics import ssimulacra2

    assert 60 <= ssimulacra2(pixels, codec.decode_array(codec.encode(pixels, target=Ssimulacra2(60)))) <= 60.6


def test_only_visible_samples_count(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    """Under full transparency there are colours that would cost much, and are not kept."""
    image = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    image[:100, :, 3] = 0
    image[:100, :, :3] = np.random.default_rng(1).integers(0, 256, (100, image.shape[1], 3))
    decoded = codec.decode_array(codec.encode(image, target=Psnr(35)))
    seen = image[..., 3] > 0
    assert 35 <= psnr(image[..., :3], decoded[..., :3], seen) <= 35.1
    assert psnr(image[..., :3], decoded[..., :3]) < 15
    assert codec.encode(image, target=MsSsim(0.95))


def test_gray_images(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    gray = Image.fromarray(pixels).convert("L")
    for target in (Psnr(34), MsSsim(0.97), Size(2500)):
        decoded = vaecodec.decode(codec.encode(gray, target=target))
        assert decoded.mode == "L"
        got = psnr(np.asarray(gray)[..., None], np.asarray(decoded)[..., None])
        if isinstance(target, Psnr):
            assert 34 <= got <= 34.1
        assert got > 25


def test_psnr_is_a_guarantee(codec: vaecodec.Codec, embossed: np.ndarray) -> None:
    found = reached(codec, embossed, Psnr(36))
    assert psnr(embossed, codec.decode_array(found.data)) >= 36
    assert section_names(found.data) == {"jpeg"}
    assert found.quality is None
    assert found.notes[0].startswith("latents reach ")
    assert found.notes[1] == "kept as a JPEG"
    assert len(found.data) < len(codec.encode(embossed, target=Psnr(70)))
    exact = reached(codec, embossed, Psnr(70))
    assert np.array_equal(codec.decode_array(exact.data), embossed)
    assert (exact.notes[1:], exact.value) == (["kept pixel for pixel"], "no loss")
    bare = vaecodec.Codec("fast", keep=False)
    with pytest.raises(TargetError, match="target of PSNR 36 dB is out of reach: quality 100 gives"):
        bare.encode(embossed, target=Psnr(36))


def test_jpegs_of_noise_are_made_in_silence(codec: vaecodec.Codec, capfd: pytest.CaptureFixture) -> None:
    """libjpeg would complain that Pillow's buffer is too small for them."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    found = reached(codec, noise, Psnr(40))
    assert psnr(noise, codec.decode_array(found.data)) >= 40
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_gives_the_best_within_a_size_that_latents_do_not_use(
    codec: vaecodec.Codec, embossed: np.ndarray
) -> None:
    limit = round(1.3 * len(vaecodec.Codec("fast", keep=False).encode(embossed, 100)))
    found = reached(codec, embossed, Size(limit))
    assert section_names(found.data) == {"jpeg"}
    assert len(found.data) <= limit
    latents = vaecodec.Codec("fast", keep=False).encode(embossed, target=Size(limit))
    better, worse = (psnr(embossed, codec.decode_array(data)) for data in (found.data, latents))
    assert better > worse + 1


def test_what_fits_is_kept_as_it_is(codec: vaecodec.Codec) -> None:
    drawing = np.zeros((200, 200, 3), np.uint8)
    drawing[50:100, 60:90] = (200, 30, 40)
    for target in (Size(5000), Psnr(40), MsSsim(0.9999)):
        found = reached(codec, drawing, target)
        assert np.array_equal(codec.decode_array(found.data), drawing)
        assert len(found.data) < 200
        assert "kept pixel for pixel" in found.notes


def test_a_size_wins_over_the_jpeg_that_it_was(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    size = len(buffer.getvalue())
    whole = reached(codec, buffer.getvalue(), Size(size + 100))
    assert (whole.notes, whole.encodes) == (["kept as the JPEG that it was"], 0)
    small = reached(codec, buffer.getvalue(), Size(size // 2))
    assert len(small.data) <= size // 2
    assert small.notes == [f"the size wins: as the JPEG that it was the image takes {size} bytes"]
    assert section_names(small.data) == set()


def test_out_of_reach(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    least = len(codec.encode(pixels, 1))
    with pytest.raises(TargetError, match=f"target of 100 bytes is out of reach: quality 1 takes {least} bytes$"):
        codec.encode(pixels, target=Size(100))
    found = reached(codec, pixels, Size(100, best=True))
    assert (len(found.data), found.quality, found.encodes) == (least, 1, 1)
    assert "out of reach" in found.notes[0]
    with pytest.raises(TargetError, match=r"MS-SSIM 1 is out of reach: quality 100 gives 0\.99"):
        codec.encode(pixels, target=MsSsim(1))
    assert reached(codec, pixels, MsSsim(1, best=True)).quality == 100


def test_ends_of_the_scale_that_are_no_failure(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    low = reached(codec, pixels, Psnr(5))
    assert (low.quality, low.notes) == (LOWEST / 100, [])
    high = reached(vaecodec.Codec("fast", keep=False), pixels, Size("1MB"))
    assert high.quality == HIGHEST / 100


def test_tiles_and_images_too_large_to_hold(
    codec: vaecodec.Codec, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Latents are analysed, and streams decoded, anew."""
    held = reached(codec, pixels, Psnr(33))
    monkeypatch.setattr(vaecodec.coding.encoder, "HELD_PIXELS", 0)
    tiled = vaecodec.Codec("fast", tile_log2=7, threads=2)
    for each, target in ((codec, Psnr(33)), (tiled, Psnr(33)), (tiled, Size(4000))):
        found = reached(each, pixels, target)
        got = psnr(pixels, each.decode_array(found.data))
        if isinstance(target, Psnr):
            assert 33 <= got <= 33.1
            assert abs(len(found.data) / len(held.data) - 1) < 0.1
        else:
            assert 3960 <= len(found.data) <= 4000


def test_refined_latents_meet_targets_too(pixels: np.ndarray) -> None:
    crop = np.ascontiguousarray(pixels[:96, :128])
    refining = vaecodec.Codec("fast", effort=2, threads=1)
    shares: list[float] = []
    found = refining.reach(to_picture(crop), Psnr(33), shares.append)
    assert 33 <= psnr(crop, refining.decode_array(found.data)) <= 33.5  # a small image, whose steps are large
    assert len(found.data) < len(vaecodec.Codec("fast", threads=1).encode(crop, target=Psnr(33)))
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
    assert len(refining.encode(crop, target=Size(900))) <= 900


def test_small_images_take_the_nearest_step(codec: vaecodec.Codec, pixels: np.ndarray) -> None:
    for side in (1, 9, 40):
        crop = np.ascontiguousarray(pixels[60 : 60 + side, 60 : 60 + side])
        least, most = (len(codec.encode(crop, quality)) for quality in (1, 100))
        for limit in range(least, most + 1, max(1, (most - least) // 5)):
            assert len(codec.encode(crop, target=Size(limit))) <= limit
        assert psnr(crop, codec.decode_array(codec.encode(crop, target=Psnr(35)))) >= 35


@pytest.mark.parametrize("model", [str(TINY), "fast-ms-ssim", None])
def test_other_models(model: str | None, pixels: np.ndarray) -> None:
    other = vaecodec.Codec(model, threads=1)
    assert psnr(pixels, other.decode_array(other.encode(pixels, target=Psnr(30)))) >= 30
    assert len(other.encode(pixels, target=Size(5000))) <= 5000


def test_batches_and_the_module_take_them(pixels: np.ndarray, codec: vaecodec.Codec, tmp_path: Path) -> None:
    images = [pixels, np.ascontiguousarray(pixels[:150]), np.ascontiguousarray(pixels[::-1])]
    batch = codec.encode_batch(images, target=Size(3000))
    assert all(2970 <= len(data) <= 3000 for data in batch)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert len(vaecodec.encode(tmp_path / "a.png", model="fast", target=vaecodec.Size("3kB"))) in range(2970, 3001)
