"""Pillow plugin: after `import vaecodec.pillow`, Image.open reads .vaec files and Image.save writes them.

    import vaecodec.pillow
    from PIL import Image

    Image.open("photo.png").save("photo.vaec", quality=50)
    Image.open("photo.vaec").thumbnail((200, 200))

Opening reads only the header: size, mode and info are available at once, and pixels are decoded on demand. A thumbnail
of an eighth of the size or less comes from the quick preview.

Save options: quality (1 to 100; default: the model's own) or target (such as vaecodec.Size("100kB")), effort (1 to 9,
default 1), model (name or path) or tune ("eye", "psnr", "ms-ssim"), exif, icc_profile, xmp (default: those of the
image; None: without), metadata ("all", "icc" or "none"; without EXIF, which holds the orientation, pixels are turned
upright). As everywhere in Pillow, pixels are otherwise stored as they are and EXIF holds their orientation. Pillow
itself opens the output: `save` empties an existing file of any kind before a plugin is called.
"""

from __future__ import annotations

import io
from typing import IO, Any

from PIL import ExifTags, Image, ImageFile, ImageOps

from vaecodec.bitstream.container import Container, inflate, read_container
from vaecodec.codec import Codec, shared_codec
from vaecodec.coding.session import Settings
from vaecodec.errors import VaecodecError
from vaecodec.picture import to_picture, to_pil
from vaecodec.picture.metadata import EXIF_TAGS, exif_of, xmp_of
from vaecodec.sections.payloads import METADATA
from vaecodec.system.files import Source
from vaecodec.system.naming import MAGIC
from vaecodec.targets import check_alone

FORMAT, MIME, EXTENSION = "VAEC", "image/x-vaec", ".vaec"
PREVIEW = 8
_INFO_NAME = {"icc": "icc_profile"}
# Pillow has its own limit on pixels (Image.MAX_IMAGE_PIXELS), which it checks when it opens a file.
_UNLIMITED = 1 << 62


def _codec(
    model: Any = None, effort: int = 1, keep_hidden: bool = False, tune: str | None = None, metadata: str = "all"
) -> Codec:
    how: dict[str, Any] = {"effort": effort, "keep_hidden": bool(keep_hidden), "tune": tune, "metadata": metadata}
    return shared_codec(Settings(model, max_pixels=_UNLIMITED, **how))


class VaecImageFile(ImageFile.ImageFile):
    """A .vaec file opened by Pillow."""

    format = FORMAT
    format_description = "vaecodec image"
    _source: Source
    _container: Container
    _preview = False

    def _open(self) -> None:
        assert self.fp is not None
        try:
            self._source = Source(self.fp)
            self._container = read_container(self._source, _UNLIMITED)
            header, sections = self._container.header, self._container.sections
            self._size = (header.width, header.height)
            self._mode = ("L" if header.gray else "RGB") + ("A" if self._container.has_alpha else "")
            for kind, name in METADATA:
                if kind in sections:
                    self.info[_INFO_NAME.get(name, name)] = inflate(self._container.section(kind))
        except VaecodecError as error:
            raise SyntaxError(str(error)) from error
        self.tile = self._tiles()

    def _tiles(self) -> list[Any]:
        """One "tile" of raw pixels, which load() decodes; a plain tuple, which old and new Pillows accept."""
        return [("raw", (0, 0, *self._size), 0, self._mode)]

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode the preview instead, if it is at least as large as `size`."""
        small = -(-self.size[0] // PREVIEW), -(-self.size[1] // PREVIEW)
        if not self.tile or self._preview or size is None or small[0] < size[0] or small[1] < size[1]:
            return None
        box = (0, 0, self.size[0] / PREVIEW, self.size[1] / PREVIEW)
        self._preview, self._size = True, small
        self.tile = self._tiles()
        return self.mode, box

    def verify(self) -> None:
        """Check all checksums; raises OSError if one fails."""
        if self.fp is None:
            raise RuntimeError("verify must be called directly after open")
        try:
            for kind in self._container.sections:
                self._container.section(kind)
            for index in range(len(self._container.groups)):
                self._container.group(index)
        except VaecodecError as error:
            raise OSError(str(error)) from error
        super().verify()

    def load(self) -> Any:
        if self.tile and self.fp is None:
            raise OSError("cannot load this image: it was verified or closed; open it again")
        if self.tile:
            try:
                picture = (
                    _codec().preview_picture(self._source) if self._preview else _codec().decode_picture(self._source)
                )
            except VaecodecError as error:
                raise OSError(str(error)) from error
            if self._exclusive_fp and self.fp is not None:
                self.fp.close()
            self.fp = io.BytesIO(to_pil(picture).tobytes())
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Does nothing: only the pixels are left to read."""


def _block(options: dict[str, Any], name: str, default: Any) -> bytes | None:
    """A metadata block from the options of save, or `default`; raises ValueError for anything else."""
    value = options.get(name, default)
    if isinstance(value, Image.Exif):
        value = value.tobytes()
    if isinstance(value, str) and name == "xmp":
        value = value.encode()
    if value is not None and not isinstance(value, bytes | bytearray):
        raise ValueError(f"{name} must be bytes, not {type(value).__name__}")
    return None if value is None else bytes(value)


def _save(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    options = image.encoderinfo
    metadata = options.get("metadata", "all")
    if metadata != "all":
        image = ImageOps.exif_transpose(image)
    bare = image.copy()
    bare.info = {key: image.info[key] for key in ("transparency",) if key in image.info}
    try:
        picture = to_picture(bare, _UNLIMITED)
        # Pillow has already turned a TIFF and removed its orientation; in other formats it must stay.
        picture.exif = _block(options, "exif", exif_of(image, EXIF_TAGS | {ExifTags.Base.Orientation}))
        picture.icc = _block(options, "icc_profile", image.info.get("icc_profile"))
        picture.xmp = _block(options, "xmp", xmp_of(image))
        keep_hidden = options.get("keep_hidden", False)
        codec = _codec(options.get("model"), options.get("effort", 1), keep_hidden, options.get("tune"), metadata)
        quality, target = options.get("quality"), options.get("target")
        check_alone(quality, target)
        fp.write(codec.encode_picture(picture, quality) if target is None else codec.reach(picture, target).data)
    except VaecodecError as error:
        raise OSError(str(error)) from error


def _save_all(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    raise OSError("a .vaec file holds one image: save_all is not supported")


def register() -> None:
    """Register the format with Pillow; importing this module has already done so."""
    Image.register_open(FORMAT, VaecImageFile, lambda prefix: prefix.startswith(MAGIC))
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME)


register()
