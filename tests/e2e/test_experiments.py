"""A research experiment, as a person types it: one command gives cells, tables, figures and an answer; others share its cells."""

import json
import shlex

from tests.e2e.command_line import harness

TINY = (
    "scale=smoke",
    "dataset=simulated_base1",
    "seed=0",
    "generator.epochs=40",
    "dataset.max_train_rows=200",
    "evaluation=quick",
    "tracker=none",
)


def test_one_command_gives_cells_tables_figures_and_an_answer(tmp_path):
    done = harness("experiment=ablation_model_size", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 cells: 4 ok (4 computed)." in done.stdout
    assert "# ablation_model_size: How does violation change with the size of the model?" in done.stdout
    folder = tmp_path / "results" / "ablation_model_size" / "smoke"
    assert {"answer.md", "index.html", "leaderboard.csv", "ablation_model_size.png", "ablation_model_size.svg"} <= {
        path.name for path in folder.iterdir()
    }
    for suffix in ("csv", "md", "tex"):
        assert (folder / f"ablation_model_size_gaps.{suffix}").stat().st_size > 0
    records = sorted((tmp_path / "results" / "cells_smoke" / "runs").rglob("record.json"))
    assert len(records) == 4

    # another experiment that asks for the same cells computes none of them, and says what it lacks
    shared = harness("experiment=rq5", *TINY, cwd=tmp_path)
    assert shared.returncode == 0, shared.stderr
    assert "4 cells: 4 ok (4 reused)." in shared.stdout
    answer = (tmp_path / "results" / "rq5" / "smoke" / "answer.md").read_text()
    assert "The language model used as it is was not run at this scale." in answer

    # the command in a record runs that cell alone
    before = records[0].read_bytes()
    command = shlex.split(json.loads(before)["command"])
    assert command[:3] == ["python", "-m", "harness"]
    alone = harness(*command[3:], cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert "reused" in alone.stderr + alone.stdout
    assert records[0].read_bytes() == before
