"""Kill -9 at random moments, again and again: no record is torn, no finished cell is computed again, none is lost or doubled."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.record import Record

ROOT = Path(__file__).resolve().parents[2]
CELLS = 8
KILLS = 50


def start(store: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.e2e.kill_target", str(store), str(CELLS)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def kill(sweep: subprocess.Popen[str], what: str) -> None:
    """Kill the sweep alone, its fork server, one of its descendants, or everything at once as a power cut would."""
    descendants = psutil.Process(sweep.pid).children(recursive=True) if sweep.poll() is None else []
    servers = [process for process in descendants if "forkserver" in " ".join(command_of(process))]
    victims = {"sweep": [], "server": servers[:1], "worker": descendants[-1:], "machine": descendants}[what]
    if what in ("sweep", "machine") or not victims:
        sweep.send_signal(signal.SIGKILL)
    for process in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def command_of(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def finished(store: Path) -> dict[Path, bytes]:
    """The whole records: every file named record.json must be one."""
    records = {path: path.read_bytes() for path in store.rglob("record.json")}
    for path, data in records.items():
        Record.from_json(data.decode(), str(path))
    return {path: data for path, data in records.items() if Record.from_json(data.decode()).status == "ok"}


def follow(sweep: subprocess.Popen[str]) -> list[str]:
    out, _ = sweep.communicate(timeout=120)
    return out.splitlines()


@pytest.mark.slow
def test_fifty_kills_lose_and_double_nothing(tmp_path):
    draw = random.Random(0)
    kills, round_ = 0, 0
    while kills < KILLS:
        store = tmp_path / f"store{round_}"
        round_ += 1
        while len(finished(store)) < CELLS and kills < KILLS:
            before = finished(store)
            sweep = start(store)
            time.sleep(draw.uniform(0.6, 5.0))
            what = draw.choice(["sweep", "server", "worker", "machine"])
            kill(sweep, what)
            kills += 1
            follow(sweep)
            after = finished(store)
            assert {path: after[path] for path in before} == before, f"kill {kills} ({what}) harmed a finished record"
        lines = follow(start(store))
        assert [line.split()[2] for line in lines] == ["ok"] * CELLS
        assert len(finished(store)) == len(list(store.glob("runs/*/*/*"))) == CELLS
        assert [line.split()[1] for line in follow(start(store))] == ["reused"] * CELLS
    time.sleep(1)
    stray = [
        p.info["cmdline"]
        for p in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(p.info["cmdline"] or [])
    ]
    assert stray == []


@pytest.mark.slow
def test_two_sweeps_on_one_store_share_the_work(tmp_path):
    pair = [start(tmp_path), start(tmp_path)]
    lines = [follow(sweep) for sweep in pair]
    for one in lines:
        assert [line.split()[2] for line in one] == ["ok"] * CELLS
    ways = [line.split()[1] for one in lines for line in one]
    assert ways.count("computed") == CELLS, "each cell is computed once"
    assert ways.count("reused") == CELLS
    assert len(finished(tmp_path)) == CELLS
