"""Downloads against a real server on loopback: checked, bounded, resumed, locked, and clear when they fail."""

from __future__ import annotations

import gzip
import hashlib
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.datasets.fetch import MIRROR_VARIABLE, RemoteFile, Source
from harness.datasets.paper import paper_table
from harness.errors import TabOrderError

CONTENT = bytes(range(256)) * 800  # 204,800 bytes
PATH = "train/a b.csv"
FILE = RemoteFile(PATH, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class Server(ThreadingHTTPServer):
    """Serves ``files`` in the way ``behaviour`` says and counts what is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/data/train/a%20b.csv": CONTENT}
        self.behaviour = "good"
        self.requests: list[str | None] = []
        self.release = threading.Event()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        self.server.requests.append(requested)
        behaviour, number = self.server.behaviour, len(self.server.requests)
        content = self.server.files.get(self.path.removeprefix("/elsewhere"))
        if content is None or behaviour == "missing":
            return self.send_error(404)
        if behaviour == "busy" and number < 3:
            return self.send_error(503)
        if behaviour in {"moved", "moved_for_ever", "moved_to_a_file"} and not self.path.startswith("/elsewhere"):
            places = {
                "moved": f"/elsewhere{self.path}",
                "moved_for_ever": self.path,
                "moved_to_a_file": "file:///etc/passwd",
            }
            self.send_response(302)
            self.send_header("Location", places[behaviour])
            return self.end_headers()
        start = 0
        if requested and behaviour != "no_range":
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
        else:
            self.send_response(200)
        if behaviour == "changed":
            content = b"x" + content[1:]
        if behaviour == "oversize":
            content *= 10
        if behaviour == "gzip":
            content = gzip.compress(content)
            self.send_header("Content-Encoding", "gzip")
        if behaviour not in {"no_length", "endless"}:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if behaviour == "endless":
            with suppress(BrokenPipeError, ConnectionResetError):
                while True:
                    self.wfile.write(content)
        if behaviour == "hang" or (behaviour == "hang_once" and number == 1):
            self.wfile.write(content[start : start + 1000])
            self.wfile.flush()
            self.server.release.wait(20)
            return None
        if behaviour in {"truncated", "no_range"} and number == 1:
            content = content[: len(content) // 2]
        if behaviour == "always_truncated":
            content = content[: start + 10]
        with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
            self.wfile.write(content[start:])
        return None


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror and no proxy from the environment."""
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.release.set()
        running.shutdown()


def source(server: Server, tmp_path: Path, **options: Any) -> Source:
    return Source(
        server.base, cache_dir=str(tmp_path / "cache"), **{"back_off_seconds": 0.01, "timeout_seconds": 5, **options}
    )


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock")


def test_downloads_once_into_the_cache(server: Server, tmp_path: Path) -> None:
    path = source(server, tmp_path).locate(FILE)
    assert path == tmp_path / "cache" / "downloads" / "train" / "a b.csv"
    assert path.read_bytes() == CONTENT
    assert source(server, tmp_path).locate(FILE) == path
    assert server.requests == [None]
    assert kept(tmp_path) == ["a b.csv"]


def test_a_damaged_cache_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    path = source(server, tmp_path).locate(FILE)
    path.write_bytes(CONTENT[:-1])
    assert source(server, tmp_path).locate(FILE).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_cut_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.behaviour = "truncated"
    assert source(server, tmp_path).locate(FILE).read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_server_without_ranges_sends_the_file_again(server: Server, tmp_path: Path) -> None:
    server.behaviour = "no_range"
    assert source(server, tmp_path).locate(FILE).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_partial_file_of_a_killed_process_is_continued(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "downloads" / "train"
    folder.mkdir(parents=True)
    (folder / ".a b.csv.partial").write_bytes(CONTENT[:5000])
    assert source(server, tmp_path).locate(FILE).read_bytes() == CONTENT
    assert server.requests == ["bytes=5000-"]
    assert kept(tmp_path) == ["a b.csv"]


@pytest.mark.parametrize("behaviour", ["moved", "no_length"])
def test_a_redirect_is_followed_and_a_length_is_not_needed(server: Server, tmp_path: Path, behaviour: str) -> None:
    server.behaviour = behaviour
    assert source(server, tmp_path).locate(FILE).read_bytes() == CONTENT


def test_a_redirect_in_a_circle_ends(server: Server, tmp_path: Path) -> None:
    server.behaviour = "moved_for_ever"
    with pytest.raises(TabOrderError, match="HTTP status 302"):
        source(server, tmp_path).locate(FILE)
    assert len(server.requests) < 20
    assert kept(tmp_path) == []


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.behaviour = "busy"
    assert source(server, tmp_path).locate(FILE).read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_a_hanging_connection_times_out_and_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.behaviour = "hang_once"
    assert source(server, tmp_path, timeout_seconds=0.3).locate(FILE).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000-"]


@pytest.mark.parametrize(
    ("behaviour", "words", "requests"),
    [
        ("missing", "HTTP status 404", 1),
        ("changed", "its SHA-256 is [0-9a-f]{64}, expected " + FILE.sha256, 1),
        ("endless", f"longer than the expected {len(CONTENT)} bytes", 1),
        ("gzip", "the connection ended after|its SHA-256 is", 2),
        ("moved_to_a_file", "HTTP status 302", 1),
        ("oversize", f"longer than the expected {len(CONTENT)} bytes", 1),
        ("always_truncated", "the connection ended after|IncompleteRead", 2),
        ("hang", "timed out; 2 attempts", 2),
    ],
)
def test_failed_downloads_say_what_from_where_and_keep_nothing(
    server: Server, tmp_path: Path, behaviour: str, words: str, requests: int
) -> None:
    server.behaviour = behaviour
    with pytest.raises(TabOrderError, match=words) as error:
        source(server, tmp_path, attempts=2, timeout_seconds=0.3).locate(FILE)
    assert f"{server.base}/train/a%20b.csv" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(server.requests) == requests
    assert "a b.csv" not in kept(tmp_path)
    if behaviour in {"changed", "oversize"}:
        assert all(path.stat().st_size == 0 for path in tmp_path.rglob("*.partial"))


def test_without_network_the_sentence_says_how_to_set_the_mirror(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{free.getsockname()[1]}/data"
    with pytest.raises(TabOrderError, match=r"could not be downloaded from .*refused") as error:
        Source(base, cache_dir=str(tmp_path), attempts=2, back_off_seconds=0.01).locate(FILE)
    assert PATH in str(error.value)
    assert f"set mirror=DIR (or the environment variable {MIRROR_VARIABLE})" in str(error.value)
    with pytest.raises(TabOrderError, match="host name cannot be resolved"):
        Source("http://nowhere.invalid/data", cache_dir=str(tmp_path)).locate(FILE)


def _locate(base: str, cache: str) -> bool:
    return Source(base, cache_dir=cache).locate(FILE).read_bytes() == CONTENT


def test_two_processes_download_once(server: Server, tmp_path: Path) -> None:
    server.behaviour = "good"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.starmap(_locate, [(server.base, str(tmp_path / "cache"))] * 4)
    assert results == [True] * 4
    assert len(server.requests) == 1


def test_the_deadline_ends_a_drip(server: Server, tmp_path: Path) -> None:
    server.behaviour = "hang"
    start = time.monotonic()
    with pytest.raises(TabOrderError, match="could not be downloaded"):
        source(server, tmp_path, attempts=100, timeout_seconds=0.2, deadline_seconds=0.6).locate(FILE)
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_the_mirror_takes_the_place_of_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "train").mkdir(parents=True)
    (mirror / PATH).write_bytes(CONTENT)
    if how == "environment":
        monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    places = Source(
        "https://nowhere.invalid", mirror=str(mirror) if how == "argument" else None, cache_dir=str(tmp_path / "c")
    )
    assert places.locate(FILE) == mirror / PATH
    assert not (tmp_path / "c").exists()
    (mirror / PATH).write_bytes(CONTENT + b"\n")
    edited = hashlib.sha256(CONTENT + b"\n").hexdigest()
    with pytest.raises(TabOrderError, match=f"its SHA-256 is {edited}, expected {FILE.sha256}"):
        places.locate(FILE)
    (mirror / PATH).unlink()
    with pytest.raises(TabOrderError, match=f"has no file {PATH}"):
        places.locate(FILE)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\\..\\b"])
def test_paths_cannot_leave_the_folder(path: str) -> None:
    with pytest.raises(TabOrderError, match="must be relative"):
        RemoteFile(path, "0" * 64, 1)


def test_a_cache_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(TabOrderError, match=r"cannot be written .*set cache_dir"):
        source(server, tmp_path).locate(FILE)


def test_only_http_addresses_are_downloaded(tmp_path: Path) -> None:
    with pytest.raises(TabOrderError, match=r"is not an http\(s\) address"):
        Source("file:///etc", cache_dir=str(tmp_path)).locate(FILE)


def test_a_table_with_its_resource_from_a_server(server: Server, tmp_path: Path) -> None:
    files = {
        "train/t.csv": b"No,x,y\n1,a,0.5\n2,b,\n3,a,1.5\n4,,2.0\n",
        "test/t.csv": b"No,x,y\n5,a,0.5\n6,c,\n",
        "shapes/s.shp": b"shp",
        "shapes/s.dbf": b"dbf",
    }
    server.files = {f"/data/{path}": content for path, content in files.items()}
    described = {
        path: {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for path, content in files.items()
    }
    dataset = paper_table(
        "t",
        train=described["train/t.csv"],
        test=described["test/t.csv"],
        url_base=server.base,
        cache_dir=str(tmp_path / "cache"),
        licence="Public domain.",
        target="y",
        task="regression",
        drop_columns=["No"],
        drop_unlabelled=True,
        condition="x",
        resources={"shapes": [described["shapes/s.shp"], described["shapes/s.dbf"]]},
    )
    assert dataset.train.to_numpy().tolist() == [["a", 0.5], ["a", 1.5], [None, 2.0]]
    assert dataset.test.to_numpy().tolist() == [["a", 0.5]]
    assert dataset.notes == (
        "Public domain.",
        "columns left out: No.",
        "1 train and 1 test rows without a label (y) were dropped.",
    )
    opened = Path(dataset.resources["shapes"])
    assert opened.name == "s.shp"
    assert opened.with_suffix(".dbf").read_bytes() == b"dbf"
