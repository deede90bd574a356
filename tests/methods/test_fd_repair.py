"""``generator.repair=fd``: what is kept, what is looked up, what is counted; the same through the command line."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import harness
from baselines.resampling import Independent
from harness.dependencies import FunctionalDependency, violations
from harness.errors import TabOrderError
from harness.execution.cell import run_cell
from harness.execution.job import Evaluation, Job
from harness.execution.remote_host import Host
from harness.generator import Context, Sample, Yield
from harness.ranking.runs import runs
from harness.records.store import ResultStore
from harness.table import Column, Schema, conform
from harness.targets import build, check, targets_of, wrapped
from methods.fd_repair import FdRepair, plan
from tests.factories import make_dataset

CONF = Path(__file__).resolve().parents[2] / "conf"
REPAIRS = {"fd": {"_target_": "methods.fd_repair.FdRepair", "mining": {}}}


def fd(text: str, g3: float = 0.0) -> FunctionalDependency:
    left, right = text.split("→")
    return FunctionalDependency(tuple(left.split(",")), right, g3)


class Says:
    """Returns the rows it is given, whatever the table."""

    repeatable = False

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None: ...

    def bind(self, context: Context) -> None:
        self.context = context

    def sample(self, n: int, *, seed: int) -> Sample:
        return Sample(self.frame, Yield(2 * n, n, {"lost": n}))

    def describe(self) -> dict[str, Any]:
        return {"notes": ["said by the generator"], "column_order": ["c"]}


def repaired(train: dict[str, Any], rows: dict[str, Any], kinds: str, **mining: Any) -> tuple[pd.DataFrame, FdRepair]:
    """Rows said by a generator, repaired; ``kinds``: c, n or x for each column."""
    kind = {"c": "categorical", "n": "integer", "x": "float"}
    columns = [Column(name, kind[k], 1 if k == "x" else None) for name, k in zip(train, kinds, strict=True)]
    schema = Schema(tuple(columns))
    real = conform(pd.DataFrame(train), schema)[0]
    generator = FdRepair(Says(pd.DataFrame(rows)), mining={"min_support": 0, "max_distinct_share": 1, **mining})
    generator.fit(real, schema, seed=0)
    return generator.sample(len(next(iter(rows.values()))), seed=0).frame, generator


CITY = {"zip": [1, 1, 2, 2, 8, 8], "city": list("AABBCC"), "state": list("ssssTT")}
"""zip ↔ city → state."""


def test_dependents_are_looked_up_in_the_order_of_the_chain_and_determinants_stay() -> None:
    rows = {"zip": [1, 2, 8], "city": ["C", "B", "A"], "state": ["T", "T", "T"]}
    made, generator = repaired(CITY, rows, "ncc")
    assert made.to_dict("list") == {"zip": [1, 2, 8], "city": ["A", "B", "C"], "state": ["s", "s", "T"]}
    facts = generator.describe()["fd_repair"]
    assert [(one["lhs"], one["rhs"], one["changed"]) for one in facts["followed"]] == [
        (["zip"], "city", 2),
        (["zip"], "state", 2),
    ]
    assert facts["left"] == []


def test_an_unseen_number_takes_the_nearest_left_side_and_an_unseen_category_the_most_frequent_value() -> None:
    # zip 4 is nearest to 2, zip 6 to 8; a missing zip has no neighbour: state's most frequent value, s.
    made, generator = repaired(CITY, {"zip": [4, 6, None], "city": [None] * 3, "state": ["?"] * 3}, "ncc")
    assert made.city.tolist()[:2] == ["B", "C"]
    assert made.state.tolist() == ["s", "T", "s"]
    followed = {one["rhs"]: one for one in generator.describe()["fd_repair"]["followed"]}
    assert (followed["state"]["unseen_nearest"], followed["state"]["unseen_most_frequent"]) == (2, 1)
    notes = " ".join(generator.describe()["notes"])
    assert "zip→state changed 3 of 3 rows (2 by the nearest left side) (1 by the most frequent value)" in notes
    train = {"key": list("aabbc"), "value": list("ppqqp")}
    made, _ = repaired(train, {"key": ["b", "new"], "value": ["p", "q"]}, "cc")
    assert made["value"].tolist() == ["q", "p"]


def test_composite_left_sides_look_among_equal_categories() -> None:
    # {k, n} → v, and nothing else (of {k, n} → v and {n, v} → k the first is followed). The row (b, 2): among the b's n = 0 is
    # nearest; that the a's have n = 2 does not count. No c is known: v's most frequent value, of equals the smaller.
    train = {"k": list("aaabb"), "n": [2, 9, 0, 0, 9], "v": list("uwwuy")}
    rows = {"k": list("bbc"), "n": [2, 7, 2], "v": list("www")}
    made, generator = repaired(train, rows, "cnc")
    assert made.v.tolist() == ["u", "y", "u"]
    (followed,) = generator.describe()["fd_repair"]["followed"]
    assert (followed["lhs"], followed["rhs"]) == (["k", "n"], "v")
    assert (followed["unseen_nearest"], followed["unseen_most_frequent"]) == (2, 1)


def test_the_distance_of_several_numbers_is_in_units_of_their_spread() -> None:
    # {n, x} → c. n is spread over hundreds, x over one: the row (100, 1) is nearer to (0, 1) than to (100, 0).
    train = {"n": [0, 0, 1000, 1000, 100], "x": [0.0, 1, 0, 1, 0], "c": list("pqqpr")}
    made, generator = repaired(train, {"n": [100], "x": [1.0], "c": ["p"]}, "nxc")
    assert generator.describe()["fd_repair"]["followed"][0]["lhs"] == ["n", "x"]
    assert made.c.tolist() == ["q"]


def test_missing_values_are_values_on_both_sides() -> None:
    train = {"a": [None, None, "p", "p"], "b": ["m", "m", None, None]}
    made, _ = repaired(train, {"a": [None, "p"], "b": [None, "m"]}, "cc")
    assert made.a.tolist() == [None, "p"]
    assert made.b.tolist() == ["m", None]


def test_the_plan_has_one_dependency_a_column_no_circle_and_determinants_first() -> None:
    names = list("abcde")
    equal = dict.fromkeys(names, 5)

    def order(*fds: FunctionalDependency) -> list[str]:
        return [str(one) for one in plan(fds, names, lambda left: sum(equal[name] for name in left))]

    assert order(fd("a→b"), fd("b→a")) == ["a→b"]
    assert order(fd("b→c"), fd("a→b"), fd("a→c", 0.1)) == ["a→b", "b→c"]
    assert order(fd("a,b→c"), fd("c→a"), fd("d→b")) == ["c→a", "d→b"]  # {a, b}→c would close a circle through a
    assert order(fd("c,d→e"), fd("a→c"), fd("b→d")) == ["a→c", "b→d", "c,d→e"]


def test_what_the_generator_says_and_what_it_is_passes_through(tmp_path: Path) -> None:
    made, generator = repaired(CITY, {"zip": [1], "city": ["A"], "state": ["s"]}, "ncc")
    generator.bind(Context(tmp_path, 1, lambda *_, **__: None))
    assert generator.of.context.work_dir == tmp_path
    assert generator.repeatable is False
    told = generator.describe()
    assert told["notes"][0] == "said by the generator"
    assert told["column_order"] == ["c"]
    assert generator.sample(1, seed=0).yield_ == Yield(2, 1, {"lost": 1})
    assert made.equals(generator.sample(1, seed=0).frame)


def test_nothing_to_repair_and_cells_that_are_no_values_are_said() -> None:
    made, generator = repaired({"a": list("pqpq"), "n": [1, 1, 2, 2]}, {"a": ["p", "q"], "n": ["1", "text"]}, "cn")
    assert made.n.tolist() == [1, pd.NA]
    assert "no dependency was found in train, so nothing was repaired." in " ".join(generator.describe()["notes"])


def test_a_column_with_two_determinants_follows_one_and_the_other_is_counted() -> None:
    # a→c and b→c, both exact in train; the rows join a's and b's that contradict each other.
    train = {"a": list("ppqq"), "b": list("uuvv"), "c": list("xxyy")}
    train = {name: values * 2 for name, values in train.items()}
    train["a"] = ["p", "p", "q", "q", "p2", "p2", "q2", "q2"]
    _, generator = repaired(train, {"a": ["p", "q"], "b": ["v", "v"], "c": ["x", "x"]}, "ccc")
    left = generator.describe()["fd_repair"]["left"]
    assert all(0 < one["rate"] <= 1 for one in left)
    assert bool(left) == any("still violate" in note for note in generator.describe()["notes"])


def test_independent_columns_repaired_keep_every_dependency_of_a_chain() -> None:
    random = np.random.default_rng(0)
    a = random.integers(0, 60, 900)
    schema = Schema(tuple(Column(name, "categorical") for name in "abcd"))
    frame = conform(pd.DataFrame({"a": a, "b": a // 3, "c": a // 12, "d": random.integers(0, 3, 900)}), schema)[0]
    generator = FdRepair(Independent())
    generator.fit(frame, schema, seed=0)
    made = generator.sample(500, seed=1).frame
    plain = Independent()
    plain.fit(frame, schema, seed=0)
    before = plain.sample(500, seed=1).frame
    assert made[["a", "d"]].equals(before[["a", "d"]])
    for one in (fd("a→b"), fd("b→c"), fd("a→c")):
        assert violations(one, frame, before, schema).rate > 0.5
        assert violations(one, frame, made, schema).rate == 0


def test_the_wrapper_takes_the_place_of_the_key_and_the_environment_moves_out() -> None:
    spec = {"_target_": "baselines.arf.ARF", "trees": 3, "repair": None, "environment": {"name": "arf"}}
    assert wrapped(spec, REPAIRS) == {"_target_": "baselines.arf.ARF", "trees": 3, "environment": {"name": "arf"}}
    assert wrapped({**spec, "repair": "fd"}, REPAIRS) == {
        **REPAIRS["fd"],
        "of": {"_target_": "baselines.arf.ARF", "trees": 3},
        "environment": {"name": "arf"},
    }
    with pytest.raises(TabOrderError, match=r"unknown value of generator.repair 'df': the choices are fd"):
        wrapped({**spec, "repair": "df"}, REPAIRS)


def test_mistakes_inside_are_told_before_anything_runs_and_versions_are_those_of_both() -> None:
    spec = wrapped({"_target_": "baselines.resampling.Copy", "repair": "fd"}, REPAIRS)
    assert list(targets_of(spec)) == ["methods.fd_repair.FdRepair", "baselines.resampling.Copy"]
    assert isinstance(build(spec).of, build({"_target_": "baselines.resampling.Copy"}).__class__)
    with pytest.raises(TabOrderError, match=r"argument of baselines.resampling.Copy 'epochs'"):
        check(wrapped({"_target_": "baselines.resampling.Copy", "epochs": 1, "repair": "fd"}, REPAIRS))


def test_a_repaired_cell_is_another_cell_with_its_counts_in_the_record(tmp_path: Path) -> None:
    records = {}
    for repair in (None, "fd"):
        spec = wrapped({"_target_": "baselines.resampling.Independent", "repair": repair}, REPAIRS)
        job = Job(
            dataset=make_dataset(),
            generator=f"independent+{repair}_repair" if repair else "independent",
            spec=spec,
            seed=0,
            evaluation=Evaluation(({"_target_": "harness.metrics.dependencies.FDViolations"},)),
            store=ResultStore(tmp_path),
        )
        records[repair] = run_cell(job).record
        assert records[repair].status == "ok", records[repair].error
    assert records[None].cell.key != records["fd"].cell.key
    assert (records[None].cell.version, records["fd"].cell.version) == ("1", "1+1")
    rates = [record.score("dependencies.fd_violation_rate").value for record in records.values()]
    assert rates[0] > 0.2
    assert rates[1] == 0
    assert records["fd"].generator_info["fd_repair"]["followed"][0]["rhs"] == "bird"
    assert len({run.generator for run in runs(list(records.values()))}) == 2
    # A key that is there but unused changes no cell.
    assert replace(job, spec={**spec, "repair": None}).cell.key == records["fd"].cell.key


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "generator").glob("*.yaml")))
def test_every_generator_can_be_repaired_from_the_command_line(name: str) -> None:
    words = [f"generator={name}", "generator.repair=fd", "+repairs.fd.mining.max_lhs=1"]
    words += ["generator._target_=baselines.resampling.Copy"] if name == "plugin" else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("config", overrides=words), resolve=True)
    spec = wrapped(config["generator"], config["repairs"])
    assert spec["_target_"] == "methods.fd_repair.FdRepair"
    assert spec["mining"] == {"max_lhs": 1}
    assert "repair" not in spec["of"]
    check(spec)


def test_from_python_too() -> None:
    dataset = make_dataset()
    hand = harness.make_generator("independent", repair="fd")
    assert isinstance(hand.generator, FdRepair)
    hand.fit(dataset.train)
    assert hand.sample(30).groupby("state").bird.nunique(dropna=False).max() == 1


def test_it_runs_inside_a_generators_own_environment() -> None:
    host = Host(lambda _: None)
    host.build("methods.fd_repair.FdRepair", {"of": {"_target_": "baselines.resampling.Independent"}})
    assert isinstance(host._generator, FdRepair)
    assert isinstance(host._generator.of, Independent)
    # There, numpy, pandas and pyarrow are all it may count on.
    code = "import sys, methods.fd_repair; print(*({'networkx', 'scipy', 'sklearn', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
