"""Fetching an image set, from a local server."""

from __future__ import annotations

import http.server
import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pictures import generated_picture
from PIL import Image

from vaecodec.benchmarks import datasets
from vaecodec.errors import VaecodecError

KODAK = Path(__file__).parents[3] / "shared/data/kodak"


class Server(http.server.BaseHTTPRequestHandler):
    """Serves files with ranges; `broken` names one whose connection breaks half-way, once."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    broken: str | None = None
    ranges: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        if name not in self.files:
            self.send_error(404)
            return
        data, start = self.files[name], 0
        if wanted := self.headers.get("Range"):
            self.ranges.append(f"{name} {wanted}")
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if name == Server.broken:
            Server.broken = None
            self.wfile.write(data[start : len(data) // 2])
            return
        self.wfile.write(data[start:])

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    monkeypatch.setenv("VAECODEC_CACHE", str(tmp_path / "cache"))
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    monkeypatch.setenv("VAECODEC_KODAK_URL", f"http://127.0.0.1:{httpd.server_port}/set/")
    Server.files, Server.broken, Server.ranges = {}, None, []
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield Server
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def generated(server: type[Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """Three generated images in place of the 24."""
    for seed in range(3):
        buffer = io.BytesIO()
        Image.fromarray(generated_picture(170, 180, seed)).save(buffer, "PNG")
        server.files[f"kodim0{seed}.png"] = buffer.getvalue()
    listing = {name: datasets.pixels_hash(data) for name, data in server.files.items()}
    monkeypatch.setattr(datasets.json, "loads", lambda text: listing)
    return server.files


def test_images_are_fetched_once(server: type[Server], generated: dict[str, bytes]) -> None:
    shares: list[float] = []
    folder = datasets.kodak(shares.append)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == generated
    assert shares == [1 / 3, 2 / 3, 1]
    server.files = {}
    assert datasets.kodak() == folder


def test_a_damaged_image_of_the_cache_is_fetched_again(server: type[Server], generated: dict[str, bytes]) -> None:
    folder = datasets.kodak()
    right = (folder / "kodim01.png").read_bytes()
    for wrong in (right[: len(right) // 2], generated["kodim00.png"]):
        (folder / "kodim01.png").write_bytes(wrong)
        assert (datasets.kodak() / "kodim01.png").read_bytes() == right
    (folder / "kodim01.png").write_bytes(wrong)
    server.files = {}
    with pytest.raises(VaecodecError, match="Not Found"):
        datasets.kodak()


def test_an_interrupted_download_goes_on(server: type[Server], generated: dict[str, bytes]) -> None:
    server.broken = "kodim01.png"
    with pytest.raises(VaecodecError, match=r"kodim01\.png"):
        datasets.kodak()
    folder = datasets.kodak()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == generated
    assert server.ranges == [f"kodim01.png bytes={len(generated['kodim01.png']) // 2}-"]


def test_a_wrong_image_is_refused_and_not_kept(server: type[Server], generated: dict[str, bytes]) -> None:
    right = dict(generated)
    for wrong in (right["kodim00.png"], b"<html>moved</html>"):
        generated["kodim02.png"] = wrong
        with pytest.raises(VaecodecError, match="checksum"):
            datasets.kodak()
    generated["kodim02.png"] = right["kodim02.png"]
    assert len(list(datasets.kodak().iterdir())) == 3


def test_a_missing_file_and_no_network_are_one_clear_line(
    server: type[Server], generated: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del generated["kodim01.png"]
    with pytest.raises(VaecodecError, match="Not Found"):
        datasets.kodak()
    monkeypatch.setenv("VAECODEC_KODAK_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("VAECODEC_CACHE", str(tmp_path / "other"))
    run = subprocess.run(
        [sys.executable, "-m", "vaecodec", "benchmark", "--dataset", "kodak"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("vaecodec: cannot fetch http://127.0.0.1:9/kodim01.png")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.skipif(not KODAK.exists(), reason="Kodak's images are not here")
def test_kodak_itself(server: type[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server.files = {path.name: path.read_bytes() for path in KODAK.glob("*.png")}
    folder = datasets.kodak()
    assert len(list(folder.iterdir())) == 24
    assert np.asarray(Image.open(folder / "kodim05.png")).shape == (512, 768, 3)
