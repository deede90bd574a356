import pandas as pd
import pytest

from baselines.sdv import CTGAN, TVAE, GaussianCopula, sdtype
from harness.errors import Incompatible, TabOrderError
from harness.generator import Context
from harness.table import Column, Schema, conform


@pytest.mark.parametrize("make", [CTGAN, TVAE])
def test_curve_and_progress_have_one_point_an_epoch(make, train, schema, tmp_path):
    seen = []
    generator = make(epochs=3, batch_size=20)
    generator.bind(
        Context(tmp_path, 1, lambda stage, done, total, **numbers: seen.append((stage, done, total, numbers)))
    )
    generator.fit(train, schema, seed=1)
    curve = generator.describe()["curve"]
    assert [point["epoch"] for point in curve] == [1, 2, 3]
    assert [(stage, done, total) for stage, done, total, _ in seen] == [("fit", i, 3) for i in (1, 2, 3)]
    assert [numbers["loss"] for *_, numbers in seen] == [point["loss"] for point in curve]
    assert len({point["loss"] for point in curve}) == 3


def test_time_budget_stops_between_epochs_and_is_noted(train, schema):
    generator = CTGAN(epochs=10_000, batch_size=20, max_train_seconds=0.01)
    generator.fit(train, schema, seed=1)
    described = generator.describe()
    assert len(described["curve"]) == 1  # the budget is spent before the first epoch ends; one is always run
    assert "training stopped after 1 of 10000 epochs: max_train_seconds=0.01 was spent" in described["notes"]
    assert len(generator.sample(5, seed=1).frame) == 5


def test_gaussian_copula_notes_an_overrun_budget(train, schema):
    generator = GaussianCopula(max_train_seconds=1e-6)
    generator.fit(train, schema, seed=1)
    assert any("more than max_train_seconds=1e-06" in note for note in generator.describe()["notes"])


def test_unmodelled_columns_are_noted(train, schema):
    generator = GaussianCopula()
    generator.fit(train, schema, seed=1)
    assert generator.describe()["notes"][0] == "column 'empty' has no value in train: not modelled, all missing"


def test_states_and_coordinates_are_modelled_not_replaced():
    # sdv's own detection would take these for personal data and invent new ones.
    schema = Schema((Column("state", "categorical"), Column("zip", "integer"), Column("lat", "float", 1)))
    frame = pd.DataFrame(
        {
            "state": pd.Series(["NM", "HI"] * 30, dtype=object),
            "zip": pd.array([87101, 96701] * 30, dtype="Int64"),
            "lat": [34.5, 21.3] * 30,
        }
    )
    generator = GaussianCopula()
    generator.fit(frame, schema, seed=0)
    sampled = conform(generator.sample(60, seed=0).frame, schema)[0]
    assert set(sampled["state"]) == {"NM", "HI"}
    assert sampled["zip"].between(87101, 96701).all()
    assert sampled["lat"].between(21.3, 34.5).all()


def test_refuses_before_work(train, schema):
    with pytest.raises(Incompatible, match="at least 2 training rows, got 1"):
        GaussianCopula().fit(train.head(1), schema, seed=0)
    with pytest.raises(Incompatible, match="all are missing"):
        GaussianCopula().fit(train[["empty"]], Schema((schema["empty"],)), seed=0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CTGAN(batch_size=25), "batch_size 25 must be even and a multiple of pac"),
        (lambda: TVAE(epochs=0), "epochs is 0"),
        (lambda: TVAE(max_train_seconds=0), "max_train_seconds is 0"),
        (lambda: GaussianCopula(default_distribution="nrom"), "Did you mean 'norm'"),
    ],
)
def test_illegal_options_are_named(make, sentence):
    with pytest.raises(TabOrderError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("cells", "kind", "declared"),
    [
        ([0, 1] * 30, "integer", "ordinal"),
        ([0, None, 1] * 20, "integer", "ordinal"),
        (list(range(10)) * 10, "integer", "ordinal"),
        (list(range(11)) * 10, "integer", "numerical"),  # more than 10 values
        (list(range(5)) * 9, "integer", "numerical"),  # more than a tenth of the rows
        ([0.5, 1.0] * 30, "float", "numerical"),
        (["a", "b"] * 30, "categorical", "categorical"),
    ],
)
def test_few_whole_numbers_are_declared_as_sdv_itself_would(cells, kind, declared):
    table, _ = conform(pd.DataFrame({"x": pd.Series(cells, dtype=object)}), Schema((Column("x", kind),)))
    assert sdtype(table["x"], Column("x", kind)) == declared


@pytest.mark.parametrize("make", [lambda: CTGAN(epochs=2, batch_size=20), lambda: TVAE(epochs=2), GaussianCopula])
def test_a_rare_bit_stays_rare_and_the_record_says_how_it_was_declared(make):
    rows = 400
    of = Schema((Column("bit", "integer"), Column("x", "float", 2), Column("level", "integer")))
    frame = conform(
        pd.DataFrame(
            {
                "bit": [int(i % 50 == 0) for i in range(rows)],
                "x": [round((i * 37 % 101) / 7, 2) for i in range(rows)],
                "level": pd.Series([None if i % 9 == 0 else i % 3 for i in range(rows)], dtype=object),
            }
        ),
        of,
    )[0]
    generator = make()
    generator.fit(frame, of, seed=0)
    made, invalid = conform(generator.sample(rows, seed=0).frame, of)
    assert not invalid
    assert set(made["level"].dropna()) <= {0, 1, 2}
    described = generator.describe()
    assert described["column_types"] == {"bit": "ordinal", "x": "numerical", "level": "ordinal"}
    assert "declared ordinal to sdv, as whole numbers of few values: bit, level" in described["notes"][-1]
    if isinstance(generator, GaussianCopula):  # the others have hardly begun to learn
        assert 0 < made["bit"].mean() < 0.1
