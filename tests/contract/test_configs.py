"""One contract for every configuration file: it composes, and every generator runs, repeats itself and depends on its seed."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from harness.cli.sweeper import plan
from harness.datasets import load
from harness.execution.cell import run_cell
from harness.execution.job import Evaluation, Job
from harness.experiments import OUTPUTS
from harness.processes.isolation import Limits
from harness.records.store import ResultStore
from harness.targets import check
from tests.contract.config_names import CONF, GENERATORS, NEEDS_MORE, names


def composed(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


DEMONSTRATIONS = ("quickstart", "paper_smoke")
ALONE = ("pretrained",)
"""Research experiments that are no part of ``experiment=paper``."""
BOARDS = ("leaderboard",)
"""Experiments that answer no research question: they rank."""
RESEARCH = sorted(set(names("experiment")) - {*DEMONSTRATIONS, *BOARDS})
EMBEDDED = {"regions", *(name for name in names("dataset") if name.startswith("simulated"))}


@pytest.mark.parametrize("group", ["dataset", "evaluation", "tracker", "limits", "scale", "experiment"])
def test_every_file_of_a_group_composes(group):
    for name in names(group):
        assert composed(f"{group}={name}") is not None


@pytest.mark.parametrize("scale", names("scale"))
@pytest.mark.parametrize("generator", names("generator"))
def test_every_generator_composes_at_every_scale(generator, scale):
    config = composed(f"generator={generator}", f"scale={scale}")
    if generator not in NEEDS_MORE:
        assert OmegaConf.to_container(config.generator, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize("name", names("experiment"))
def test_an_experiment_overrides_the_defaults(name):
    config = composed(f"experiment={name}")
    assert config.sweep == name
    scale = "reference" if name in BOARDS else "small"
    assert config.output == (f"results/{name}" if name in DEMONSTRATIONS else f"results/{name}/{scale}")
    assert config.store.root == (f"results/{name}" if name in DEMONSTRATIONS else f"results/cells_{scale}")


def test_the_paper_runs_every_research_experiment():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        parts = compose("config", ["experiment=paper"], return_hydra_config=True).hydra.sweeper.parts
    assert sorted([*parts, "paper", *ALONE]) == RESEARCH
    assert set(OUTPUTS) == {*parts, *ALONE}


MOST_CELLS = {"smoke": 80, "small": 600, "reference": 600, "full": 1200}
"""Cells of ``experiment=paper``: what README says of the time they take rests on this."""


@pytest.mark.parametrize("scale", names("scale"))
def test_every_cell_of_every_experiment_composes_at_every_scale(scale):
    with initialize_config_dir(str(CONF), version_base="1.3"):

        def grids(name):
            config = compose("config", [f"experiment={name}", f"scale={scale}"], return_hydra_config=True)
            return OmegaConf.to_container(config.hydra.sweeper.grids, resolve=True)

        paper = plan({name: grids(name) for name in RESEARCH if name not in ("paper", *ALONE)})
        assert len(paper.jobs) <= MOST_CELLS[scale]
        made = plan({name: grids(name) for name in RESEARCH if name != "paper"})
        assert len(set(made.jobs)) == len(made.jobs)
        assert all(len(jobs) >= 8 for jobs in made.parts.values())
        words = {word for job in made.jobs for word in job}
        datasets = {word.partition("=")[2] for word in words if word.startswith("dataset=")}
        assert datasets <= (EMBEDDED if scale == "smoke" else set(names("dataset")))
        rest = {tuple(w for w in job if not w.startswith(("seed=", "dataset="))) for job in made.jobs}
        for settings in {tuple(w for w in job if not w.startswith("dataset.")) for job in rest}:
            job = compose("config", [f"scale={scale}", *settings])
            check(OmegaConf.to_container(job, resolve=True, throw_on_missing=True)["generator"])


@pytest.mark.parametrize("scale", names("scale"))
def test_every_generator_of_the_field_composes(scale):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", ["experiment=leaderboard", f"scale={scale}"], return_hydra_config=True)
        made = plan({"leaderboard": OmegaConf.to_container(config.hydra.sweeper.grids, resolve=True)})
        assert config.limits.threads == 1
        chosen = {next(word for word in job if word.startswith("generator=")) for job in made.jobs}
        datasets = {next(word for word in job if word.startswith("dataset=")) for job in made.jobs}
        for word in sorted(chosen | datasets):
            compose("config", ["experiment=leaderboard", f"scale={scale}", word])


@pytest.mark.parametrize("name", sorted({*RESEARCH, *DEMONSTRATIONS, *BOARDS}))
def test_an_experiment_runs_under_any_launcher(name):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for launcher, words in (("pair", []), ("basic", ["hydra/launcher=basic"])):
            config = compose("config", [f"experiment={name}", *words], return_hydra_config=True)
            assert config.hydra.runtime.choices["hydra/launcher"] == launcher
            assert config.hydra.launcher.get("n_jobs") == (2 if launcher == "pair" else None)


def test_the_two_arms_differ_in_their_order_alone():
    random, aware = (
        OmegaConf.to_container(composed(f"generator={name}").generator, resolve=True)
        for name in ("random_order_llm", "permutation_aware_llm")
    )
    assert {key for key in random | aware if random.get(key) != aware.get(key)} == {"order"}
    assert (random["order"], aware["order"]) == ("random", "fd")


def table_of(name: str, root: Path, seed: int = 0):
    config = composed(f"generator={name}", "dataset=regions")
    spec = OmegaConf.to_container(config.generator, resolve=True)
    if "epochs" in spec:
        spec["epochs"] = 60 if "row_llm" in spec["_target_"] else 1  # a row is valid only when all its cells are
    job = Job(
        dataset=load("regions", max_train_rows=150),
        generator=name,
        spec=spec,
        seed=seed,
        n_rows=60,
        evaluation=Evaluation(({"_target_": "harness.metrics.distribution.ColumnShapes"},)),
        store=ResultStore(root),
        generate_limits=Limits(timeout_seconds=300),
    )
    record = run_cell(job).record
    assert record.status in ("ok", "short_yield"), record.error
    assert record.yield_.accepted == len(ResultStore(root).synthetic(record.cell))
    assert record.score("distribution.column_shapes").value is not None
    return (ResultStore(root).cell_dir(record.cell) / "synthetic.parquet").read_bytes()


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_runs_and_equal_seeds_give_equal_bytes(name, tmp_path):
    first = table_of(name, tmp_path / "first")
    assert first == table_of(name, tmp_path / "second")
    assert first != table_of(name, tmp_path / "third", seed=1)
