"""Platforms with wheels of every run-time dependency, found by asking the package index for file names.

python benchmarks/studies/wheels.py --out docs/platforms.md
"""

from __future__ import annotations

import argparse
import json
import re
import urllib.request
from pathlib import Path

import tomllib
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

INDEX = "https://pypi.org/simple"
PLATFORMS = {
    "Linux x86-64": [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)] + ["manylinux2014_x86_64"],
    "Linux Arm": [f"manylinux_2_{minor}_aarch64" for minor in range(28, 16, -1)] + ["manylinux2014_aarch64"],
    "macOS Arm": [f"macosx_{major}_0_{arch}" for major in range(14, 10, -1) for arch in ("arm64", "universal2")],
    "macOS x86-64": [f"macosx_{major}_0_{arch}" for major in (14, 13, 12, 11) for arch in ("x86_64", "universal2")]
    + [f"macosx_10_{minor}_{arch}" for minor in range(16, 8, -1) for arch in ("x86_64", "universal2")],
    "Windows x86-64": ["win_amd64"],
    "Windows Arm": ["win_arm64"],
}
PYTHONS = ((3, 10), (3, 11), (3, 12), (3, 13), (3, 14))


def files(name: str) -> list[dict]:
    """All files of a project on the index (PEP 691)."""
    request = urllib.request.Request(f"{INDEX}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["files"]


def newest(requirement: Requirement, wheels: list[dict], platform: str, python: tuple[int, int]) -> str | None:
    """Newest version with a wheel for a platform and a Python."""
    platforms = PLATFORMS[platform]
    if platform.startswith("macOS"):
        platforms = [*platforms, "macosx_10_12_universal2", "macosx_10_9_universal2"]
    tags = {*cpython_tags(python, platforms=platforms), *compatible_tags(python, platforms=platforms)}
    versions = []
    for file in wheels:
        try:
            _, version, _, wheel_tags = parse_wheel_filename(file["filename"])
        except InvalidWheelFilename:
            continue
        if version in requirement.specifier and wheel_tags & tags and not file.get("yanked"):
            versions.append(version)
    return str(max(versions)) if versions else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(text) for text in project["dependencies"]]
    index = {requirement.name: files(requirement.name) for requirement in requirements}
    header = " | ".join(f"Python {major}.{minor}" for major, minor in PYTHONS)
    lines = [f"| | {header} |", "|---|" + "---|" * len(PYTHONS)]
    for platform in PLATFORMS:
        row = []
        for python in PYTHONS:
            found = {r.name: newest(r, index[r.name], platform, python) for r in requirements}
            missing = [name for name, version in found.items() if version is None]
            row.append("no " + ", ".join(missing) if missing else f"onnxruntime {found['onnxruntime']}")
        lines.append(f"| {platform} | {' | '.join(row)} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if arguments.out:
        text = arguments.out.read_text()
        arguments.out.write_text(re.sub(r"(?<=<!-- table -->\n).*?(?=<!-- end -->)", table, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
