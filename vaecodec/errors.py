"""One small hierarchy: everything the library raises on purpose is a VaecodecError."""


class VaecodecError(Exception):
    """Base class; the message is one line that can be shown to a user."""


class ImageError(VaecodecError):
    """The input is not an image, or not one that can be coded (zero size, too many pixels)."""


class FormatError(VaecodecError):
    """The input is not a vaecodec stream, is damaged, or was written by a newer version."""


class ModelError(VaecodecError):
    """A model is unknown, unreadable, or not the one that a stream was written with."""


class BackendError(VaecodecError):
    """The chosen backend or device is missing, or does not compute exactly."""
