"""Files to files: Codec.encode_file and Codec.decode_file, which the command runs for a single file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vaecodec.errors import ImageError, naming
from vaecodec.picture import Saving, save_picture, to_picture
from vaecodec.picture.formats import can_write
from vaecodec.system.files import Source, input_limit
from vaecodec.system.output import check_output, write_whole

if TYPE_CHECKING:
    from vaecodec.codec.decoding import Decodes
    from vaecodec.codec.encoding import Encodes
    from vaecodec.coding.windows import Region
    from vaecodec.targets import Target
    from vaecodec.types import SourceLike

Output = str | os.PathLike[str]


def encode_file(
    codec: Encodes,
    source: SourceLike,
    output: Output,
    quality: float | None,
    target: Target | None,
    effort: int | None,
    overwrite: bool,
) -> list[str]:
    """See Codec.encode_file."""
    from vaecodec.targets import check_alone

    check_alone(quality, target)
    check_output(source, output, stream=True, overwrite=overwrite)
    with Source(source, input_limit(codec.max_pixels)) as opened, naming(opened.name):
        picture = to_picture(opened, codec.max_pixels)
        if target is None:
            data, notes = codec.encode_picture(picture, quality, effort=effort), []
        else:
            reached = codec.reach(picture, target, effort=effort)
            data, notes = reached.data, reached.notes
    write_whole(output, data, overwrite)
    return [*picture.notes, *notes]


def decode_file(
    codec: Decodes, source: SourceLike, output: Output, region: Region | None, saving: Saving, overwrite: bool
) -> list[str]:
    """See Codec.decode_file."""
    suffix = Path(output).suffix.lower()
    if not can_write(suffix):
        raise ImageError(f"cannot write {output}: images cannot be written with suffix {suffix!r}")
    check_output(source, output, stream=False, overwrite=overwrite)
    with Source(source) as opened, naming(opened.name):
        picture = codec.decode_picture(opened, region)
    data, notes = save_picture(picture, suffix, saving)
    write_whole(output, data, overwrite)
    return notes
