"""Asked to stop, a sweep ends its cells, says how far it came, and the same command goes on from there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.command_line import QUICK, ROOT, harness
from tests.processes import runs

PLUGIN = """
import os, subprocess, sys, time
from pathlib import Path
class Slow:
    def fit(self, train, schema, *, seed):
        self.train = train
        if not Path({flag!r}).exists() and {first!r} not in os.getcwd():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"], start_new_session=True)
            Path({pids!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
            time.sleep(600)
    def sample(self, n, *, seed):
        return self.train.head(n)
"""


def words(tmp_path: Path, launcher: tuple[str, ...]) -> tuple[str, ...]:
    source = PLUGIN.format(flag=str(tmp_path / "go"), first="/0-", pids=str(tmp_path / "pids"))
    (tmp_path / "my_slow.py").write_text(source)
    return ("-m", *QUICK, "generator=plugin", "generator._target_=my_slow.Slow", "seed=0,1,2", *launcher)


@pytest.mark.parametrize(
    ("number", "launcher"),
    [
        (signal.SIGINT, ()),
        (signal.SIGTERM, ()),
        (signal.SIGTERM, ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")),
    ],
    ids=["ctrl-c", "sigterm", "sigterm-joblib"],
)
def test_a_sweep_that_is_asked_to_stop_ends_cleanly_and_goes_on_later(tmp_path, number, launcher):
    asked = words(tmp_path, launcher)
    settings = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "TABORDER_CACHE": str(tmp_path / "cache")}
    sweep = subprocess.Popen(
        [sys.executable, "-m", "harness", *asked],
        cwd=tmp_path,
        env=settings,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 400
    while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 2:
        assert sweep.poll() is None, sweep.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.1)
    while not list(tmp_path.glob("results/sweeps/*/outcome-*.json")):  # what is counted, written after the record
        time.sleep(0.1)
    below = psutil.Process(sweep.pid).children(recursive=True)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    sweep.send_signal(number)
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 128 + number, said
    assert f"interrupted by {number.name} after 1 of 3 cells; finished cells are kept" in said
    assert "Traceback" not in said
    time.sleep(0.5)
    assert [pid for pid in pids if runs(pid)] == []
    assert [process.pid for process in below if runs(process.pid)] == []

    (tmp_path / "go").touch()
    again = harness(*asked, cwd=tmp_path)
    assert "3 cells: 3 ok (2 computed, 1 reused)." in again.stdout, again.stderr
