"""docs/vae.md: its example runs, what it points to is there, and its figures are small."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "vae.md").read_text()


def test_the_example_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    names: dict = {}
    exec(compile(block, "vae.md", "exec"), names)
    assert names["half"].shape == (64, 96, 3)
    assert 80 < names["half"].mean() < 120  # of black and 200


def test_what_the_table_names_stands_where_it_says() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("|") and ".py)" in row]
    assert len(rows) > 10
    for row in rows:
        for names, path in re.findall(r"((?:`[^`|]+`(?:, )?)+), \[[^\]]+\]\(([^)]+\.py)\)", row):
            text = (DOCS / path).read_text()
            for name in re.findall(r"`([^`]+)`", names):
                assert name.split(".")[-1] in text or name in text, (name, path)


def test_links_lead_somewhere() -> None:
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if not link.startswith("http")]
    assert len(links) > 15
    assert all((DOCS / link).exists() for link in links if link not in ("anomaly.md", "find.md", ""))


def test_figures_are_small() -> None:
    figures = re.findall(r"\]\((figures/[^)]+)\)", PAGE)
    assert len(figures) == 5
    assert sum((DOCS / figure).stat().st_size for figure in figures) < 300_000
