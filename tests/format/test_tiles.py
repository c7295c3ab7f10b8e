"""Tiles, windows, regions, salvage."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture

import vaecodec
from vaecodec.bitstream.container import Streams, read_container, write_container
from vaecodec.bitstream.grid import Rect, TileGrid, choose_tile
from vaecodec.errors import FormatError, ImageError
from vaecodec.system.files import Source
from vaecodec.system.parallel import Workers


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return generated_picture(300, 420, seed=2)


@pytest.fixture(scope="module")
def codec() -> vaecodec.Codec:
    return vaecodec.Codec(tile_log2=7, threads=2)


@pytest.fixture(scope="module")
def coded(codec: vaecodec.Codec, picture: np.ndarray) -> bytes:
    return codec.encode(picture, 60)


@pytest.fixture(scope="module")
def decoded(codec: vaecodec.Codec, coded: bytes) -> np.ndarray:
    return np.asarray(codec.decode(coded))


@pytest.mark.parametrize("size", [(129, 1), (128, 300), (1000, 513), (2048, 2048), (33, 4000)])
@pytest.mark.parametrize("log2", [7, 9, 11])
def test_tiles_and_windows_cover_everything_once(size: tuple[int, int], log2: int) -> None:
    grid = TileGrid(*size, choose_tile(*size, log2))
    bounds = grid.bounds
    for cells in (grid.tiles, grid.windows):
        covered = np.zeros((bounds.height, bounds.width), int)
        for cell in cells:
            covered[cell.slices] += 1
        assert (covered == 1).all()
    assert len(grid) == len(grid.tiles)
    for window in grid.windows:
        around = window.grown(2).clipped(bounds)
        tiles = grid.tiles_of(around)
        assert tiles == [i for i, tile in enumerate(grid.tiles) if tile.meets(around)]
        assert len(tiles) <= 4


def test_a_region_needs_few_tiles_wherever_it_lies() -> None:
    grid = TileGrid(6000, 5000, 10)
    random = np.random.default_rng(0)
    for _ in range(300):
        left, top = random.integers(0, 5000 - 512, 2).tolist()
        region = Rect(top, left, top + 512, left + 512)
        needed = set()
        for window in grid.windows:
            if window.times(16).meets(region):
                needed |= set(grid.tiles_of(window.grown(2).clipped(grid.bounds)))
        assert len(needed) <= 4


def test_tiles_leave_no_seams(codec: vaecodec.Codec) -> None:
    """Along the borders of the tiles the error is that of the image coded whole: three photographs."""
    data = pytest.importorskip("skimage.data")
    whole = vaecodec.Codec()
    for quality in (15, 60):
        errors = []
        for photograph in (data.astronaut(), data.coffee(), data.rocket()):
            across, down = (np.arange(side) for side in photograph.shape[:2])
            border = [(side >= 126) & ((side + 2) % 128 < 4) for side in (across, down)]
            seams = border[0][:, None] | border[1]
            images = (np.asarray(c.decode(c.encode(photograph, quality))) for c in (codec, whole))
            errors.append([np.square(image.astype(float) - photograph)[seams].mean() for image in images])
        tiled, untiled = np.mean(errors, 0)
        assert abs(10 * np.log10(tiled / untiled)) < 0.1


def test_threads_do_not_change_the_file(picture: np.ndarray, coded: bytes) -> None:
    assert vaecodec.Codec(tile_log2=7, threads=1).encode(picture, 60) == coded


@pytest.mark.parametrize(
    "region", [(0, 0, 420, 300), (0, 0, 1, 1), (419, 299, 1, 1), (100, 37, 200, 131), (127, 127, 2, 2), (30, 0, 7, 300)]
)
def test_a_region_is_the_crop_of_the_whole(
    region: tuple[int, int, int, int], codec: vaecodec.Codec, coded: bytes, decoded: np.ndarray
) -> None:
    x, y, width, height = region
    part = np.asarray(codec.decode(coded, region))
    assert np.array_equal(part, decoded[y : y + height, x : x + width])


def test_a_region_of_an_untiled_image_with_alpha(picture: np.ndarray) -> None:
    data = vaecodec.encode(np.dstack([picture, picture[:, :, :1]]), 40)
    whole = np.asarray(vaecodec.decode(data))
    assert np.array_equal(np.asarray(vaecodec.Codec().decode(data, (11, 20, 30, 40))), whole[20:60, 11:41])


@pytest.mark.parametrize("region", [(0, 0, 421, 1), (-1, 0, 5, 5), (0, 0, 0, 5), (419, 299, 2, 1), (1 << 70, 0, 1, 1)])
def test_regions_outside_are_refused(region: tuple, codec: vaecodec.Codec, coded: bytes) -> None:
    with pytest.raises(ImageError, match="not within"):
        codec.decode(coded, region)


class Watched(io.BytesIO):
    """Notes which bytes are read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.touched = np.zeros(len(data), bool)

    def read(self, size: int | None = -1) -> bytes:
        at = self.tell()
        data = super().read(size)
        self.touched[at : at + len(data)] = True
        return data


def test_a_region_reads_only_its_groups(codec: vaecodec.Codec, coded: bytes) -> None:
    file = Watched(coded)
    codec.decode(file, (140, 140, 50, 50))
    container = read_container(Source(coded), 1 << 20)
    used = container.groups[5]  # row 1, column 1 of 3 x 4 tiles; the header takes at most 4096 bytes
    read = file.touched[4096:].sum()
    assert file.touched[used.offset : used.offset + used.size].all()
    assert read <= sum(part.size + 4 for part in container.groups) * 0.6


def test_salvage_saves_what_is_sound(codec: vaecodec.Codec, coded: bytes, decoded: np.ndarray) -> None:
    parts = read_container(Source(coded), 1 << 20).groups
    damaged = bytearray(coded)
    damaged[parts[5].offset + 3] ^= 1
    with pytest.raises(FormatError, match="group 5 of 12"):
        codec.decode(bytes(damaged))
    saved, damage = codec.salvage(bytes(damaged))
    halo = 16 * codec.model.config.synthesis_halo
    lost = np.zeros(decoded.shape[:2], bool)
    lost[128 - halo : 256 + halo, 128 - halo : 256 + halo] = True
    assert damage.groups == [5]
    assert damage.pixels == lost.sum()
    assert np.array_equal(np.asarray(saved)[~lost], decoded[~lost])
    assert (np.asarray(saved)[lost] == 128).all()


def test_salvage_fills_smoothly_where_that_is_asked_for() -> None:
    """The sound pixels are the same, the report too; the others are near to what was there."""
    y, x = np.mgrid[0:300, 0:420]
    codec = vaecodec.Codec(tile_log2=7, threads=2, keep=False)
    coded = codec.encode(np.stack([x // 2, y // 2, 220 - x // 3], 2).astype(np.uint8), 80)
    decoded, damaged = codec.decode_array(coded), bytearray(coded)
    for group in (5, 11):
        damaged[read_container(Source(coded), 1 << 20).groups[group].offset + 3] ^= 1
    gray, said = codec.salvage(bytes(damaged))
    smooth, said_again = codec.salvage(bytes(damaged), fill="smooth")
    halo = 16 * codec.model.config.synthesis_halo
    lost = np.zeros(decoded.shape[:2], bool)
    inner = np.s_[128 - halo : 256 + halo, 128 - halo : 256 + halo]
    lost[inner] = lost[256 - halo :, 384 - halo :] = True
    assert said.groups == [5, 11]
    assert vars(said) == vars(said_again)
    assert np.array_equal(np.asarray(smooth)[~lost], decoded[~lost])
    assert (np.asarray(gray)[lost] == 128).all()
    assert np.abs(np.asarray(smooth)[inner].astype(int) - decoded[inner]).max() < 12
    assert np.abs(np.asarray(smooth)[lost].astype(int) - decoded[lost]).max() < 60  # a corner has fewer neighbours
    with pytest.raises(vaecodec.VaecodecError, match="fill must be one of gray, smooth, not 'red'"):
        codec.salvage(coded, fill="red")


def test_invalid_streams_name_their_group(codec: vaecodec.Codec, coded: bytes, picture: np.ndarray) -> None:
    """Behind good checksums."""
    container = read_container(Source(coded), 1 << 20)
    groups = [container.group(i) for i in range(12)]
    for streams in (Streams(b"\xff" * 80, b"\xff" * 80), Streams(groups[7].hyper, groups[7].latent + bytes(range(40)))):
        wrong = write_container(container.header, [*groups[:7], streams, *groups[8:]], {})
        for decode in (codec.decode, codec.preview, codec.decode_latents):
            with pytest.raises(FormatError, match=r"^group 7 of 12: a coded stream is (invalid|longer)"):
                decode(wrong)
        assert codec.salvage(wrong)[1].groups == [7]
    whole = read_container(Source(vaecodec.encode(picture)), 1 << 20)
    with pytest.raises(FormatError, match=r"^the image data: a coded stream is"):
        codec.decode(write_container(whole.header, [Streams(b"\xff" * 80, b"\xff" * 80)], {}))


def test_salvage_of_a_truncated_file_and_of_sections(codec: vaecodec.Codec, picture: np.ndarray, coded: bytes) -> None:
    saved, damage = codec.salvage(coded[: len(coded) // 2])
    assert damage.groups == list(range(damage.groups[0], 12))
    assert np.asarray(saved).shape == picture.shape
    with_alpha = bytearray(codec.encode(np.dstack([picture, picture[:, :, 0]]), 60))
    with_alpha[read_container(Source(with_alpha), 1 << 20).sections[1].offset + 9] ^= 1
    saved, damage = codec.salvage(bytes(with_alpha))
    assert (damage.groups, damage.sections, saved.mode) == ([], ["alpha"], "RGB")
    whole, nothing = codec.salvage(coded)
    assert not nothing
    assert np.array_equal(np.asarray(whole), np.asarray(codec.decode(coded)))


def test_nothing_to_salvage(codec: vaecodec.Codec, coded: bytes, picture: np.ndarray) -> None:
    for hopeless in (coded[:20], b"", vaecodec.encode(picture)[:-1], coded[: len(coded) // 40]):
        with pytest.raises(FormatError):
            codec.salvage(hopeless)


def test_sources_of_all_kinds(tmp_path: Path, codec: vaecodec.Codec, coded: bytes, decoded: np.ndarray) -> None:
    path = tmp_path / "a.vaec"
    path.write_bytes(coded)
    with open(path, "rb") as file:
        for source in (path, str(path), file, io.BytesIO(coded), bytearray(coded), memoryview(coded)):
            assert np.array_equal(np.asarray(codec.decode(source)), decoded)
    with pytest.raises(vaecodec.VaecodecError, match="no-such"):
        codec.decode(tmp_path / "no-such.vaec")
    with pytest.raises(vaecodec.VaecodecError):
        codec.decode(5)


def test_workers_keep_order_and_report_progress_and_errors() -> None:
    workers, shares = Workers(3), []
    assert list(workers.map(lambda n: n * n, range(20), shares.append)) == [n * n for n in range(20)]
    assert shares == [n / 20 for n in range(1, 21)]

    def fail(n: int) -> int:
        if n == 3:
            raise FormatError("three")
        return n

    with pytest.raises(FormatError, match="three"):
        list(workers.map(fail, range(50)))


def test_the_tiny_model_tiles_too(picture: np.ndarray) -> None:
    codec = vaecodec.Codec(TINY, tile_log2=8)
    data = codec.encode(picture, 50)
    whole = np.asarray(codec.decode(data))
    assert np.array_equal(np.asarray(codec.decode(data, (200, 100, 100, 100))), whole[100:200, 200:300])


def test_preview_is_nearly_the_image_made_small(codec: vaecodec.Codec, photograph: np.ndarray) -> None:
    photograph = photograph[:500, :490]
    for image in (photograph, np.dstack([photograph, photograph[:, :, :1]])):
        data = codec.encode(image, 60)
        small = np.asarray(codec.preview(data))
        expected = np.dstack([np.asarray(band.reduce(8)) for band in codec.decode(data).split()])
        assert small.shape == expected.shape == (63, 62, image.shape[2])
        inner = np.s_[:62, :61]  # the last row and column average over the padding
        assert np.square(small[inner].astype(float) - expected[inner]).mean() < 3**2
    other = vaecodec.Codec(backend="torch")
    assert np.abs(np.asarray(other.preview(data)).astype(int) - small).max() <= 1
