"""Images as people have them <-> Picture: upright 8-bit RGB, alpha, and the metadata that goes with them."""

from vaecodec.picture.picture import IMAGE_SUFFIXES, SIXTEEN_BITS, Picture, check_pixels
from vaecodec.picture.reading import to_picture
from vaecodec.picture.writing import Saving, save_image, save_picture, to_array, to_pil, to_tensor

__all__ = [
    "IMAGE_SUFFIXES",
    "SIXTEEN_BITS",
    "Picture",
    "Saving",
    "check_pixels",
    "save_image",
    "save_picture",
    "to_array",
    "to_picture",
    "to_pil",
    "to_tensor",
]
