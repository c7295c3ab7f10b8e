"""Pages of the web package in a real Chromium: servers of their own, and what pages are asked."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from make_golden import FOLDER, TINY

from vaecodec.codec import Codec
from vaecodec.inspection import inspect
from vaecodec.model.file import load_model
from vaecodec.viewer.offline import Enclosed, enclosed, offline_page

ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
KERNELS = ("simd", "relaxed")
BYTES = "const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));"
OPTIONS = "const options = {...await vaecodec.options, ...more};"
BASE64 = """const text = view => { let s = "";
const all = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
for (let i = 0; i < all.length; i += 8192) s += String.fromCharCode(...all.subarray(i, i + 8192)); return btoa(s); };"""


class _Quiet(SimpleHTTPRequestHandler):
    headers_sent: dict[str, str]

    def __init__(self, *arguments: Any, sent: dict[str, str], **options: Any) -> None:
        self.headers_sent = sent
        super().__init__(*arguments, **options)

    def end_headers(self) -> None:
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def served(folder: Path, headers: dict[str, str] | None = None) -> Iterator[str]:
    """The address of a server of the files in a folder."""
    handler = partial(_Quiet, directory=str(folder), sent=headers or {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def opened(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """A page; an error on its console, and a request that leaves its origin, fail the test."""
    page = browser.new_page(**({"viewport": {"width": 1200, "height": 800}} | options))
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    yield page
    assert problems == []
    origin = address if address.startswith("file:") else "/".join(address.split("/")[:3])
    assert [url for url in requests if not url.startswith(("data:", "blob:", origin))] == []
    page.close()


def page_of(files: Sequence[Path], target: Path) -> str:
    """Write the page with files, tiny ones among them; its address."""
    found: list[Enclosed] = [enclosed(file, file.name) for file in files]
    target.write_text(offline_page(found, load_model(TINY)), "utf-8")
    return target.as_uri()


def golden(name: str) -> Path:
    return FOLDER / f"{name}.vaec"


def settled(page: Any) -> None:
    """Wait until a picture is there and nothing is being done."""
    page.wait_for_selector("#first[src]", timeout=60_000)
    page.wait_for_selector("#busy", state="hidden", timeout=60_000)
    page.wait_for_selector("#png:not([disabled])", timeout=60_000)


def hash_in(page: Any, data: bytes, **more: Any) -> str:
    """SHA-256 of the latents of a file as the page decodes them."""
    return page.evaluate(
        f"""async ([data, more]) => {{ {BYTES} {OPTIONS}
        const {{values}} = await vaecodec.latents(bytes, options);
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", values.buffer));
        return [...hash].map(byte => byte.toString(16).padStart(2, "0")).join(""); }}""",
        [base64.b64encode(data).decode(), more],
    )


def pixels_in(page: Any, data: bytes, **more: Any) -> np.ndarray:
    """(H, W, 4) of a file as the page decodes it."""
    found = page.evaluate(
        f"""async ([data, more]) => {{ {BYTES} {OPTIONS} {BASE64}
        const {{width, height, rgba}} = await vaecodec.decode(bytes, options);
        return [width, height, text(rgba)]; }}""",
        [base64.b64encode(data).decode(), more],
    )
    return np.frombuffer(base64.b64decode(found[2]), np.uint8).reshape(found[1], found[0], 4)


def encoded_in(page: Any, rgba: np.ndarray, quality: float) -> bytes:
    """The .vaec file that the page makes of pixels (H, W, 4)."""
    more = {"quality": quality}
    found = page.evaluate(
        f"""async ([data, more, width, height]) => {{ {BYTES} {OPTIONS} {BASE64}
        return text(await vaecodec.encode({{width, height, rgba: bytes}}, options)); }}""",
        [base64.b64encode(rgba.tobytes()).decode(), more, rgba.shape[1], rgba.shape[0]],
    )
    return base64.b64decode(found)


def pixels_here(data: bytes) -> np.ndarray:
    """(H, W, 4) of a file as Python decodes it."""
    tiny = inspect(data)["model_identity"] == load_model(TINY).identity.hex()
    return np.asarray(Codec(TINY if tiny else None).decode(data).convert("RGBA"))
