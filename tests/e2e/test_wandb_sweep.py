"""A real sweep, offline: what its W&B run files hold, read back. No account, no server."""

import json

import pandas as pd
import pytest

from harness.records.store import ResultStore
from tests.e2e.command_line import harness
from tests.factories import FD
from tests.harness.tracking.logged_images import CELL_FIGURES, images_of
from tests.wandb_reader import offline_runs

WORDS = (
    "-m", "dataset=regions", "dataset.max_train_rows=300", "generator=permutation_aware_llm", "generator.epochs=2", "seed=0,1",
    "evaluation=quick", "tracker.mode=offline", "tracker.timeout=60",
)  # fmt: skip
TABLES = "wandb/offline-run-*/files/media/table"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept")
    done = harness(*WORDS, cwd=folder)
    assert done.returncode == 0, done.stderr
    store = ResultStore(folder / "results")
    return store, sorted(store.records()[0], key=lambda record: record.cell.seed), offline_runs(store.root)


def test_cells_are_runs_of_one_group_with_config_scores_cost_curve_order_rows_and_figures(swept):
    store, records, runs = swept
    cells = sorted((run for run in runs if run["job_type"] == "cell"), key=lambda run: run["config"]["seed"])
    assert len(cells) == len(records) == 2
    assert {run["group"] for run in runs} == {records[0].sweep}  # the leaderboard's too
    assert records[0].sweep == records[1].sweep
    assert records[0].sweep.startswith("seed=0,1 ")
    for run, record in zip(cells, records, strict=True):
        assert run["config"]["params"]["epochs"] == 2
        assert run["config"]["column_order"] == list(record.generator_info["column_order"])
        assert run["summary"][FD] == record.score(FD).value
        assert run["summary"][f"floor/{FD}"] == record.score(FD).floor
        assert run["summary"]["cost/fit_seconds"] == record.cost.fit_seconds
        losses = [point["train/loss"] for point in run["history"] if "train/loss" in point]
        assert losses == [point["loss"] for point in record.generator_info["curve"]]
        for name in CELL_FIGURES:
            assert run["summary"][f"figures/{name}/_type"] == "image-file"
        assert run["summary"]["sample_rows/nrows"] == 100
        assert run["summary"]["report/_type"] == "html-file"
    pictures = images_of(store.root)
    assert {name: len(pictures[name]) for name in CELL_FIGURES} == dict.fromkeys(CELL_FIGURES, 2)
    tables = [json.loads(path.read_text()) for path in store.root.glob(f"{TABLES}/sample_rows*.json")]
    made = {tuple(store.synthetic(record.cell).columns) for record in records}
    assert {tuple(table["columns"]) for table in tables} == made


def test_the_leaderboard_is_a_run_with_table_report_and_figures_and_lineage_from_the_datasets(swept):
    store, records, runs = swept
    (board,) = (run for run in runs if run["job_type"] == "leaderboard")
    assert board["summary"]["report/_type"] == "html-file"
    assert {"overall", "families", "quality_cost"} <= set(images_of(store.root))
    (path,) = store.root.glob(f"{TABLES}/leaderboard*.json")
    written = pd.read_csv(store.root / "leaderboard.csv")
    shown = json.loads(path.read_text())
    assert shown["columns"] == list(written.columns)
    assert len(shown["data"]) == len(written)
    made = {}
    for run in runs:
        made |= {name: one for name, one in run["artifacts"].items() if one["type"] == "synthetic"}
        assert run is board or [one["type"] for one in run["inputs"].values()] == ["dataset"]
    assert {name: one["digest"] for name, one in board["inputs"].items()} == {
        n: one["digest"] for n, one in made.items()
    }
    assert len(made) == len(records)
