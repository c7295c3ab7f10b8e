"""What encoding and decoding share: the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaecodec.coding.session import Session
from vaecodec.model.file import ModelFile

if TYPE_CHECKING:
    pass


class Held:
    """session: the loaded models and nets; threads may share it."""

    session: Session

    @property
    def max_pixels(self) -> int:
        """The largest image, in pixels, that is encoded or decoded."""
        return self.session.settings.max_pixels

    @property
    def model(self) -> ModelFile:
        """The model that this codec encodes with.

        >>> codec.model.name
        'fast'
        """
        return self.session.model
