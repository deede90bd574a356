"""Each generator with an environment of its own, for real: the environment is made (once), a tiny table goes through.

Made environments are kept under TABORDER_CACHE. TABORDER_SKIP_ENVIRONMENTS=1 switches these tests off.
"""

import json
import os
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from pandas.testing import assert_frame_equal

from harness.errors import Incompatible, TabOrderError
from harness.execution.stages import build_generator
from harness.generator import Context
from harness.table import Column, Schema, conform
from harness.targets import wrapped

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("TABORDER_SKIP_ENVIRONMENTS") == "1",
        reason="TABORDER_SKIP_ENVIRONMENTS=1: no environments are made",
    ),
]

TINY = {
    "arf": {"trees": 5},
    "great": {"epochs": 25, "device": "cpu", "sample_batch": 64, "max_attempts": 20},
    "realtabformer": {"epochs": 10, "sample_batch": 64},
    "tabular_argn": {"epochs": 2, "model": "MOSTLY_AI/Small"},
}
SCHEMA = Schema(
    (
        Column("city", "categorical"),
        Column("zone", "categorical"),
        Column("count", "integer"),
        Column("size", "float", 2),
        Column("empty", "categorical"),
    )
)


@pytest.fixture(scope="module")
def train():
    random = np.random.default_rng(0)
    rows = 150
    city = random.integers(0, 4, rows)
    return pd.DataFrame(
        {
            "city": pd.Series([f"Çity{i}" for i in city], dtype=object),
            "zone": pd.Series([("north", "south")[i % 2] if i else None for i in city], dtype=object),
            "count": pd.array(np.where(random.random(rows) < 0.2, None, random.integers(0, 5, rows)), dtype="Int64"),
            "size": np.where(random.random(rows) < 0.2, np.nan, (city + random.random(rows)).round(2)),
            "empty": pd.Series([None] * rows, dtype=object),
        }
    )


def spec_of(name, **changes):
    conf = files("conf")
    parts = {"generator": f"generator/{name}.yaml", "scale": "scale/small.yaml"}
    data = OmegaConf.create({key: OmegaConf.load(str(conf / path)) for key, path in parts.items()}).generator
    for key, value in {"epochs": 1, **TINY[name], **changes}.items():
        if key in data:
            data[key] = value
    return OmegaConf.to_container(data, resolve=True)


def fitted(name, train, folder, seed=1, **changes):
    folder.mkdir()
    generator = build_generator(spec_of(name, **changes), None)
    generator.bind(Context(folder, 1, lambda *_, **__: None))
    generator.fit(train, SCHEMA, seed=seed)
    return generator


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_table_goes_through_and_equal_seeds_give_equal_tables(name, train, tmp_path):
    before = train.copy(deep=True)
    generator = fitted(name, train, tmp_path / "one")
    sample = generator.sample(40, seed=2)
    frame, _ = conform(sample.frame, SCHEMA)
    other, _ = conform(generator.sample(40, seed=3).frame, SCHEMA)
    described = generator.describe()
    generator.close()
    assert_frame_equal(train, before)

    produced = sample.yield_
    assert produced.accepted == len(frame)
    assert produced.attempted == produced.accepted + sum(produced.rejected.values())
    assert 30 <= len(frame) <= 40
    assert frame["empty"].isna().all()
    assert frame["city"].isin(train["city"]).mean() > 0.6
    assert not frame.equals(other)

    json.dumps(described, allow_nan=False)
    assert described["environment"]["name"] == name
    assert described["environment"]["packages"]["pandas"] == "2.3.3"
    if name in ("great", "realtabformer"):
        losses = [point["loss"] for point in described["curve"]]
        assert len(losses) >= 2
        assert losses[-1] < losses[0]

    again = fitted(name, train, tmp_path / "two")  # another process, another folder
    assert_frame_equal(conform(again.sample(40, seed=2).frame, SCHEMA)[0], frame)
    again.close()


@pytest.mark.parametrize("name", ["great", "realtabformer"])
def test_time_budget_stops_training_and_is_noted(name, train, tmp_path):
    generator = fitted(name, train, tmp_path / "one", epochs=100_000, max_train_seconds=0.5)
    notes = generator.describe()["notes"]
    generator.close()
    assert any("max_train_seconds=0.5 was spent" in note for note in notes)


def test_tabular_argn_notes_that_it_stopped_early(train, tmp_path):
    generator = fitted("tabular_argn", train, tmp_path / "one", epochs=100_000, max_train_seconds=3)
    notes = generator.describe()["notes"]
    generator.close()
    assert any(note.startswith("training stopped after") for note in notes)


def test_great_refuses_names_it_cannot_read_back(train, tmp_path):
    schema = Schema((Column("city is", "categorical"), SCHEMA["count"]))
    generator = build_generator(spec_of("great"), None)
    generator.bind(Context(tmp_path, 1, lambda *_, **__: None))
    with pytest.raises(Incompatible, match="cannot read back column 'city is'"):
        generator.fit(train.rename(columns={"city": "city is"})[schema.names], schema, seed=0)


def test_great_delivers_fewer_rows_rather_than_never_ending(train, tmp_path):
    # Too little training for many valid rows; 4 batches of 256 reach the limit of 2 × 500 rows started.
    generator = fitted("great", train, tmp_path / "one", epochs=1, max_attempts=2, sample_batch=256)
    sample = generator.sample(500, seed=0)
    generator.close()
    assert len(sample.frame) < 500
    assert sample.yield_.attempted == 1024
    assert sample.yield_.rejected["invalid"] > 0


@pytest.mark.parametrize("name", TINY)
def test_all_missing_tables_are_incompatible(name, train, tmp_path):
    narrow = Schema((SCHEMA["empty"],))
    generator = build_generator(spec_of(name), None)
    generator.bind(Context(tmp_path, 1, lambda *_, **__: None))
    with pytest.raises(Incompatible, match="all are missing throughout"):
        generator.fit(train[["empty"]], narrow, seed=0)


def test_illegal_options_are_named_from_there(tmp_path, train):
    generator = build_generator(spec_of("great", width=63), None)
    generator.bind(Context(tmp_path, 1, lambda *_, **__: None))
    with pytest.raises(TabOrderError, match="width 63 must be a multiple of heads"):
        generator.fit(train, SCHEMA, seed=0)


def test_a_cell_of_the_command_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "harness",
        "dataset=simulated_base5",
        "dataset.max_train_rows=100",
        "generator=arf",
    ]
    options = ["generator.trees=5", "n_rows=50", f"store.root={tmp_path}", "tracker=none"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("runs/simulated_base5/arf/*/record.json")
    record = json.loads(path.read_text())
    assert record["status"] == "ok"
    assert record["yield"]["accepted"] == 50
    assert record["generator_info"]["environment"]["packages"]["arfpy"] == "0.1.1"
    assert len(pd.read_parquet(path.parent / "synthetic.parquet")) == 50


@pytest.mark.parametrize(
    ("name", "wrapper"),
    [
        ("arf", {"repair": "fd"}),
        (
            "tabular_argn",
            {"_target_": "baselines.ordered.tabular_argn.OrderedTabularARGN", "order": "fd", "any_order": False},
        ),
    ],
)
def test_a_wrapper_lives_in_the_environment_of_what_it_wraps(name, wrapper, train, tmp_path):
    spec = wrapped({**spec_of(name), **wrapper}, {"fd": {"_target_": "methods.fd_repair.FdRepair"}})
    generator = build_generator(spec, None)
    generator.bind(Context(tmp_path, 1, lambda *_, **__: None))
    generator.fit(train, SCHEMA, seed=1)
    frame, _ = conform(generator.sample(40, seed=2).frame, SCHEMA)
    described = generator.describe()
    generator.close()
    assert list(frame) == SCHEMA.names
    assert described["environment"]["name"] == name
    assert {"lhs": ["city"], "rhs": "zone", "g3": 0.0} in described["fds"]
    if name == "arf":
        assert described["fd_repair"]["followed"][0]["rhs"] == "zone"
        assert (frame.groupby("city").zone.nunique(dropna=False) == 1).all()
    else:
        assert described["column_order"].index("city") < described["column_order"].index("zone")
