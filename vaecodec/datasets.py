"""Training data from .vaec files: a torch Dataset that decodes only the crop it needs, and a webdataset decoder.

dataset = VaecDataset("archive/", crop=256)           # random crops, (3, 256, 256) uint8 tensors
webdataset.WebDataset("shards-{000..099}.tar").decode(webdataset_decoder())
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vaecodec.bitstream.container import read_container
from vaecodec.codec import Codec, Kind
from vaecodec.errors import ImageError, missing_package
from vaecodec.picture import to_tensor
from vaecodec.system.files import Source
from vaecodec.system.listing import list_folder
from vaecodec.system.naming import SUFFIX
from vaecodec.system.storage import place

try:
    import torch
    from torch import Tensor
    from torch.utils.data import Dataset
except ImportError as missing:
    raise missing_package("vaecodec.datasets", "torch") from missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from typing_extensions import Unpack

    from vaecodec.types import CodecOptions


class VaecDataset(Dataset):
    """The .vaec files of a folder or URL (or of a list of paths or URLs) as uint8 tensors (3, H, W), without alpha.

    crop: side of a random square crop; only the tiles that it touches are read and decoded, and smaller pictures are
    mirrored. transform: applied to each tensor. codec: arguments of Codec; each worker process of a DataLoader makes
    its own. Crops are drawn with Python's `random`, which DataLoader seeds in each worker.

    >>> from vaecodec.datasets import VaecDataset
    >>> VaecDataset(["photo.vaec"], crop=32)[0].shape
    torch.Size([3, 32, 32])
    """

    def __init__(
        self,
        source: str | Path | Sequence[str | Path],
        crop: int | None = None,
        transform: Callable[[Tensor], object] | None = None,
        **codec: Unpack[CodecOptions],
    ) -> None:
        if isinstance(source, str | Path):
            names = [name for name in list_folder(source).files if name.lower().endswith(SUFFIX)]
            self.paths = [str(place(source, name)) for name in names]
        else:
            self.paths = [str(path) for path in source]
        if not self.paths:
            raise ImageError(f"no {SUFFIX} files in {source}")
        self.crop, self.transform = crop, transform
        codec.setdefault("threads", 1)
        self.codec = Codec(**codec)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> object:
        with Source(self.paths[index]) as source:
            region = self._region(source) if self.crop else None
            tensor = to_tensor(self.codec.decode_picture(source, region))
        tensor = tensor[:3] if tensor.shape[0] >= 3 else tensor[:1].expand(3, -1, -1)
        if self.crop:
            tensor = _mirrored(tensor, self.crop)
        return self.transform(tensor) if self.transform else tensor

    def _region(self, source: Source) -> tuple[int, int, int, int]:
        assert self.crop is not None
        header = read_container(source, self.codec.max_pixels).header
        width, height = min(self.crop, header.width), min(self.crop, header.height)
        return random.randint(0, header.width - width), random.randint(0, header.height - height), width, height


def _mirrored(tensor: Tensor, side: int) -> Tensor:
    """Enlarge (C, H, W) to at least `side` by mirroring at the right and bottom edges, repeatedly if necessary."""
    while max(missing := (side - tensor.shape[1], side - tensor.shape[2])) > 0:
        down, right = (min(max(m, 0), size) for m, size in zip(missing, tensor.shape[1:], strict=True))
        flipped = torch.cat([tensor, tensor.flip(1)[:, :down]], 1)
        tensor = torch.cat([flipped, flipped.flip(2)[:, :, :right]], 2)
    return tensor


def webdataset_decoder(
    kind: Kind = "torch", **codec: Unpack[CodecOptions]
) -> Callable[[str, bytes], torch.Tensor | NDArray[np.uint8] | Image.Image | None]:
    """A handler for WebDataset.decode: .vaec entries become tensors (C, H, W) ("torch"), arrays (H, W, C) ("numpy")
    or PIL images ("pil"); everything else is left to other handlers. codec: arguments of Codec. Raises
    MissingPackageError without webdataset.

    >>> from vaecodec.datasets import webdataset_decoder
    >>> webdataset_decoder("numpy")("0001.vaec", data).shape
    (64, 96, 3)
    """
    if importlib.util.find_spec("webdataset") is None:
        raise missing_package("reading tar shards", "webdataset")
    codec.setdefault("threads", 1)
    decode = Codec(**codec).decoder(kind)

    def handler(key: str, data: bytes) -> torch.Tensor | NDArray[np.uint8] | Image.Image | None:
        return decode(data) if key.lower().endswith(SUFFIX) else None

    return handler
