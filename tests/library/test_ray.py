"""Ray: data sets on a real cluster of two nodes on this machine; workers and nodes die, nothing is lost."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from make_golden import TINY
from pictures import generated_picture
from PIL import Image

import vaecodec

# Before ray reads them: nothing is reported to anybody.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from ray.cluster_utils import Cluster  # noqa: E402

from vaecodec.ray import Decoder, Encoder, decode_dataset, encode_dataset  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
MODEL = str(TINY)
NODE = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    def pictures_that_kill() -> None:
        """In every worker: an image that begins with DEADLY ends it, like one that takes too much memory."""

        class Panic(BaseException):
            """As libraries in Rust raise it."""

        def raise_(error: BaseException) -> None:
            raise error

        for name, act in {
            "DEADLY": lambda *_: os.kill(os.getpid(), 9),
            "PANICS": lambda *_: raise_(Panic("at the disco")),
            "RAISES": lambda *_: raise_(KeyError("odd")),
            "EXITS": lambda *_: os._exit(3),
        }.items():
            Image.register_open(name, act, lambda prefix, name=name: prefix.startswith(name.encode()))

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    cluster.add_node(**NODE)
    setup = {"worker_process_setup_hook": pictures_that_kill}
    ray.init(address=cluster.address, log_to_driver=False, runtime_env=setup)
    assert ray.cluster_resources()["CPU"] == len(ray.nodes()) == 2
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def make_pictures(root: Path, count: int) -> Path:
    for i in range(count):
        path = root / f"{i % 3}/{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generated_picture(300, 400, i)).save(path, compress_level=1)
    return root


def check_whole(root: Path, out: Path, quality: float) -> None:
    """Every image has its output, byte for byte what one machine makes of it, and there is nothing else."""
    codec = vaecodec.Codec(MODEL, threads=1)
    expected = {Path(f"{path.relative_to(root)}.vaec"): codec.encode(path, quality) for path in root.rglob("*.png")}
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == expected


def test_like_on_one_machine(cluster: Cluster, tmp_path: Path) -> None:
    root, out, back = make_pictures(tmp_path / "in", 12), tmp_path / "out", tmp_path / "back"
    (out / "0").mkdir(parents=True)
    (out / "0/000.png.vaec").write_bytes(b"VAEC, half of a fi")  # not resumed: written anew
    (out / "0/.000.png.vaec.0123abcd.partial").write_bytes(b"of a killed process")
    (out / "0/.other.vaec.0123abcd.partial").write_bytes(b"of a process that is none of ours")
    entries = encode_dataset(root, out, 40, block=3, resume=False, model=MODEL).take_all()
    (out / "0/.other.vaec.0123abcd.partial").unlink()
    check_whole(root, out, 40)
    assert sorted(entry["source"] for entry in entries) == sorted(map(str, root.rglob("*.png")))
    for entry in entries:
        size = Path(entry["target"]).stat().st_size
        assert entry["bytes_out"] == size
        assert entry["bytes_in"] == Path(entry["source"]).stat().st_size
        assert (entry["width"], entry["height"], entry["bpp"]) == (400, 300, round(size * 8 / 120000, 4))
        assert entry["error"] is None
    decoded = decode_dataset(out, back, block=5, model=MODEL).take_all()
    assert len(decoded) == 12
    codec = vaecodec.Codec(MODEL)
    for entry in decoded:
        assert np.array_equal(Image.open(entry["target"]), codec.decode_array(entry["source"]))


def test_bad_images_are_listed_and_done_ones_left_out(cluster: Cluster, tmp_path: Path) -> None:
    root, out = make_pictures(tmp_path / "in", 6), tmp_path / "out"
    (root / "bad.png").write_bytes(b"\x89PNG no")
    first = encode_dataset(root, out, 40, block=2, model=MODEL)
    assert first.count() == 7
    done = out / "1/001.png.vaec"
    done.write_bytes(b"mine")
    (out / "2/002.png.vaec").unlink()
    again = {Path(entry["source"]).name: entry for entry in encode_dataset(root, out, 40, model=MODEL).take_all()}
    assert set(again) == {"bad.png", "002.png"}
    assert again["bad.png"]["error"] == "the input is not an image that Pillow can read"
    assert again["bad.png"]["width"] is None
    assert again["002.png"]["error"] is None
    assert done.read_bytes() == b"mine"
    (root / "bad.png").unlink()
    assert encode_dataset(root, out, 40, model=MODEL).count() == 0
    # Without resume, what is ours is written anew, but nothing of others.
    anew = {
        Path(entry["source"]).name: entry
        for entry in encode_dataset(root, out, 40, resume=False, model=MODEL).take_all()
    }
    assert {name for name, entry in anew.items() if entry["error"]} == {"001.png"}
    assert "is no .vaec file: it is never overwritten" in anew["001.png"]["error"]
    assert done.read_bytes() == b"mine"


def test_whatever_a_file_does_the_others_are_done(cluster: Cluster, tmp_path: Path) -> None:
    """Names that are no text, exceptions of any class, notes, links, hidden ones."""
    root, out = make_pictures(tmp_path / "in", 3), tmp_path / "out"
    (root / "rust.png").write_bytes(b"PANICS")
    (root / "odd.png").write_bytes(b"RAISES")
    (root / "exits.png").write_bytes(b"EXITS")  # behind another one in its block, which is done again and again
    (root / ".git").mkdir()
    (root / ".git/x.png").write_bytes(b"not looked at")
    (root / "broken.png").symlink_to("nothing.png")
    shutil.copy(root / "0/000.png", os.fsencode(root) + b"/no\xfftext.png")
    frames = [Image.fromarray(generated_picture(30, 40, seed)) for seed in range(2)]
    frames[0].save(root / "two.gif", save_all=True, append_images=frames[1:])
    entries = {Path(e["source"]).name: e for e in encode_dataset(root, out, 40, block=2, model=MODEL).take_all()}
    errors = {name: entry["error"] for name, entry in entries.items() if entry["error"]}
    assert errors == {
        "rust.png": "unexpected Panic: at the disco",
        "odd.png": "the input is a damaged image: 'odd'",
        "exits.png": "3 workers died on it (out of memory?)",
        "no\\udcfftext.png": "its name is no text",
    }
    assert entries["two.gif"]["notes"] == ["only the first frame is kept"]
    assert len(list(out.rglob("*.vaec"))) == 4
    with pytest.raises(vaecodec.VaecodecError, match="no images in"):
        encode_dataset(tmp_path / "none", out, 40, model=MODEL)


def workers() -> list[int]:
    """Process numbers of the actors of our cluster: descendants of this process by the name that Ray gives them."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # has ended meanwhile

    def ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and ours(parents[pid]))

    return [pid for pid, name in names.items() if name.startswith(b"ray::MapWorker") and ours(pid)]


class Disaster(threading.Thread):
    """Strikes as soon as each of these numbers of outputs is there; `left` says how many images were not yet done."""

    def __init__(self, out: Path, total: int, moments: list[int], strike: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.out, self.total, self.moments, self.strike = out, total, moments, strike
        self.left: list[int] = []

    def run(self) -> None:
        for moment in self.moments:
            while (done := len(list(self.out.rglob("*.vaec")))) < moment:
                time.sleep(0.01)
            self.strike()
            self.left.append(self.total - done)


def test_killed_workers_lose_nothing(cluster: Cluster, tmp_path: Path) -> None:
    root, out = make_pictures(tmp_path / "in", 60), tmp_path / "out"
    killed = []

    def kill() -> None:
        killed.append(workers()[0])
        os.kill(killed[-1], signal.SIGKILL)

    disaster = Disaster(out, 60, [5, 25], kill)
    disaster.start()
    entries = encode_dataset(root, out, 60, block=4, model=MODEL).take_all()
    assert len(set(killed)) == 2
    assert all(left > 0 for left in disaster.left)
    assert not {*killed} & {*workers()}
    assert sorted(entry["source"] for entry in entries) == sorted(map(str, root.rglob("*.png")))
    assert all(entry["error"] is None for entry in entries)
    check_whole(root, out, 60)


@pytest.mark.slow
def test_a_lost_node_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """The machine does not come back: the other one does its work."""
    root, out = make_pictures(tmp_path / "in", 60), tmp_path / "out"
    node = cluster.add_node(**NODE)
    disaster = Disaster(out, 60, [10], lambda: cluster.remove_node(node, allow_graceful=False))
    disaster.start()
    entries = encode_dataset(root, out, 60, actors=3, block=4, model=MODEL).take_all()
    assert disaster.left[0] > 0
    assert sorted(entry["source"] for entry in entries) == sorted(map(str, root.rglob("*.png")))
    check_whole(root, out, 60)


@pytest.mark.slow
def test_an_image_that_kills_its_workers_is_given_up(cluster: Cluster, tmp_path: Path) -> None:
    root, out = make_pictures(tmp_path / "in", 8), tmp_path / "out"
    (root / "2/002.png").write_bytes(b"DEADLY")
    entries = {Path(e["source"]).name: e for e in encode_dataset(root, out, 60, block=3, model=MODEL).take_all()}
    assert len(entries) == 8
    assert {name: entry["error"] for name, entry in entries.items() if entry["error"]} == {
        "002.png": "3 workers died on it (out of memory?)"
    }
    shutil.move(root / "2/002.png", tmp_path)
    check_whole(root, out, 60)


def test_stages_of_a_pipeline(cluster: Cluster, tmp_path: Path) -> None:
    root = make_pictures(tmp_path / "in", 6)
    (root / "3.png").write_bytes(b"\x89PNG no")
    codec, pool = vaecodec.Codec(MODEL), ray.data.ActorPoolStrategy(size=1)
    options = {"quality": 70, "model": MODEL}
    files = ray.data.read_binary_files(str(root), include_paths=True)
    coded = files.map_batches(Encoder, fn_constructor_kwargs=options, batch_size=2, compute=pool).materialize()
    rows = coded.take_all()
    assert set(rows[0]) == {"path", "vaec", "error"}
    assert sum(row["error"] is not None for row in rows) == 1
    for row in rows:
        assert row["vaec"] == (None if row["error"] else codec.encode(row["path"], 70)), row["error"]
    options = {"model": MODEL}
    decoded = coded.map_batches(Decoder, fn_constructor_kwargs=options, batch_size=4, compute=pool).take_all()
    assert len(decoded) == 7
    for row in decoded:
        whole = np.empty((0, 0, 3)) if row["error"] else codec.decode_array(codec.encode(row["path"], 70))
        assert np.array_equal(row["image"], whole)


def test_the_pipeline_of_the_docs_writes_files(cluster: Cluster, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 5)
    for folder in "012":
        (tmp_path / "archive" / folder).mkdir(parents=True)
    page = (Path(__file__).parents[2] / "docs/clusters.md").read_text()
    (pipeline,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "map_batches" in block]
    pipeline = pipeline.replace("s3://bucket", str(tmp_path)).replace("size=8", "size=1")
    exec(pipeline.replace('"quality": 40', f'"quality": 40, "model": {MODEL!r}'), {})
    codec = vaecodec.Codec(MODEL, threads=1)
    root, out = tmp_path / "pictures", tmp_path / "archive"
    expected = {f"{path.relative_to(root)}.vaec": codec.encode(path, 40) for path in root.rglob("*.png")}
    assert {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.vaec")} == expected
    rows = ray.data.read_parquet(str(tmp_path / "manifest")).take_all()
    assert sorted(f"{Path(row['path']).relative_to(root)}.vaec" for row in rows) == sorted(expected)
    assert all(row["error"] is None for row in rows)


def test_example(cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root, out = make_pictures(tmp_path / "in", 4), tmp_path / "out"
    (root / "bad.png").write_bytes(b"\x89PNG no")
    archive = runpy.run_path(str(Path(__file__).parents[2] / "examples/cluster.py"))["archive"]
    summary = archive(str(root), str(out), 30)
    before = sum(path.stat().st_size for path in root.rglob("0*.png"))
    after = sum(len(vaecodec.encode(path, 30)) for path in root.rglob("0*.png"))
    assert summary == f"4 images, {before} -> {after} bytes, 1 failed"
    assert "bad.png: the input is not an image" in capsys.readouterr().err


def test_stages_take_arrays_and_keep_what_bytes_end_with() -> None:
    """Without a cluster: the batches that Ray Data hands to a stage."""
    pictures = np.stack([generated_picture(40, 50, seed) for seed in range(3)])
    encoder, codec = Encoder(20, model=MODEL), vaecodec.Codec(MODEL)
    batch = encoder({"image": pictures, "label": np.arange(3)})
    assert list(batch["vaec"]) == [codec.encode(picture, 20) for picture in pictures]
    assert batch["vaec"].dtype == object  # numpy's type for bytes would drop zeros at their ends
    assert list(batch["label"]) == [0, 1, 2]
    with pytest.raises(vaecodec.ImageError, match="column image or bytes; they have label"):
        encoder({"label": np.arange(3)})


def test_wrong_arguments_are_no_error_of_every_image(tmp_path: Path) -> None:
    with pytest.raises(vaecodec.VaecodecError, match="quality"):
        encode_dataset(tmp_path, tmp_path / "out", 101)
    with pytest.raises(vaecodec.ModelError, match="unknown model"):
        decode_dataset(tmp_path, tmp_path / "out", model="nothing")
