"""The public commands, as a person types them: what they print, their exit codes, and what they leave behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from harness.cli.mistakes import CONF, checked
from tests.e2e.command_line import QUICK, ROOT, harness


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line a mistake ends with: exit code 2, no traceback, nothing else."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("dataset=nowhere",), ["unknown dataset 'nowhere'", "us_location"]),
        (("generator=ctgann",), ["unknown generator 'ctgann'", "Did you mean 'ctgan'?"]),
        (("generator=ctgan", "generator.epocs=3"), ["unknown key of generator 'epocs'", "Did you mean 'epochs'?"]),
        (("sede=3",), ["unknown key of the configuration 'sede'", "Did you mean 'seed'?"]),
        (("seed=abc",), ["seed='abc' is not a whole number"]),
        (("cache=always",), ["unknown cache policy 'always'", "missing, only, overwrite"]),
        (("limits.timeout_seconds=-1",), ["limits.timeout_seconds=-1 is not a positive number"]),
        (("generator_name=../../x",), ["generator name '../../x' cannot be a folder name"]),
        (("generator=plugin",), ["generator._target_ has no value"]),
        (("generator=plugin", "generator._target_=nowhere.Thing"), ["cannot import _target_ 'nowhere.Thing'"]),
        (("dataset=us_location",), ["us_location.csv", "mirror"]),
        (("generator=copy", "generator.="), ["generator."]),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(tmp_path, words, expected):
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    chosen = () if any(word.startswith("generator=") for word in words) else ("generator=copy",)
    done = harness("tracker=none", *chosen, *words, cwd=tmp_path, **offline)
    message = sentence(done)
    for part in expected:
        assert part in message
    assert not list(tmp_path.rglob("record.json"))
    assert not (tmp_path / "results").exists()


def test_a_mistake_in_a_sweep_leaves_nothing_either(tmp_path):
    done = harness("-m", "tracker=none", "generator=copy", "dataset=nowhere,simulated_base1", cwd=tmp_path)
    assert "unknown dataset 'nowhere'" in sentence(done)
    assert not (tmp_path / "results").exists()


TABLES = {
    "target_not_in_the_table": ("a,b\n1,x\n2,y\n3,x\n", "dataset.target=c", ["'c'", "a, b"]),
    "empty": ("", "dataset.target=b", ["empty"]),
    "header_only": ("a,b\n", "dataset.target=b", ["row"]),
    "one_row": ("a,b\n1,x\n", "dataset.target=b", ["1 data row"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table_is_one_sentence(tmp_path, name):
    text, word, expected = TABLES[name]
    (tmp_path / "train.csv").write_text(text)
    done = harness("tracker=none", "dataset=csv", "dataset.train=train.csv", word, "generator=copy", cwd=tmp_path)
    message = sentence(done)
    for part in expected:
        assert part in message
    assert not (tmp_path / "results").exists()


def test_a_constant_column_is_no_error(tmp_path):
    rows = "\n".join(f"{i},same,{'xy'[i % 2]}" for i in range(40))
    (tmp_path / "train.csv").write_text(f"a,constant,b\n{rows}\n")
    words = ("tracker=none", "evaluation=quick", "dataset=csv", "dataset.train=train.csv", "dataset.target=b")
    done = harness(*words, "generator=independent", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.rglob("record.json"))) == 1


def test_one_cell_is_recorded_then_reused_then_scored_with_a_new_metric(tmp_path):
    first = harness(*QUICK, "generator=independent", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (path,) = tmp_path.glob("results/runs/simulated_base1/independent/0-*/record.json")
    record = json.loads(path.read_text())
    assert record["status"] == "ok"
    assert {"dataset", "generator", "seed", "n_rows", "params"} <= record["cell"].keys()
    assert {"fit_seconds", "sample_seconds", "evaluate_seconds", "peak_memory_bytes"} <= record["cost"].keys()
    assert record["yield"]["accepted"] == record["cell"]["n_rows"] == 200
    assert record["command"].startswith("python -m harness tracker=none")
    before = path.read_bytes()

    second = harness(*QUICK, "generator=independent", cwd=tmp_path)
    assert "reused (nothing was refitted)" in second.stderr
    assert path.read_bytes() == before

    extra = "+evaluation.metrics.extra={_target_: harness.metrics.distribution.ColumnDistance, measure: wasserstein}"
    third = harness(*QUICK, "generator=independent", extra, cwd=tmp_path)
    assert third.returncode == 0, third.stderr
    assert "scored" in third.stderr
    assert len(json.loads(path.read_text())["scores"]) > len(record["scores"])


def test_cache_only_never_runs(tmp_path):
    done = harness(*QUICK, "generator=independent", "cache=only", cwd=tmp_path)
    assert done.returncode == 1
    assert "cache=only runs nothing" in done.stderr
    assert not list(tmp_path.rglob("record.json"))


PLUGIN = """
class Fixed:
    def __init__(self, fail=False):
        self.fail = fail
    def fit(self, train, schema, *, seed):
        if self.fail:
            raise ValueError("told to")
        self.train = train
    def sample(self, n, *, seed):
        return self.train.head(n)
"""


def test_a_sweep_goes_on_after_a_failure_and_says_how_it_ended(tmp_path):
    (tmp_path / "my_module.py").write_text(PLUGIN)
    plugin = ("generator=plugin", "generator._target_=my_module.Fixed", "+generator.fail=true,false")
    done = harness("-m", *QUICK, *plugin, "seed=0,1", cwd=tmp_path)
    assert done.returncode == 1
    assert "4 cells: 2 ok, 2 failed (4 computed)." in done.stdout
    assert "ValueError in fit: told to" in done.stdout
    logs = re.findall(r"^  log: (.*)$", done.stdout, re.MULTILINE)
    assert len(logs) == 2
    assert all("ValueError: told to" in (tmp_path / log).read_text() for log in logs)
    (command,) = re.findall(r"^  (python -m harness .*)$", done.stdout, re.MULTILINE)
    assert "generator._target_=my_module.Fixed" in command
    again = harness("-m", *QUICK, *plugin, "seed=0,1", cwd=tmp_path)
    assert "(2 computed, 2 reused)" in again.stdout
    assert (tmp_path / "results" / "leaderboard.csv").exists()
    assert (tmp_path / "results" / "index.html").exists()


SLOW = """
import time
class Slow:
    def __init__(self, seconds=0):
        self.seconds = seconds
    def fit(self, train, schema, *, seed):
        self.train = train
        open("/".join(["..", "started"]), "w").close()
        time.sleep(self.seconds)
    def sample(self, n, *, seed):
        return self.train.head(n)
"""


def test_ctrl_c_on_one_cell_says_how_to_go_on(tmp_path):
    (tmp_path / "my_module.py").write_text(SLOW)
    words = [*QUICK, "generator=plugin", "generator._target_=my_module.Slow", "+generator.seconds=300"]
    settings = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", "harness", *words]
    # A session of its own: the signal reaches what Ctrl-C would reach, and not this test.
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=settings,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    )
    end = time.monotonic() + 400
    while not list(tmp_path.rglob("started")) and running.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=100)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("taborder: interrupted")
    assert last.endswith(f"python -m harness {' '.join(words)}")
    assert not list(tmp_path.rglob("record.json"))


def test_an_edited_plugin_is_not_taken_for_the_old_one(tmp_path):
    (tmp_path / "my_module.py").write_text(PLUGIN)
    plugin = ("generator=plugin", "generator._target_=my_module.Fixed")
    harness(*QUICK, *plugin, cwd=tmp_path)
    (tmp_path / "my_module.py").write_text(PLUGIN + "\n# another version\n")
    again = harness(*QUICK, *plugin, cwd=tmp_path)
    assert "computed" in again.stderr
    assert len(list(tmp_path.rglob("record.json"))) == 2


def test_joblib_gives_the_same_tables_as_one_process(tmp_path):
    words = (*QUICK, "generator=independent,copy", "seed=0,1", "limits.threads=1")
    harness("-m", *words, "store.root=one", cwd=tmp_path)
    done = harness("-m", *words, "store.root=two", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", cwd=tmp_path)
    assert "4 cells: 4 ok (4 computed)." in done.stdout, done.stderr
    one = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("synthetic.parquet"))
    assert len(one) == 4
    for path in one:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


def test_help_names_groups_and_its_examples_compose(tmp_path):
    done = harness("--help", cwd=tmp_path)
    assert done.returncode == 0
    for part in ("dataset:", "generator:", "permutation_aware_llm", "Exit codes: 0", "taborder -sc install=bash"):
        assert part in done.stdout
    examples = re.findall(r"^ +[\w ]+: +python -m harness (.*)$", done.stdout, re.MULTILINE)
    assert len(examples) == 3
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for example in examples:
            words = [word.split(",")[0] for word in checked(example.split()) if word != "-m"]
            assert compose("config", overrides=words).generator
