"""The half of Codec that encodes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from vaecodec.codec.files import encode_file
from vaecodec.coding.batch import in_chunks, in_passes
from vaecodec.model.rate import quality_units
from vaecodec.picture import Picture, to_picture
from vaecodec.system.parallel import Progress, Workers

if TYPE_CHECKING:
    from vaecodec.rate_control.reach import Reached
    from vaecodec.targets import Target
    from vaecodec.types import ImageLike, SourceLike

from vaecodec.codec.held import Held


class Encodes(Held):
    """Images -> .vaec files."""

    def encode(
        self, image: ImageLike, quality: float | None = None, target: Target | None = None, *, effort: int | None = None
    ) -> bytes:
        """Encode an image to the bytes of a .vaec file.

        image: PIL image, numpy array (H, W[, C]) uint8, torch tensor ([C,] H, W), path or bytes of an image file.
        quality: 1 (smallest) to 100 (best), fractions allowed; None: the model's own default, a SSIMULACRA 2 of about
        70 on photographs. target: instead of a quality, a size or a likeness to reach, such as Size("100kB") or
        Psnr(38), see vaecodec.targets. effort: 1 to 9, None: the codec's own. Raises VaecodecError, and its subclass
        TargetError if the target is out of reach.

        >>> small, large = codec.encode(image, 10), codec.encode(image, 90, effort=2)
        >>> len(small) < len(large)
        True
        >>> within = codec.encode(image, target=vaecodec.Bpp(2.5))
        """
        from vaecodec.targets import check_alone

        check_alone(quality, target)
        picture = to_picture(image, self.max_pixels)
        if target is not None:
            return self.reach(picture, target, effort=effort).data
        return self.encode_picture(picture, quality, effort=effort)

    def encode_file(
        self,
        source: SourceLike,
        output: str | os.PathLike[str],
        quality: float | None = None,
        target: Target | None = None,
        *,
        effort: int | None = None,
        overwrite: bool = False,
    ) -> list[str]:
        """Encode an image file to a .vaec file at `output` (path or URL), which appears whole or not at all; see
        encode.

        overwrite: replace an existing .vaec file or an empty file; other files are never replaced. Returns notes, one
        line each, on what had to be converted or left out. Raises VaecodecError.

        >>> codec.encode_file("photo.png", "new.vaec", 50)
        []
        >>> codec.encode_file("photo.png", "new.vaec", 50)
        Traceback (most recent call last):
        vaecodec.errors.VaecodecError: new.vaec exists already
        >>> codec.encode_file("photo.png", "new.vaec", target=vaecodec.Psnr(30), overwrite=True)
        []
        """
        return encode_file(self, source, output, quality, target, effort, overwrite)

    def encode_picture(
        self,
        picture: Picture,
        quality: float | None = None,
        progress: Progress | None = None,
        effort: int | None = None,
    ) -> bytes:
        (data,) = self.encode_pictures([picture], quality, progress, effort)
        return data

    def encode_pictures(
        self,
        pictures: Sequence[Picture],
        quality: float | None = None,
        progress: Progress | None = None,
        effort: int | None = None,
    ) -> list[bytes]:
        """Encode pictures of equal size in one pass through the nets."""
        return self._encoded(pictures, quality, self.session.workers, progress, effort)

    def _encoded(
        self,
        pictures: Sequence[Picture],
        quality: float | None,
        workers: Workers,
        progress: Progress | None,
        effort: int | None,
    ) -> list[bytes]:
        from vaecodec.coding.encoder import Encoding  # decoding does not pay for it
        from vaecodec.rate_control.promise import files, looked_at

        encoding = Encoding(pictures, self.session, workers, effort)
        units = quality_units(self.model.default_quality if quality is None else quality)
        return files(encoding, encoding.code(units, progress, again=looked_at(encoding, units)))

    def reach(
        self, picture: Picture, target: Target, progress: Progress | None = None, effort: int | None = None
    ) -> Reached:
        """The file that meets a target, and how it was reached. Raises TargetError if no file does and the target does
        not accept the nearest, VaecodecError for an invalid target."""
        from vaecodec.coding.encoder import Encoding
        from vaecodec.rate_control.reach import reach

        return reach(Encoding([picture], self.session, self.session.workers, effort), target, progress)

    def encode_batch(
        self,
        images: Iterable[ImageLike],
        quality: float | None = None,
        target: Target | None = None,
        *,
        effort: int | None = None,
    ) -> list[bytes]:
        """Encode many images, or a tensor (B, C, H, W) or array (B, H, W, C) of them. Images of equal size share passes
        through the nets, which run in parallel on all cores. A target applies to each image, which is then encoded
        alone.

        A few latents may be rounded differently than by `encode`, as on another machine.

        >>> first, second = codec.encode_batch([image, "photo.png"], quality=40)
        """
        from vaecodec.targets import check_alone

        check_alone(quality, target)
        session = self.session
        # Refinement itself takes all cores.
        workers = session.workers if session.refiner(effort) else session.lane
        if target is not None:
            from vaecodec.coding.encoder import Encoding
            from vaecodec.rate_control.reach import reach

            def reached(image: ImageLike) -> bytes:
                encoding = Encoding([to_picture(image, self.max_pixels)], session, workers, effort)
                return reach(encoding, target).data

            return list(session.workers.map(reached, images))

        def work(pictures: list[Picture]) -> list[bytes]:
            return self._encoded(pictures, quality, workers, None, effort)

        def encode(chunk: Sequence[ImageLike]) -> list[bytes]:
            pictures = (to_picture(image, self.max_pixels) for image in chunk)
            return in_passes(pictures, lambda p: (p.width, p.height), work, session.workers)

        return in_chunks(images, encode, session.workers)
