"""Kill -9 at random moments, again and again: no record is torn, no finished cell is computed again, none is lost or doubled."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.records.record import Record
from tests.e2e.command_line import QUICK, harness

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


LLM = (
    *QUICK,
    "generator=permutation_aware_llm",
    "generator.epochs=20",
    "generator.batch_size=20",
    "generator.checkpoint_seconds=0.05",
    "limits.threads=1",
    "generator.llm.layers=1",
    "generator.llm.width=32",
    "generator.llm.heads=2",
)


def test_a_row_llm_killed_amid_training_resumes_within_its_cell_to_the_same_bytes(tmp_path):
    assert harness(*LLM, "store.root=whole", cwd=tmp_path).returncode == 0
    (whole,) = tmp_path.glob("whole/runs/*/*/*/record.json")
    assert not [note for note in json.loads(whole.read_text())["generator_info"]["notes"] if "resumed" in note]

    settings = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "3"}
    command = [sys.executable, "-m", "harness", *LLM, "store.root=killed"]
    sweep = subprocess.Popen(command, cwd=tmp_path, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while (step := saved_step(tmp_path / "killed")) < 30:
        assert sweep.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    assert not list(tmp_path.glob("killed/runs/*/*/*/synthetic.parquet")), "it was killed too late to test anything"

    again = harness(*LLM, "store.root=killed", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    (killed,) = tmp_path.glob("killed/runs/*/*/*/record.json")
    record = json.loads(killed.read_text())
    (note,) = [note for note in record["generator_info"]["notes"] if "resumed" in note]
    resumed = int(note.rstrip(".").split()[-1])
    assert step <= resumed < 20 * 10
    assert f"training resumes from its checkpoint at step {resumed}." in killed.with_name("log.txt").read_text()
    tables = [path.with_name("synthetic.parquet").read_bytes() for path in (whole, killed)]
    assert tables[0] == tables[1]
    assert [(s["metric"], s["value"]) for s in record["scores"]] == [
        (s["metric"], s["value"]) for s in json.loads(whole.read_text())["scores"]
    ]
    assert not killed.with_name("work").exists()


def saved_step(store: Path) -> int:
    for path in store.glob("runs/*/*/*/work/checkpoint/progress.json"):
        return int(json.loads(path.read_text())["progress"]["step"])
    return 0
