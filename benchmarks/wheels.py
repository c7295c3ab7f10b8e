"""Which platforms have wheels of every run-time dependency: asks the package index, installs nothing.

python benchmarks/wheels.py --out docs/platforms.md
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tomllib

PLATFORMS = {
    "Linux x86-64": ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "Linux Arm": [
        "manylinux_2_28_aarch64",
        "manylinux_2_27_aarch64",
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
    ],
    "macOS Arm": ["macosx_14_0_arm64", "macosx_13_0_arm64", "macosx_11_0_arm64", "macosx_10_12_universal2"],
    "macOS x86-64": ["macosx_13_0_x86_64", "macosx_11_0_x86_64", "macosx_10_12_x86_64", "macosx_10_9_x86_64"],
    "Windows x86-64": ["win_amd64"],
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def has_wheel(requirement: str, platform: str, python: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--no-deps"]
        command += ["--target", folder, "--only-binary=:all:", "--python-version", python]
        command += [part for tag in PLATFORMS[platform] for part in ("--platform", tag)]
        return subprocess.run([*command, requirement], capture_output=True).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    cells = [(platform, python) for platform in PLATFORMS for python in PYTHONS]
    missing: dict[tuple[str, str], list[str]] = {}
    with ThreadPoolExecutor(4) as pool:
        for requirement in project["dependencies"]:
            found = pool.map(lambda cell, wanted=requirement: has_wheel(wanted, *cell), cells)
            for cell, ok in zip(cells, found, strict=True):
                if not ok:
                    missing.setdefault(cell, []).append(requirement.split(">")[0])
    lines = [f"| | {' | '.join(PYTHONS)} |", "|---|" + "---|" * len(PYTHONS)]
    for platform in PLATFORMS:
        row = [", ".join(f"no {name}" for name in missing.get((platform, python), [])) or "yes" for python in PYTHONS]
        lines.append(f"| {platform} | {' | '.join(row)} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if arguments.out:
        text = arguments.out.read_text() if arguments.out.exists() else "<!-- table -->\n"
        head, _, rest = text.partition("<!-- table -->\n")
        tail = rest.partition("<!-- end -->\n")[2]
        arguments.out.write_text(f"{head}<!-- table -->\n{table}<!-- end -->\n{tail}")


if __name__ == "__main__":
    main()
