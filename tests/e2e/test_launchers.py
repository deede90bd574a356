"""One sweep of good and deadly cells under every launcher: no cell stops another, the counts and the exit code are right."""

import importlib.util
import json
import os
import stat
from pathlib import Path

import pytest

from tests.e2e.command_line import QUICK, harness

PLUGIN = """
import os, signal, sys
class Plugin:
    def __init__(self, how):
        self.how = how
    def fit(self, train, schema, *, seed):
        self.train = train
        if self.how == "raises":
            raise ValueError("told to")
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "exits":
            sys.exit(3)
    def sample(self, n, *, seed):
        return self.train.head(n)
"""

# Stand-ins for Slurm's programs: sbatch keeps the script and runs its array here, srun runs what it is given.
SBATCH = """#!/bin/bash
script="${@: -1}"
cp "$script" "$(dirname "$0")/submitted.sh"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for task in $(seq 0 "$last"); do
  SLURM_JOB_ID=$((4200 + task)) SLURM_ARRAY_JOB_ID=42 SLURM_ARRAY_TASK_ID=$task SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 \\
  SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_CPUS_PER_TASK=2 SLURM_JOB_NODELIST=here \\
  bash "$script" >/dev/null 2>&1 &
done
echo "Submitted batch job 42"
"""
SRUN = """#!/bin/bash
while [[ "$1" == -* ]]; do
  case "$1" in --output|--error|-o|-e) shift 2;; *) shift;; esac
done
exec "$@"
"""
SACCT = "#!/bin/bash\necho 'JobID|State|NodeList'\nfor task in 0 1 2 3; do echo \"42_$task|RUNNING|here\"; done\n"


@pytest.fixture
def slurm(tmp_path):
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    return folder


def sweep(folder: Path, *launcher: str, **environment: str):
    (folder / "deadly.py").write_text(PLUGIN)
    plugin = ("generator=plugin", "generator._target_=deadly.Plugin", "+generator.how=good,raises,killed,exits")
    return harness("-m", *QUICK, *plugin, *launcher, cwd=folder, **environment)


def check(done, folder: Path, threads: int, workers: int) -> None:
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "4 cells: 1 ok, 1 crashed, 2 failed (4 computed).", done.stdout + done.stderr
    for words in ("ValueError in fit: told to", "SIGKILL", "SystemExit in fit: 3"):
        assert words in done.stdout
    assert "is validated against" not in done.stderr
    records = [json.loads(path.read_text()) for path in folder.glob("results/runs/*/*/*/record.json")]
    assert sorted(record["status"] for record in records) == ["crashed", "failed", "failed", "ok"]
    assert {(record["environment"]["threads"], record["environment"]["workers"]) for record in records} == {
        (threads, workers)
    }


CPUS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("launcher", "threads", "workers"),
    [
        ((), CPUS, 1),
        (("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), max(1, CPUS // 2), 2),
        (("hydra/launcher=submitit_local",), 1, CPUS),
    ],
    ids=["basic", "joblib", "submitit_local"],
)
def test_a_deadly_cell_stops_no_other(tmp_path, launcher, threads, workers):
    check(sweep(tmp_path, *launcher), tmp_path, threads, workers)


def test_a_deadly_cell_stops_no_other_on_slurm_and_the_batch_script_asks_for_what_was_configured(tmp_path, slurm):
    asked = ("partition=long", "account=lab", "mem_gb=24", "timeout_min=90", "array_parallelism=2")
    words = ("hydra/launcher=submitit_slurm", *(f"hydra.launcher.{word}" for word in asked))
    check(sweep(tmp_path, *words, PATH=f"{slurm}{os.pathsep}{os.environ['PATH']}"), tmp_path, min(2, CPUS), 1)
    script = (slurm / "submitted.sh").read_text()
    for line in (
        "--array=0-3%2",
        "--cpus-per-task=2",
        "--mem=24GB",
        "--time=90",
        "--partition=long",
        "--account=lab",
        "--nodes=1",
        "--job-name=taborder",
    ):
        assert f"#SBATCH {line}\n" in script


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="hydra-ray-launcher is not installed here")
def test_a_deadly_cell_stops_no_other_under_ray(tmp_path):
    check(sweep(tmp_path, "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"), tmp_path, 1, 2)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="hydra-ray-launcher is installed here")
def test_a_launcher_that_is_not_installed_is_one_sentence(tmp_path):
    done = harness("-m", *QUICK, "generator=copy", "seed=0,1", "hydra/launcher=ray", cwd=tmp_path)
    assert done.returncode == 2
    assert "hydra/launcher=ray needs hydra-ray-launcher, in an environment of its own" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results" / "runs").exists()


def test_a_worker_that_dies_with_the_launcher_is_told_and_made_up_for(tmp_path):
    """A dataset that kills the worker itself, not its cell: joblib cannot go on, the next run can."""
    (tmp_path / "fatal.py").write_text(
        "import os, signal\nfrom harness.datasets import load\n"
        "def table(fatal, **given):\n"
        "    if fatal and not os.path.exists('once'):\n"
        "        open('once', 'w').close(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return load('simulated_base1', max_train_rows=200)\n"
    )
    words = ("tracker=none", "evaluation=quick", "generator=copy", "seed=0,1", "dataset._target_=fatal.table")
    words = (*words, "+dataset.fatal=true", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    done = harness("-m", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "the launcher stopped early (TerminatedWorkerError)" in done.stderr
    assert "without an outcome" in done.stdout.splitlines()[-1]
    again = harness("-m", *words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "2 cells: 2 ok" in again.stdout.splitlines()[-1]
