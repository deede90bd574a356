"""The protocol across a process boundary. The environment here is a stand-in: a script that calls this very Python."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import psutil
import pytest
from pandas.testing import assert_frame_equal

from harness.datasets import Dataset
from harness.errors import Incompatible, TabOrderError
from harness.execution import making as making_table
from harness.execution import scoring as scoring_table
from harness.execution.cell import run_cell
from harness.execution.environments import Environment, python_of
from harness.execution.job import Evaluation, Job
from harness.execution.remote_generator import RemoteCrash, RemoteError, RemoteGenerator
from harness.execution.stages import build_generator
from harness.generator import Context, Generator
from harness.processes.isolation import Limits
from harness.records.store import ResultStore
from harness.table import Column, Schema, conform
from tests.harness.execution import remote_generators

ENVIRONMENT = {"name": "stand-in", "requirements": ["pandas==2.3.3"]}
SCHEMA = Schema((Column("a is", "categorical"), Column("n", "integer"), Column("é", "float", 2)))
TRAIN = pd.DataFrame(
    {
        "a is": pd.Series(["x, y", None, "🦆\n\"'"], dtype=object),
        "n": pd.array([2**60, None, -1], dtype="Int64"),
        "é": [0.25, np.nan, -1e300],
    }
)


@pytest.fixture(autouse=True)
def stand_in(tmp_path, monkeypatch):
    monkeypatch.setenv("TABORDER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "environments" / Environment.from_config(ENVIRONMENT).folder_name
    python = python_of(folder)
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / "packages.json").write_text('{"pandas": "2.3.3"}')
    return folder


def remote(name, **arguments):
    return RemoteGenerator(f"tests.harness.execution.remote_generators.{name}", arguments, ENVIRONMENT)


def test_tables_yield_progress_and_facts_cross_unchanged(tmp_path):
    reports = []
    generator = remote("Echo", label="é")
    generator.bind(Context(tmp_path, 3, lambda *given, **numbers: reports.append((*given, numbers))))
    before = TRAIN.copy(deep=True)
    generator.fit(TRAIN, SCHEMA, seed=2**31 - 1)
    sample = generator.sample(3, seed=1)
    described = generator.describe()
    generator.close()
    assert isinstance(generator, Generator)
    assert_frame_equal(TRAIN, before)
    assert_frame_equal(conform(sample.frame, SCHEMA)[0], TRAIN)
    assert (sample.yield_.attempted, sample.yield_.accepted, dict(sample.yield_.rejected), sample.yield_.tokens) == (
        5,
        3,
        {"unparsable": 2},
        7,
    )
    assert reports == [("fit", 1, 2, {"loss": 0.5}), ("fit", 2, 2, {"loss": 0.25})]
    assert described["label"] == "é"
    assert described["seed"] == 2**31 - 1
    assert described["pid"] != os.getpid()
    assert (described["threads"], described["omp"], described["hash_seed"]) == (3, "3", "0")
    assert described["environment"]["name"] == "stand-in"
    assert described["environment"]["packages"] == {"pandas": "2.3.3"}
    assert (tmp_path / "checkpoint").read_text() == "kept"  # the work folder is the cell's


def test_plain_classes_and_mixed_cells_mean_the_same_as_here(tmp_path):
    local = remote_generators.Plain()
    local.fit(TRAIN, SCHEMA, seed=0)
    generator = remote("Plain")
    generator.bind(Context(tmp_path, 1, lambda *_, **__: None))
    generator.fit(TRAIN, SCHEMA, seed=0)
    here, there = (conform(frame, SCHEMA) for frame in (local.sample(6, seed=0), generator.sample(6, seed=0).frame))
    assert_frame_equal(here[0], there[0])
    assert here[1] == there[1]
    assert generator.sample(6, seed=0).yield_ is None
    generator.close()


@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        ("raises", RemoteError, "'gone'"),
        ("leaves", RemoteError, "3"),
        ("incompatible", Incompatible, "no columns of this kind"),
        ("mistake", TabOrderError, "epochs is -1"),
        ("exits", RemoteCrash, "the process ended with code 3"),
        ("segfaults", RemoteCrash, "the process was killed by SIGSEGV"),
    ],
)
def test_what_happens_there_is_known_here(how, error, sentence):
    generator = remote("Misbehaves", how=how)
    with pytest.raises(error, match=sentence) as raised:
        generator.fit(TRAIN, SCHEMA, seed=0)
    generator.close()
    if error is RemoteError:
        assert type(raised.value).__name__ == {"raises": "KeyError", "leaves": "SystemExit"}[how]


@pytest.mark.parametrize(
    ("how", "sentence"), [("no frame", "returned a list"), ("twice", "more than one column named 'x'")]
)
def test_tables_that_are_none_are_refused_there(how, sentence):
    generator = remote("Misbehaves", how=how)
    generator.fit(TRAIN, SCHEMA, seed=0)
    with pytest.raises(TabOrderError, match=sentence):
        generator.sample(1, seed=0)
    generator.close()


def test_tracebacks_are_in_the_log(capfd):
    with pytest.raises(RemoteError):
        remote("Misbehaves", how="raises").fit(TRAIN, SCHEMA, seed=0)
    assert 'raise KeyError("gone")' in capfd.readouterr().err


def test_a_spec_with_an_environment_is_built_remotely_and_checked_here():
    spec = {"_target_": "tests.harness.execution.remote_generators.Echo", "label": "x", "environment": ENVIRONMENT}
    generator = build_generator(spec, None)
    assert isinstance(generator, RemoteGenerator)
    assert generator.arguments == {"label": "x"}
    assert isinstance(build_generator({**spec, "environment": None}, None), remote_generators.Echo)
    with pytest.raises(TabOrderError, match="unknown argument of"):
        build_generator({**spec, "lable": "x"}, None)


def cell(how, root, **changes):
    spec = {"_target_": "tests.harness.execution.remote_generators.Misbehaves", "how": how, "environment": ENVIRONMENT}
    data = Dataset("tiny", SCHEMA, TRAIN, TRAIN.copy(), checksum="0" * 64)
    shapes = {"_target_": "harness.metrics.distribution.ColumnShapes"}
    job = Job(data, "remote", spec, 0, Evaluation((shapes,)), ResultStore(root / "store"), n_rows=2, **changes)
    return run_cell(replace(job, cache_dir=job.cache_dir or str(root / "cache"))).record


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("works", "ok", ""),
        ("raises", "failed", "KeyError in fit: 'gone'"),
        ("incompatible", "incompatible", "no columns of this kind"),
        ("segfaults", "crashed", "killed by SIGSEGV"),
        ("no memory", "out_of_memory", "MemoryError: too large"),
    ],
)
def test_a_cell_ends_as_it_would_without_an_environment(tmp_path, how, status, words):
    record = cell(how, tmp_path)
    assert record.status == status
    assert words in (record.error or "")
    assert any("said there" in line for line in record.log_tail) == (status != "ok")
    if status == "ok":
        assert record.generator_info["environment"]["packages"] == {"pandas": "2.3.3"}


def gone(pid):
    """Whether a process ends within some seconds (perhaps nobody has collected its exit code yet)."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("how", "limits", "status"),
    [("hangs", Limits(timeout_seconds=4), "timeout"), ("hoards", Limits(60, memory_gib=1.5), "out_of_memory")],
)
def test_limits_reach_the_process_there(tmp_path, how, limits, status):
    record = cell(how, tmp_path, generate_limits=limits)
    assert record.status == status
    (said,) = [line for line in record.log_tail if line.startswith("said there by ")]
    assert gone(int(said.split()[-1]))


def test_a_cell_whose_environment_cannot_be_made_says_why_and_is_tried_again(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    record = cell("works", tmp_path, cache_dir=str(blocked))
    assert record.status == "failed"
    assert record.error.startswith(f"environment 'stand-in' could not be made in {blocked}/environments")
    assert cell("works", tmp_path).status == "ok"


def test_making_an_environment_is_outside_of_the_cells_time(tmp_path, monkeypatch):
    order = []
    original = making_table.ensure, making_table.run_isolated

    def making(*given):
        folder = original[0](*given)
        order.append("made")
        return folder

    def limited(function, *given, **named):
        order.append(function)
        return original[1](function, *given, **named)

    monkeypatch.setattr(making_table, "ensure", making)
    for module in (making_table, scoring_table):
        monkeypatch.setattr(module, "run_isolated", limited)
    assert cell("works", tmp_path).status == "ok"
    assert order == ["made", "harness.execution.stages:generate", "harness.execution.stages:score"]


def test_the_process_there_dies_with_the_process_here(tmp_path):
    script = (
        "import sys, threading, time; from tests.harness.execution.test_remote_generator import remote, TRAIN, SCHEMA\n"
        "generator = remote('Misbehaves', how='hangs')\n"
        "threading.Thread(target=generator.fit, args=(TRAIN, SCHEMA), kwargs={'seed': 0}, daemon=True).start()\n"
        "while generator._process is None: time.sleep(0.01)\n"
        "print(generator._process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(1.5)  # well inside fit
    assert child.is_running()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    gone, _ = psutil.wait_procs([child], timeout=20)
    assert gone
