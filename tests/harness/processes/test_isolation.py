"""An isolated call ends, with everything it started, however it, its keepers or the harness end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.processes import isolation
from harness.processes.isolation import Limits, run_isolated
from harness.records.redaction import Redactor
from tests.processes import ends

ROOT = Path(__file__).resolve().parents[3]
FUNCTIONS = "tests.harness.processes.isolated_functions"


def call(name: str, payload: dict, tmp_path: Path, timeout=60.0, memory=None, **options):
    events: list = []
    log = options.pop("log", tmp_path / "log.txt")
    limits = Limits(timeout, memory)
    outcome = run_isolated(
        f"{FUNCTIONS}:{name}", payload, limits=limits, log=log, on_event=events.append, **options
    )  # fmt: skip
    return outcome, events


def gone(path: Path, within: float = 3.0) -> bool:
    """Whether the process whose id the file holds has ended."""
    return ends(int(path.read_text()), within)


def test_results_and_events_come_back(tmp_path):
    outcome, events = call("add", {"a": 1, "b": 2}, tmp_path)
    assert (outcome.ending, outcome.result) == ("done", {"sum": 3})
    assert events == [{"stage": "adding"}]


def test_a_daemon_that_left_its_session_does_not_outlive_a_finished_call(tmp_path):
    pid = tmp_path / "pid"
    outcome, _ = call("leave_daemon", {"path": str(pid)}, tmp_path)
    assert outcome.ending == "done"
    assert gone(pid, within=0)


def test_a_time_limit_reaches_a_daemon_too(tmp_path):
    pid = tmp_path / "pid"
    outcome, _ = call("hang_with_daemon", {"path": str(pid)}, tmp_path, timeout=2)
    assert outcome.ending == "timeout"
    assert outcome.log_tail == ("hanging now",)
    assert gone(pid, within=0)


def test_the_memory_of_a_daemon_counts(tmp_path):
    pid = tmp_path / "pid"
    outcome, _ = call("hang_with_daemon", {"path": str(pid), "megabytes": 800}, tmp_path, memory=0.7)
    assert outcome.ending == "out_of_memory"
    assert gone(pid, within=0)


def test_sigterm_comes_first_and_what_is_said_then_is_kept(tmp_path):
    outcome, _ = call("end_gracefully", {}, tmp_path, timeout=1)
    assert outcome.ending == "timeout"
    assert "saved what there was" in outcome.log_tail
    assert outcome.seconds < 1 + isolation.GRACE_SECONDS


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "SIGKILL (not sent by the harness)"), (40, "signal 40")]
)
def test_death_by_a_signal_names_it(tmp_path, number, words):
    outcome, _ = call("end_as_told", {"signal": int(number)}, tmp_path)
    assert outcome.ending == "crashed"
    assert words in outcome.error


def test_a_kill_by_the_system_for_want_of_memory_is_told_from_a_crash(tmp_path, monkeypatch):
    counts = iter([3, 4])
    monkeypatch.setattr(isolation, "system_kills", lambda: next(counts))
    outcome, _ = call("end_as_told", {"signal": int(signal.SIGKILL)}, tmp_path)
    assert outcome.ending == "out_of_memory"
    assert "which ran out of memory" in outcome.error


@pytest.mark.parametrize("place", ["missing/log.txt", "link.txt"])
def test_a_log_that_cannot_be_written_stops_nothing_and_a_link_is_not_followed(tmp_path, place):
    outside = tmp_path / "outside.txt"
    outside.write_text("untouched")
    (tmp_path / "link.txt").symlink_to(outside)
    outcome, _ = call("print_much", {}, tmp_path, log=tmp_path / place)
    assert outcome.ending == "done"
    assert outcome.log_tail[-1] == "y" * 500
    assert outside.read_text() == "untouched"


def test_a_secret_is_found_across_pieces_and_lines_are_kept(tmp_path):
    redactor = Redactor({"MY_API_KEY": "sentinel-0123456789"})
    pieces = ["before\nkey: sent", "inel-01234", "56789 after\r", "last line"]
    outcome, _ = call("print_in_pieces", {"pieces": pieces}, tmp_path, redactor=redactor)
    assert outcome.log_tail == ("before", "key: [redacted] after", "last line")
    assert (tmp_path / "log.txt").read_bytes() == b"before\nkey: [redacted] after\rlast line"


RUNNER = """
import sys
from pathlib import Path
from harness.processes import isolation
from harness.processes.isolation import Limits, run_isolated
isolation.PRELOAD = ["tests.harness.processes.slow_preload"] if sys.argv[1] == "add" else []
name, pid, log, seconds = sys.argv[1:]
payload = {"path": pid, "a": 1, "b": 2}
done = run_isolated(f"tests.harness.processes.isolated_functions:{name}", payload, limits=Limits(float(seconds)), log=Path(log), on_event=print)
print(done.ending, done.error, flush=True)
"""


def runner(name: str, pid: Path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", RUNNER, name, str(pid), str(pid.with_name("log.txt")), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def started(process: subprocess.Popen, pid: Path) -> dict[str, psutil.Process]:
    """The processes of a running call, once its daemon is up."""
    while not pid.exists() or not pid.read_text():
        assert process.poll() is None
        time.sleep(0.02)
    daemon = psutil.Process(int(pid.read_text()))
    while len(relatives := daemon.parents()) > 3 and relatives[3].pid == process.pid:
        time.sleep(0.02)  # its first parent has not ended yet
    guardian = relatives[0]
    (worker,) = [child for child in guardian.children() if child.pid != daemon.pid]
    return {"harness": psutil.Process(process.pid), "server": guardian.parent(), "guardian": guardian, "worker": worker}


@pytest.mark.parametrize("victim", ["harness", "server", "guardian", "worker"])
def test_whoever_is_killed_nothing_is_left(tmp_path, victim):
    pid = tmp_path / "pid"
    process = runner("hang_with_daemon", pid, 600)
    parts = started(process, pid)
    if victim == "guardian":
        time.sleep(1)  # nobody adopts for it: the harness ends what it saw, and it looks ten times a second
    parts[victim].send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=30)
    assert gone(pid)
    assert [name for name, part in parts.items() if part.is_running() and part.status() != "zombie"] in ([], ["server"])
    if victim != "harness":
        assert out.startswith("crashed")


def test_the_start_of_the_fork_server_is_not_in_the_time_limit(tmp_path):
    process = runner("add", tmp_path / "pid", 1.0)
    out, _ = process.communicate(timeout=120)
    assert out.splitlines()[-1] == "done None"


def test_nothing_of_the_harness_is_in_the_process_group_of_a_call(tmp_path):
    pid = tmp_path / "pid"
    process = runner("hang_with_daemon", pid, 600)
    parts = started(process, pid)
    sessions = {name: os.getsid(part.pid) for name, part in parts.items()}
    assert len({sessions["harness"], sessions["guardian"], sessions["worker"]}) == 3
    process.kill()
    process.wait()
    assert gone(pid)


def test_a_plain_script_without_a_main_guard_calls_functions_and_runs_once(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text(
        "from pathlib import Path\n"
        "from harness.processes.isolation import Limits, run_isolated\n"
        "print('script')\n"
        f"done = run_isolated('{FUNCTIONS}:add', {{'a': 1, 'b': 2}}, limits=Limits(60), log=Path('log'), on_event=print)\n"
        "print(done.result, done.error)\n"
    )
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["script", "{'stage': 'adding'}", "{'sum': 3} None"], (
        tmp_path / "log"
    ).read_text()
