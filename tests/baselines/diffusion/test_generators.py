"""What each of the three must do with any table."""

import os
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from baselines.diffusion.training import Trainer
from harness.errors import Incompatible, TabOrderError
from harness.generator import Context, ContextAware, Describes, Generator
from harness.table import Column, Schema, conform
from tests.baselines.diffusion.tiny import CLASSES, SCHEMA, fingerprint, make, rows

STEPS = {"tabddpm": 500, "tabsyn": 500, "tabdiff": 250}


@pytest.fixture(scope="module", params=CLASSES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def mixed():
    """400 rows with missing cells in every kind that depend on a category, a constant and an all-missing column."""
    draw = np.random.default_rng(0)
    kind = draw.integers(0, 2, 400)
    gone = draw.random(400) < np.where(kind, 0.5, 0.05)
    number = np.where(kind, draw.normal(5, 1, 400), draw.normal(-5, 1, 400)).round(2)
    frame = pd.DataFrame(
        {
            "kind": pd.Series(np.array(["x is y", "1,5"], dtype=object)[kind], dtype=object),
            "é,x": np.where(gone, np.nan, number),
            "count": pd.array(np.where(draw.random(400) < 0.3, None, draw.integers(0, 10, 400)), dtype="Int64"),
            "text": pd.Series(np.where(draw.random(400) < 0.3, None, "some"), dtype=object),
            "constant": pd.Series(["same"] * 400, dtype=object),
            "empty": pd.array([pd.NA] * 400, dtype="Int64"),
        }
    )
    kinds = {
        "kind": "categorical",
        "é,x": "float",
        "count": "integer",
        "text": "categorical",
        "constant": "categorical",
    }
    columns = [Column(column, kind, 2 if kind == "float" else None) for column, kind in kinds.items()]
    return frame, Schema((*columns, Column("empty", "integer")))


@pytest.fixture(scope="module")
def fitted(name, mixed):
    generator = make(name, steps=STEPS[name])
    generator.fit(*mixed, seed=1)
    return generator


def test_values_ranges_and_missing_cells_are_the_columns_own(fitted, mixed):
    train, schema = mixed
    sample = fitted.sample(400, seed=2)
    assert all(isinstance(fitted, protocol) for protocol in (Generator, ContextAware, Describes))
    frame, invalid = conform(sample.frame, schema)
    assert (len(frame), invalid) == (400, {})
    assert (sample.yield_.attempted, sample.yield_.accepted, dict(sample.yield_.rejected)) == (400, 400, {})
    assert set(frame["kind"]) == {"x is y", "1,5"}
    assert set(frame["text"].dropna()) == {"some"}
    assert set(frame["constant"]) == {"same"}
    assert frame["empty"].isna().all()
    for column in ("é,x", "count"):
        assert frame[column].dropna().between(train[column].min(), train[column].max()).all()
    for column in ("count", "é,x", "text"):
        assert frame[column].isna().mean() == pytest.approx(train[column].isna().mean(), abs=0.17)
    gone = frame["é,x"].isna().groupby(frame["kind"]).mean()
    assert gone["1,5"] > gone["x is y"] + 0.05  # .5 and .05 in train: what is missing depends on the kind


def test_the_sampling_seed_decides(fitted, mixed):
    first, other, again = (fitted.sample(80, seed=seed).frame for seed in (2, 3, 2))
    assert_frame_equal(first, again)
    assert not first.equals(other)
    fitted.options["sample_batch"] = 50
    parts = fitted.sample(80, seed=2).frame
    fitted.options["sample_batch"] = 8192
    assert len(parts) == 80
    assert len(fitted.sample(0, seed=1).frame) == 0


def test_the_record_names_the_preset_and_its_steps(fitted, name):
    facts = fitted.describe()
    assert (facts["preset"], facts["steps"], facts["planned_steps"]) == ("small", STEPS[name], STEPS[name])
    assert facts["parameters"] > 1000
    assert facts["curve"][-1]["loss"] < facts["curve"][0]["loss"]
    assert {"step", "epoch", "loss", "seconds"} <= set(facts["curve"][0])
    assert any(note.startswith("preset small: ") and "steps" in note for note in facts["notes"])
    assert "column 'empty' has no value in train: not modelled, all missing" in facts["notes"]
    if name == "tabdiff":
        order = facts["decoding_order"]
        assert {entry["column"] for entry in order} == {
            *("kind", "é,x", "é,x is missing", "count", "count is missing", "text")
        }
        assert [entry["time"] for entry in order] == sorted((entry["time"] for entry in order), reverse=True)
        assert any(entry["learnt"] != 0 for entry in order)
    if name == "tabsyn":
        assert facts["vae_steps"] + facts["diffusion_steps"] == facts["steps"]


def test_nothing_global_or_given_is_changed(name):
    def state():
        return (
            random.getstate(),
            np.random.get_state()[1].tolist(),
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
        )

    train, before = rows(), state()
    generator = make(name)
    generator.fit(train, SCHEMA, seed=1)
    generator.sample(5, seed=1)
    assert_frame_equal(train, rows())
    assert before == state()


def test_equal_seeds_give_equal_bytes_in_another_process_and_others_do_not():
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "tests.baselines.diffusion.tiny"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [fingerprint(name, 3) for name in CLASSES]
    assert not set(done.stdout.split()) & {fingerprint(name, 5) for name in CLASSES}


def test_nothing_heavy_is_imported_before_fit():
    script = "import sys, baselines.diffusion.tabsyn as a, baselines.diffusion.tabdiff as b, baselines.diffusion.tabddpm as c"
    script += (
        "; a.TabSyn(), b.TabDiff(), c.TabDDPM(); print([n for n in ('torch', 'sklearn', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("columns", ["a", "b", "c", "bc", "ab"])
@pytest.mark.parametrize("labelled", [True, False])
def test_any_choice_of_columns(name, columns, labelled):
    """Numbers alone, categories alone, one column; the target among them or none."""
    target = "a" if labelled and "a" in columns else None
    schema = Schema(tuple(SCHEMA[c] for c in columns), target, target and "classification")
    generator = make(name)
    generator.fit(rows()[list(columns)], schema, seed=1)
    frame, invalid = conform(generator.sample(20, seed=1).frame, schema)
    assert (len(frame), invalid) == (20, {})


def test_categories_alone_and_a_regression_target(name):
    schema = Schema(
        (Column("p", "categorical"), Column("q", "categorical"), Column("y", "float", 1)), "y", "regression"
    )
    frame = pd.DataFrame({"p": ["1", "2"] * 10, "q": ["3", "3", "4", "4"] * 5, "y": [float(i) for i in range(20)]})
    for chosen in (schema, Schema(schema.columns[:2])):
        generator = make(name)
        generator.fit(frame[chosen.names], chosen, seed=0)
        assert not conform(generator.sample(9, seed=1).frame, chosen)[1]


def test_one_row_and_constant_columns(name):
    """Nothing is left to learn: the row comes back."""
    one = rows(4).dropna().head(1).reset_index(drop=True)
    for frame in (one, pd.concat([one] * 3, ignore_index=True)):
        generator = make(name)
        generator.fit(frame, SCHEMA, seed=1)
        drawn, _ = conform(generator.sample(5, seed=1).frame, SCHEMA)
        assert_frame_equal(drawn, pd.concat([one] * 5, ignore_index=True))
        assert generator.describe()["steps"] == 0
    two = rows().head(2)
    generator = make(name)
    generator.fit(two, SCHEMA, seed=1)
    assert len(generator.sample(5, seed=1).frame) == 5


def test_a_killed_fit_goes_on_to_equal_bytes(name, tmp_path, monkeypatch):
    def fit(folder):
        generator = make(name, steps=8, checkpoint_seconds=1e-9)
        generator.bind(Context(folder, 1, lambda *_, **__: None))
        generator.fit(rows(), SCHEMA, seed=3)
        return generator

    whole = fit(tmp_path / "whole")
    step, calls = Trainer._step, []

    def killed(self, *given):
        calls.append(None)
        if len(calls) == 7:  # TabSyn: in the third of its diffusion's four steps
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(Trainer, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut")
    again = fit(tmp_path / "cut")
    assert again.describe()["resumed"][-1] == (2 if name == "tabsyn" else 6)
    assert_frame_equal(whole.sample(30, seed=1).frame, again.sample(30, seed=1).frame)


def test_the_training_seed_decides(name):
    assert fingerprint(name, 1) != fingerprint(name, 2)


def test_bfloat16_trains(name):
    generator = make(name, bf16=True)
    generator.fit(rows(), SCHEMA, seed=1)
    assert not conform(generator.sample(9, seed=1).frame, SCHEMA)[1]


@pytest.mark.parametrize("preset", ["reference", "budget"])
def test_the_large_presets_train(name, preset):
    """Their schedules and their ways to choose weights, at a tiny size."""
    generator = make(name, preset=preset, steps=None, epochs=4, batch_size=20)
    generator.fit(rows(), SCHEMA, seed=1)
    facts = generator.describe()
    assert facts["preset"] == preset
    assert any(note.startswith(f"preset {preset}: ") for note in facts["notes"])
    held = [note for note in facts["notes"] if "only validate" in note]
    assert held == (
        ["4 of 40 training rows only validate the autoencoder; the diffusion trains on all"]
        if (name, preset) == ("tabsyn", "reference")
        else []
    )
    assert not conform(generator.sample(9, seed=1).frame, SCHEMA)[1]


def test_a_time_limit_ends_training_and_is_said(name):
    generator = make(name, steps=10**6, max_train_seconds=0.4)
    generator.fit(rows(), SCHEMA, seed=1)
    assert any("max_train_seconds" in note for note in generator.describe()["notes"])
    assert len(generator.sample(5, seed=1).frame) == 5


def test_refusals(name):
    generator = make(name)
    with pytest.raises(TabOrderError, match="call fit first"):
        generator.sample(5, seed=0)
    with pytest.raises(TabOrderError, match="the training table has no rows"):
        generator.fit(rows(0), SCHEMA, seed=0)
    with pytest.raises(Incompatible, match="at least one column with a value"):
        generator.fit(pd.DataFrame({"c": [np.nan] * 3}), Schema((SCHEMA["c"],)), seed=0)


def test_many_categories_are_sampled_in_smaller_batches(name, monkeypatch):
    schema = Schema((Column("id", "categorical"), Column("x", "float", 1)))
    frame = pd.DataFrame({"id": [f"i{row}" for row in range(300)], "x": [row / 10 for row in range(300)]})
    generator = make(name)
    generator.fit(frame, schema, seed=1)
    monkeypatch.setattr("baselines.diffusion.generator.MOST_CELLS", 3000)
    seen = []
    generator.report = lambda stage, done, total, **_: seen.append((stage, done, total))
    drawn = generator.sample(25, seed=1).frame
    assert seen == [("sample", 10, 25), ("sample", 20, 25), ("sample", 25, 25)]
    assert set(drawn["id"]) <= set(frame["id"])
