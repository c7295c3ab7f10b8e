"""python -m vaecodec"""

from vaecodec.cli import run

run()
