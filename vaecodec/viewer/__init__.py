"""Pages of HTML that need nothing else, with a slider between images: people judge a codec with their eyes."""

from vaecodec.viewer.pages import STYLE, escaped, table
from vaecodec.viewer.scenes import FIT, Scene, Side, viewer

__all__ = ["FIT", "STYLE", "Scene", "Side", "escaped", "table", "viewer"]
