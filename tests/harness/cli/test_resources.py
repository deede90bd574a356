"""What one cell may use under each launcher, from the launcher's composed configuration."""

import threading
import time

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from harness.cli import resources as workers
from harness.cli.mistakes import CONF
from harness.cli.resources import Share, share_of, slot
from harness.records import provenance as environment


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """8 CPUs and 100 GiB, of which 90 are given out."""
    monkeypatch.setattr(workers, "available_cpus", lambda: 8)
    monkeypatch.setattr(workers, "available_memory", lambda: 100 * 2**30)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)


def launcher(*words):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(words), return_hydra_config=True)
    return OmegaConf.to_container(config.hydra.launcher, resolve=False)


@pytest.mark.parametrize(
    ("words", "share"),
    [
        ((), Share(1, 8, 90)),
        (("hydra/launcher=joblib",), Share(8, 1, 11.25)),
        (("hydra/launcher=joblib", "hydra.launcher.n_jobs=3"), Share(3, 2, 30)),
        (("hydra/launcher=joblib", "hydra.launcher.n_jobs=-2"), Share(7, 1, 90 / 7)),
        (("hydra/launcher=joblib", "hydra.launcher.n_jobs=20"), Share(20, 1, 4.5)),
        (("hydra/launcher=submitit_local",), Share(8, 1, 11.25, bounded=False)),
        (("hydra/launcher=submitit_local", "hydra.launcher.cpus_per_task=3"), Share(2, 3, 45, bounded=False)),
        (("hydra/launcher=submitit_slurm",), Share(1, 2, 14.4)),
        (("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=6"), Share(1, 6, 14.4)),
        (("hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=null"), Share(1, 2, 90)),
        (("hydra/launcher=ray",), Share(8, 1, 11.25)),
        (("hydra/launcher=ray", "hydra.launcher.ray.remote.num_cpus=4"), Share(2, 4, 45)),
        (("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=6"), Share(6, 1, 15)),
    ],
)
def test_threads_and_memory_are_divided_among_workers(words, share):
    assert share_of(launcher(*words)) == share


def test_a_single_cell_has_the_machine_to_itself_whatever_the_launcher():
    assert share_of(launcher("hydra/launcher=joblib"), multirun=False) == Share(1, 8, 90)


def test_slurms_own_word_counts_more_than_the_configuration(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "5")
    assert share_of(launcher("hydra/launcher=submitit_slurm")).threads == 5


def test_no_more_than_the_slots_at_once(tmp_path):
    running, most = [], []

    def job():
        with slot(tmp_path, 2):
            running.append(1)
            most.append(len(running))
            time.sleep(0.05)
            running.pop()

    threads = [threading.Thread(target=job) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 6
    assert max(most) == 2


def test_memory_is_what_the_control_group_allows(tmp_path):
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "memory.max").write_text("4096\n")
    (tmp_path / "outer" / "inner" / "memory.max").write_text("max\n")
    assert environment._bounds(tmp_path, "/outer/inner", "memory.max") == [4096]
    assert 0 < environment.available_memory() <= 2**50
