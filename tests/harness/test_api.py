"""The Python interface as a person uses it in a script or a notebook."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import harness
from harness.errors import TabOrderError
from harness.report.leaderboard_files import to_csv
from harness.table import Column
from tests.e2e import command_line
from tests.factories import grid, make_store

ROOT = Path(__file__).resolve().parents[2]


def table(rows, seed):
    source = np.random.default_rng(seed)
    state = source.integers(0, 4, rows)
    return pd.DataFrame(
        {
            "state": [f"s{i}" for i in state],
            "bird": [f"b{i % 2}" for i in state],
            "x": source.normal(size=rows).round(2),
        }
    )


TRAIN, TEST = table(300, 0), table(120, 1)
RECORDS = grid({name: {"good": [0.9, 0.8], "bad": [0.2, 0.3]} for name in ("d", "e")})


def python(code, cwd):
    """A fresh interpreter; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_is_light_and_lists_what_it_offers(tmp_path):
    loaded = python("import harness, sys; print(*sys.modules)", tmp_path).split()
    assert not {"pandas", "numpy", "torch", "hydra", "omegaconf"} & set(loaded)
    assert set(harness.__all__) <= set(dir(harness))
    assert all(getattr(harness, name) is not None for name in harness.__all__)
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        harness.evalute  # noqa: B018


def test_scores_of_frames_by_hand():
    wrong = TRAIN.assign(bird=["b1" if bird == "b0" else "b0" for bird in TRAIN["bird"]])
    scores = harness.evaluate(TRAIN, TEST, wrong, target="bird", evaluation="quick")
    violation = scores["dependencies.fd_violation_rate"]
    assert violation.value == 1.0  # every state has the other bird
    frame = scores.to_frame()
    assert list(frame.index) == [score.metric for score in scores]
    assert frame.loc["dependencies.fd_violation_rate", "value"] == 1.0
    assert frame.loc["dependencies.fd_violation_rate", "goal"] == "min"
    assert frame["value"].dtype == float
    assert len(scores.to_frame(details=False)) < len(frame) == len(scores)
    assert "Dependencies: state→bird" in repr(scores)
    assert "dependencies.fd_violation_rate" in scores._repr_html_()
    with pytest.raises(TabOrderError, match=r"unknown score 'fd'"):
        scores["fd"]


def test_leaderboard_is_a_module_and_a_function(tmp_path):
    store = make_store(tmp_path, RECORDS)
    standings = harness.leaderboard(tmp_path)
    frame = standings.to_frame()
    assert list(frame.index) == [row.label for row in standings.rows]
    assert set(frame.reset_index().columns) == set(to_csv(standings.rows).splitlines()[0].split(","))
    assert standings.to_frame(by_dataset=True).index.nlevels == 2
    assert frame.index[0] in standings._repr_html_()
    import harness.leaderboard as module

    assert module.main([f"store.root={tmp_path}", f"output={tmp_path / 'out'}"]) == 0
    assert harness.leaderboard is module
    assert harness.leaderboard(store, missing="worst").policy.missing == "worst"
    with pytest.raises(TabOrderError, match="no result store"):
        harness.leaderboard(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "first", ["import harness.leaderboard", "import harness", "from harness.leaderboard import main"]
)
def test_leaderboard_can_be_called_whatever_was_imported_first(tmp_path, first):
    make_store(tmp_path / "store", RECORDS)
    code = f"{first}\nimport harness\nprint(len(harness.leaderboard('store').to_frame()))"
    assert int(python(code, tmp_path)) == len({record.cell.generator for record in RECORDS})


def test_schema_of_a_frame():
    schema = harness.infer_schema(TRAIN, target="bird")
    assert schema.columns == (Column("state", "categorical"), Column("bird", "categorical"), Column("x", "float", 2))
    assert (schema.target, schema.task) == ("bird", "classification")
    assert harness.infer_schema(TRAIN).target is None
    with pytest.raises(TabOrderError, match="nothing"):
        harness.infer_schema(TRAIN, target="nothing")


def test_a_generator_by_hand_from_frames_alone():
    before = TRAIN.copy(deep=True)
    generator = harness.make_generator("independent").fit(TRAIN, seed=1)
    rows = generator.sample(50, seed=2)
    assert rows.shape == (50, 3)
    assert set(rows["state"]) <= set(TRAIN["state"])
    pd.testing.assert_frame_equal(rows, harness.make_generator("independent").fit(TRAIN, seed=1).sample(50, seed=2))
    pd.testing.assert_frame_equal(TRAIN, before)


class Constant:
    def __init__(self, state="s0"):
        self.state = state

    def fit(self, train, schema, *, seed):
        self.train = train

    def sample(self, n, *, seed):
        return self.train.head(n).assign(state=self.state)


@pytest.mark.parametrize(
    "made",
    [
        lambda: harness.make_generator(Constant, state="s1"),
        lambda: harness.make_generator(Constant("s1")),
        lambda: harness.make_generator({"_target_": f"{__name__}.Constant"}, state="s1"),
    ],
)
def test_a_generator_of_ones_own(made):
    assert set(made().fit(TRAIN).sample(5)["state"]) == {"s1"}


def test_mistakes_with_a_generator_by_hand():
    with pytest.raises(TabOrderError, match=r"unknown generator 'ctgann'.*Did you mean 'ctgan'"):
        harness.make_generator("ctgann")
    with pytest.raises(TabOrderError, match=r"unknown key of generator 'epocs'.*Did you mean 'epochs'"):
        harness.make_generator("ctgan", epocs=3)
    with pytest.raises(TabOrderError, match="no methods fit and sample"):
        harness.make_generator(int)
    with pytest.raises(TabOrderError, match="call fit"):
        harness.make_generator("copy").sample(3)


def test_parameters_reach_the_generator_and_the_others_keep_the_configurations_values():
    made = harness.make_generator(
        "permutation_aware_llm", llm={"layers": 1, "width": 16}, mining={"max_lhs": 1}
    ).generator
    llm = made.config.llm
    assert (llm.layers, llm.width, llm.heads, dict(made.config.mining)) == (1, 16, 2, {"max_lhs": 1})


QUICK = {"evaluation": "quick", "dataset.max_train_rows": 200}


def test_a_cell_is_the_command_lines_cell(tmp_path):
    record = harness.run("simulated_base1", "independent", seed=3, store=tmp_path / "store", settings=QUICK)
    assert (record.status, record.cell.seed, record.cell.n_rows) == ("ok", 3, 200)
    assert record.score("distribution.column_shapes").value > 0.8
    words = ["dataset=simulated_base1", "generator=independent", "seed=3", "evaluation=quick"]
    done = command_line.harness(*words, "dataset.max_train_rows=200", "tracker=none", "store.root=store", cwd=tmp_path)
    assert "reused" in done.stderr, done.stderr  # one key for both
    assert record.command.startswith("python -m harness generator=independent")


def test_a_cell_of_frames_and_of_a_class(tmp_path):
    dataset = harness.make_dataset(TRAIN, TEST, target="bird", name="birds")
    assert [str(fd) for fd in dataset.fds] == ["state→bird"]
    record = harness.run(dataset, Constant, store=tmp_path, settings={"evaluation": "quick", "n_rows": 50})
    assert (record.status, record.cell.generator, record.command) == ("ok", "Constant", None), record.error
    again = harness.run(
        dataset, {"_target_": f"{__name__}.Constant", "state": "s1"}, store=tmp_path, settings={"evaluation": "quick"}
    )
    assert again.cell.params == {"state": "s1"}
    assert list(harness.leaderboard(tmp_path).to_frame().index) != []


PLAIN = """
import harness
print("script")
record = harness.run("simulated_base1", "copy", store="store", settings={"evaluation": "quick", "dataset.max_train_rows": 100})
print(record.status, record.error)
"""


def test_a_plain_script_needs_no_guard(tmp_path):
    (tmp_path / "plain.py").write_text(PLAIN)
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "plain.py"], cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=200
    )
    assert done.stdout.splitlines() == ["script", "ok None"], done.stderr


def test_mistakes_of_a_run_are_one_sentence_and_leave_nothing(tmp_path):
    def refused(words, *given, **more):
        with pytest.raises(TabOrderError, match=words):
            harness.run(*given, store=tmp_path / "store", **more)

    class Local(Constant):
        pass

    refused("unknown dataset 'nowhere'", "nowhere", "copy")
    refused("unknown generator 'copi'.*Did you mean 'copy'", "simulated_base1", "copi")
    refused("unknown key of generator 'epocs'", "simulated_base1", "ctgan", settings={"generator.epocs": 3})
    refused("move it into a module, say my_generator.py", "simulated_base1", Local)
    refused("cannot import _target_", "simulated_base1", {"_target_": "nowhere.Thing"})
    refused("tracker.mode is of no use", "simulated_base1", "copy", settings={"tracker.mode": "online"})
    refused("cache=only runs nothing", "simulated_base1", "copy", settings={"cache": "only", **QUICK})
    assert not list(tmp_path.rglob("record.json"))
