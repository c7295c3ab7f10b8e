"""Mutants of model files: headers, configurations, tensors, lengths.

    python tests/tools/fuzz_models.py --executions 20000 [--seed 0]

Whatever a mutant is, it must be refused with a ModelError, soon and within bounded memory, or be a model that codes.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

EXTREMES = (0, 1, -1, 2, 255, 4096, 4097, 1 << 31, 1 << 63, -5, 0.5, 1e400, "x", None, [], {}, True)


def mutant(data: bytes, random: np.random.Generator) -> bytes:
    """A changed copy of a model file, most with a header that still fits its tensors."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    kind = random.integers(7)
    if kind == 0:  # bytes of a tensor
        entries = [value for key, value in header.items() if key != "__metadata__"]
        first, last = entries[random.integers(len(entries))]["data_offsets"]
        for _ in range(random.integers(1, 4)):
            at = int(random.integers(first, last))
            body[at] = random.choice([0, 1, 0x7C, 0x7F, 0x80, 0xFF, random.integers(256)])
    elif kind == 1:  # a value of the configuration
        config = json.loads(header["__metadata__"]["config"])
        name = list(config)[random.integers(len(config))]
        config[name] = EXTREMES[random.integers(len(EXTREMES))]
        header["__metadata__"]["config"] = json.dumps(config)
    elif kind == 2:  # an entry of the header
        name = list(header)[random.integers(len(header))]
        if random.random() < 0.3:
            del header[name]
        elif name != "__metadata__":
            field = list(header[name])[random.integers(3)]
            values = ("F32", "I8", "F64", "BF16", [1], [0], [-1, 5], [0, 1 << 40], [[]], None)
            header[name][field] = values[random.integers(len(values))]
    elif kind == 3:  # what is said of the file
        key = random.choice(["format", "config", "identity", "bpp_range", "more"])
        header["__metadata__"][key] = random.choice(["", "{}", "[" * 2000, "nan inf", "ff" * 32, "\x00", "é" * 50])
    text = json.dumps(header).encode()
    out = bytearray(len(text).to_bytes(8, "little") + text + body)
    if kind == 4:  # any byte of the header
        for _ in range(random.integers(1, 5)):
            out[random.integers(8 + len(text))] ^= 1 << random.integers(8)
    elif kind == 5:
        del out[random.integers(len(out)) :]
    elif kind == 6:
        at = random.integers(len(out))
        out[at:at] = random.bytes(int(random.integers(1, 40)))
    return bytes(out)


def main() -> None:
    from make_golden import TINY

    import vaecodec
    from vaecodec.model.file import read_model

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data, outcomes, slowest = TINY.read_bytes(), Counter[str](), 0.0
    picture = np.full((40, 40, 3), 90, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mutant.safetensors")
        for seed in range(arguments.seed, arguments.seed + arguments.executions):
            path.write_bytes(mutant(data, np.random.default_rng(seed)))
            started = time.process_time()
            try:
                read_model(path)
                outcome = "read"
                if seed % 20 == 0:
                    codec = vaecodec.Codec(path, threads=1)
                    codec.decode(codec.encode(picture, 90))
                    outcome = "coded"
            except vaecodec.VaecodecError as error:
                outcome = type(error).__name__
            outcomes[outcome] += 1
            slowest = max(slowest, time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{arguments.executions} mutants: {dict(outcomes)}; slowest {slowest:.2f} s; peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
