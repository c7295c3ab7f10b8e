"""Parts of pages: their style, text and tables."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib import resources


def resource(name: str) -> str:
    """The text of a file beside this one."""
    return (resources.files("vaecodec.viewer") / name).read_text("utf-8")


STYLE = resource("page.css")


def escaped(value: object) -> str:
    """Any text, escaped for HTML."""
    # File names may contain lone surrogates, which no text may.
    return html.escape(str(value).encode("utf-8", "replace").decode())


def table(caption: str, head: Sequence[str], rows: Iterable[tuple[bool, Sequence[str]]]) -> str:
    """An HTML table. Cells are HTML; a row may be marked as ours."""
    lines = "".join(
        ('<tr class="ours">' if ours else "<tr>") + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for ours, cells in rows
    )
    heads = "".join(f"<th>{cell}</th>" for cell in head)
    content = f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="wide" tabindex="0">{content}</div>'  # it scrolls, by keyboard as well
