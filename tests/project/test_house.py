"""The rules that the folders keep: imports run down, files are small, the library knows no command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = (
    ("cli", "benchmarks", "__main__"),
    ("viewer",),
    ("ray", "datasets"),
    ("pillow", "folders", "features", "anomaly"),
    ("uses",),
    ("codec",),
    ("rate_control", "training"),
    ("coding",),
    ("nets",),
    ("sections",),
    ("model", "inspection"),
    ("picture",),
    ("bitstream",),
    ("system",),
    ("targets", "types", "errors"),
)
"""From the top down; a module imports from its own row or from below."""
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
TOP = {
    "anomaly",
    "__init__",
    "__main__",
    "datasets",
    "errors",
    "features",
    "folders",
    "inspection",
    "pillow",
    "ray",
    "targets",
    "types",
}
LONGEST = 300
MODULES = [path for folder in ("vaecodec", "cli", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]


def part(path: Path) -> str:
    """The folder, or the module at the top, that a file belongs to."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "vaecodec" else parts[0]


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Parts of vaecodec that a module imports when it runs, and where; what is there for types alone is no import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module] if node.module != "vaecodec" else [f"vaecodec.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        for name in names:
            if name.startswith("vaecodec.") and name.split(".")[1] in RANK:
                yield name.split(".")[1], node.lineno
        yield from imported(node)


@pytest.mark.parametrize("path", [p for p in MODULES if p != ROOT / "vaecodec/__init__.py"], ids=lambda p: p.stem)
def test_imports_run_down(path: Path) -> None:
    own = RANK[part(path)]
    for name, line in imported(ast.parse(path.read_text())):
        assert RANK[name] >= own, f"{path.relative_to(ROOT)}:{line} imports {name}, which stands above it"


def test_a_way_up_is_found() -> None:
    found = list(imported(ast.parse("if True:\n    from vaecodec.codec import Codec\nimport vaecodec.system.files")))
    assert found == [("codec", 2), ("system", 3)]


def test_the_top_holds_what_users_import() -> None:
    assert {path.stem for path in (ROOT / "vaecodec").glob("*.py")} == TOP


def test_files_are_small() -> None:
    files = [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    long = {str(p.relative_to(ROOT)): n for p in files if (n := len(p.read_text().splitlines())) > LONGEST}
    assert not long


def test_the_library_knows_no_command_line() -> None:
    """No flag in a string that somebody may read; docstrings are for those who read code."""
    for path in (ROOT / "vaecodec").rglob("*.py"):
        tree = ast.parse(path.read_text())
        spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
                assert not any(flag in node.value for flag in (" --", "(--", "use -f")), f"{path}: {node.value}"
