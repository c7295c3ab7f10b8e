"""Self-contained HTML pages with a slider between images, to judge a codec by eye."""

from vaecodec.viewer.pages import STYLE, escaped, table
from vaecodec.viewer.scenes import FIT, Scene, Side, viewer

__all__ = ["FIT", "STYLE", "Scene", "Side", "escaped", "table", "viewer"]
