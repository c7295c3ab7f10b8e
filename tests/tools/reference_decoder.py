"""A second decoder, written from FORMAT.md alone: plain Python and numpy int64, no code shared with the codec.

Slow, and meant to be read beside the specification; section numbers are those of FORMAT.md.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from itertools import accumulate

import numpy as np
from PIL import Image
from reference_file import File, FormatError, Model, check

__all__ = ["File", "FormatError", "Model", "decode", "decode_alpha", "decode_latents"]
FIRST = (0, 3, 1, 2)
FLOAT_LAYERS = ("mix_in", "spatial", "mix_out", "expand", "contract")


class RangeDecoder:
    """Section 5."""

    def __init__(self, stream: bytes) -> None:
        self.words = np.frombuffer(stream, "<u4").tolist()
        self.read = self.low = 0
        self.range, self.symbols = 2**64 - 1, 0
        self.point = self.word() << 32
        self.point += self.word()

    def word(self) -> int:
        self.read += 1
        return self.words[self.read - 1] if self.read <= len(self.words) else 0

    def place(self, firsts: list[int]) -> int:
        """`firsts`: for each place the sum of the counts before it, and at the end of all."""
        unit = self.range >> 24
        t = ((self.point - self.low) % 2**64) // unit
        check(t < 1 << 24, "stream invalid")
        place = bisect_right(firsts, t) - 1
        self.low = (self.low + unit * firsts[place]) % 2**64
        self.range = unit * (firsts[place + 1] - firsts[place])
        if self.range < 2**32:
            self.low, self.range = (self.low << 32) % 2**64, self.range << 32
            self.point = ((self.point << 32) + self.word()) % 2**64
        self.symbols += 1
        return place

    def call(self, numbers: list[int], tables: list[list[int]]) -> list[int]:
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        symbols, escapes, known = [0] * len(numbers), [], {}
        for i in order:
            number = numbers[i]
            if number not in known:
                known[number] = [0, *accumulate(tables[number])]
            radius = len(tables[number]) // 2 - 1
            symbols[i] = self.place(known[number]) - radius
            if symbols[i] > radius:
                escapes.append(i)
        equal = [256 * i for i in range(65535)] + [1 << 24]
        for i in escapes:
            symbols[i] = self.place(equal) - 32767
        return symbols

    def end(self) -> None:
        check(self.read >= len(self.words), "stream longer than its symbols")
        check(not self.symbols or (self.point - self.low) % 2**64 < 2**33 - 1, "stream longer than its symbols")


class Group:
    """Sections 3 and 4: from the streams of a group to its latents."""

    def __init__(self, model: Model, quality: int) -> None:
        self.model, self.t = model, model.tensors
        anchors = model.config["anchors"]
        p = (quality - 100) * (anchors - 1) * 65536 // 9900
        self.a = min(p >> 16, anchors - 2)
        self.f = p - 65536 * self.a
        self.nearest = self.a + (self.f >= 32768)

    def at_rate(self, table: np.ndarray) -> np.ndarray:
        return (table[self.a] * (65536 - self.f) + table[self.a + 1] * self.f) >> 16

    @staticmethod
    def exp2(g: int) -> int:
        mantissa, n = round(2 ** ((g & 255) / 256) * 16384), (g >> 8) + 2
        return mantissa << n if n >= 0 else mantissa >> -n

    def sums(self, name: str, x: np.ndarray) -> np.ndarray:
        w = self.t[f"{name}.weight"]
        if w.shape[2] == 1:
            return np.tensordot(w[:, :, 0, 0], x, 1)
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        h, width = x.shape[1:]
        return sum(w[:, 0, i, j, None, None] * padded[:, i : i + h, j : j + width] for i in range(3) for j in range(3))

    def layer(self, name: str, x: np.ndarray, rate: np.ndarray | int = 0, scale: np.ndarray | int = 1) -> np.ndarray:
        """floor(scale * (S * 2^-s + (b + r) / 16) + 1/2), all over the common denominator 2^(s + 4)."""
        shift = self.t[f"{name}.shift"][:, None, None]
        bias = (self.t[f"{name}.bias"] + rate)[:, None, None]
        return ((self.sums(name, x) * 16 + (bias << shift)) * scale + (1 << (shift + 3))) >> (shift + 4)

    def decode(self, hyper: bytes, latent: bytes, h: int, w: int) -> np.ndarray:
        """y (M, h, w) in 1/16 symbol."""
        t, config = self.t, self.model.config
        m, z_count = config["latents"], config["hyper_latents"]
        rows, columns = -(-h // 4), -(-w // 4)
        numbers = np.repeat(np.arange(z_count) + self.nearest * z_count, rows * columns).tolist()
        coder = RangeDecoder(hyper)
        z = np.array(coder.call(numbers, self.model.tables("hyper")), np.int64).reshape(z_count, rows, columns)
        coder.end()
        gains = [self.exp2(-g) for g in self.at_rate(t["hyper_gain"]).tolist()]
        z = 16 * np.clip(z, -64, 64) * np.array(gains)[:, None, None]
        features = self.hyper_synthesis(np.clip((z + (1 << 15)) >> 16, -127, 127))[:, :h, :w]

        gain = self.at_rate(t["gain"])
        up, down = (np.array([self.exp2(sign * g) for g in gain.tolist()]) for sign in (1, -1))
        y, v = np.zeros((2, m, h, w), np.int64)
        coder, tables = RangeDecoder(latent), self.model.tables("latent")
        for step in range(4):
            mean, index = self.context(step, features, v)
            places = [
                (c, 2 * row + p // 2, 2 * column + p % 2)
                for p in range(4)
                for c in range(p ^ FIRST[step], m, 4)
                for row in range(h // 2)
                for column in range(w // 2)
            ]
            at = tuple(np.array(places, np.int64).T)
            c = at[0]
            mu = (16 * mean[at] * up[c] + (1 << 24)) >> 25
            k = np.clip((index[at] + 6 * gain[c]) >> 8, 0, 63)
            x = np.zeros(len(places), np.int64)
            x[k > 0] = coder.call(k[k > 0].tolist(), tables)
            y[at] = 16 * x + mu
            v[at] = np.clip((y[at] * down[c] + (1 << 15)) >> 16, -127, 127)
        coder.end()
        return y

    def hyper_synthesis(self, u: np.ndarray) -> np.ndarray:
        def layer(name: str, x: np.ndarray, rate: np.ndarray | int = 0) -> np.ndarray:
            return self.layer(f"prior.hyper_synthesis.{name}", x, rate)

        t = positive(layer("stem", u, self.at_rate(self.t["prior.hyper_rate"])))
        t = shuffle(positive(layer("up1", signed(layer("spatial1", t)))), 2)
        t = shuffle(positive(layer("up2", signed(layer("spatial2", t)))), 2)
        return positive(layer("head", signed(layer("spatial3", t))) + t)

    def context(self, step: int, features: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and scale indices of all channels."""
        name = f"prior.steps.{step}"
        t = features if step == 0 else np.concatenate([features, v, np.abs(v)])
        t = positive(self.layer(f"{name}.head", t, self.at_rate(self.t["prior.step_rate"][step])))
        for block in range(self.model.config["context_blocks"]):
            inner = signed(self.layer(f"{name}.blocks.{block}.spatial", t))
            t = positive(self.layer(f"{name}.blocks.{block}.mix", inner) + t)
        m = self.model.config["latents"]
        out = self.layer(f"{name}.out", t, scale=np.repeat([32, 128], m)[:, None, None])
        return np.clip(out[:m], -16383, 16383), np.clip(out[m:], -32767, 32767)


def positive(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 127)


def signed(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -127, 127)


def shuffle(x: np.ndarray, size: int) -> np.ndarray:
    """`up` (size 2), `up8` and `up16` (size 8 and 16)."""
    channels, h, w = x.shape
    x = x.reshape(size, size, channels // size**2, h, w).transpose(2, 3, 0, 4, 1)
    return x.reshape(channels // size**2, h * size, w * size)


def decode_latents(data: bytes, model_data: bytes) -> np.ndarray:
    """The latents y of the image (M, H/16, W/16); raises FormatError."""
    model = Model(model_data)
    file = File(data, model.identity)
    check(2 not in file.sections, "no latents")
    group = Group(model, file.quality)
    y = np.zeros((model.config["latents"], *file.latent_size()), np.int64)
    for (rows, columns), streams in zip(file.tiles(), file.streams, strict=True):
        y[:, rows, columns] = group.decode(*streams, rows.stop - rows.start, columns.stop - columns.start)
    return y


def decode(data: bytes, model_data: bytes) -> np.ndarray:
    """Section 7: the image (H, W) or (H, W, 3), without alpha, which is returned by decode_alpha."""
    model = Model(model_data)
    file = File(data, model.identity)
    if 2 in file.sections:
        webp = file.sections[2]
        chunk = int.from_bytes(webp[16:20], "little")
        check(webp[:4] + webp[8:16] == b"RIFFWEBPVP8L", "one lossless chunk")
        check(int.from_bytes(webp[4:8], "little") + 8 == len(webp) == 20 + chunk + chunk % 2, "sizes of RIFF")
        check(webp[20] == 0x2F and webp[24] >> 4 == 0, "VP8L without alpha")
        pixels = np.asarray(Image.open(io.BytesIO(webp)), np.int64)
        check(pixels.shape == (file.height, file.width, 3), "pixels of another size")
        check(not file.gray or np.ptp(pixels, 2).max() == 0, "gray")
        return pixels[:, :, 0] if file.gray else pixels
    if 3 in file.sections:
        data, turn = (file.sections[3], 1) if file.version == 2 else (file.sections[3][1:], file.sections[3][0])
        check(1 <= turn <= 8, "orientation")
        check_jpeg(data, file)
        pixels = np.asarray(Image.open(io.BytesIO(data)), np.int64)
        # Rows and columns as EXIF says where the first of each belongs.
        if turn >= 5:
            pixels = pixels.swapaxes(0, 1)
        flips = {1: "", 2: "x", 3: "xy", 4: "y", 5: "", 6: "x", 7: "xy", 8: "y"}[turn]
        pixels = pixels[:: -1 if "y" in flips else 1, :: -1 if "x" in flips else 1]
        check(pixels.shape == (file.height, file.width) + (3,) * (not file.gray), "a JPEG of another size")
        return pixels
    group, tensors = Group(model, file.quality), model.tensors
    y = decode_latents(data, model_data)
    weight = group.f / 65536

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        return group.sums(f"synthesis.{name}", x) + tensors[f"synthesis.{name}.bias"][:, None, None]

    def leak(x: np.ndarray) -> np.ndarray:
        return np.where(x >= 0, x, x / 10)

    v_hat = y / 16 * 2.0 ** (-group.at_rate(tensors["gain"])[:, None, None] / 256)
    t = shuffle(layer("stem", v_hat), 2)
    table = tensors["synthesis.blocks.rate"]
    rates = table[group.a] * (1 - weight) + table[group.a + 1] * weight
    for i, rate in enumerate(rates):
        scale = 2 ** rate[:, None, None] / 10
        mix_in, spatial, mix_out, expand, contract = (f"blocks.layers.{i}.{name}" for name in FLOAT_LAYERS)
        t = t + scale * layer(mix_out, layer(spatial, leak(layer(mix_in, t))))
        t = t + scale * layer(contract, leak(layer(expand, t)))
    t = shuffle(layer("head", t), 8)
    if model.config.get("shortcut", False):
        t = t + shuffle(layer("shortcut", v_hat), 16)
    pixels = np.clip(np.rint(255 * t + 127.5), 0, 255).astype(np.int64)
    pixels = pixels[:, : file.height, : file.width]
    return (pixels.sum(0) + 1) // 3 if file.gray else pixels.transpose(1, 2, 0)


def check_jpeg(data: bytes, file: File) -> None:
    """Section 1: the segments of a plain JPEG, and that its last scan has all of its blocks."""
    check(data[:4] == b"\xff\xd8\xff\xe0" and data[4:11] == b"\0\x10JFIF\0" and data[18:20] == b"\0\0", "JFIF")
    at, frames, scans, tables, longer = 20, [], 0, set(), b""
    while True:
        check(data[at] == 0xFF, "marker")
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body, at = data[at + 4 : at + 2 + size], at + 2 + size
        check(marker in (0xDB, 0xC4, 0xC0, 0xDA) or (file.version == 3 and marker in (0xDD, 0xC2)), "segments")
        if marker == 0xDB:
            check(len(body) % 65 == 0 and max(body[::65]) < 4, "tables of 8 bits")
            tables |= set(body[::65])
        if marker in (0xC0, 0xC2):
            frames.append(body)
            check(body[0] == 8 and body[5] == (1 if file.gray else 3) and len(body) == 6 + 3 * body[5], "frame")
            check(list(body[6::3]) == list(range(1, body[5] + 1)), "components")
        if marker == 0xDA:
            scans += 1
            check(len(frames) == 1, "a frame before its scans")
            start = at
            while not (data[at] == 0xFF and data[at + 1] != 0 and not (0xD0 <= data[at + 1] <= 0xD7)):
                at += 1
            check(at > start and (file.version == 3 or b"\xff\xd0" not in data[start:at]), "a scan")
            longer += data[len(longer) - 80 * (scans - 1) : at] + b"\x5a\x33" * 40
            if data[at + 1] == 0xD9:
                break
    check(len(frames) == 1 and 1 <= scans <= (16 if file.version == 3 else 1), "one frame, its scans")
    check(set(frames[0][8::3]) <= tables, "tables of the components")
    check(at + 2 == len(data), "an end")
    # What is missing in a scan is shown by whatever stands in its place.
    images = [np.asarray(Image.open(io.BytesIO(whole))) for whole in (data, longer + data[at:])]
    check(np.array_equal(*images), "all blocks")


def decode_alpha(data: bytes, model_data: bytes) -> np.ndarray | None:
    """The alpha plane (H, W), if there is one."""
    file = File(data, Model(model_data).identity)
    if 132 in file.sections:
        return np.full((file.height, file.width), 255, np.uint8)
    return np.asarray(Image.open(io.BytesIO(file.sections[1]))) if 1 in file.sections else None
