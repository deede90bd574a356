"""Mining: what is found, what is left out and why."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from harness.dependencies import (
    Encoder,
    FunctionalDependency,
    MiningOptions,
    count_pairs,
    g3_error,
    hyfd,
    mine,
    violations,
)
from harness.errors import TabOrderError
from harness.table import Column, Schema
from tests.harness.dependencies.tables import categorical, paper, simulated

RAW = MiningOptions(max_distinct_share=1.0, min_support=0.0)
needs_hyfd = pytest.mark.skipif(not hyfd.available(), reason="desbordante (extra hyfd) is not installed")


def found(frame: pd.DataFrame, schema: Schema, **options: object) -> list[str]:
    return [str(fd) for fd in mine(frame, schema, **options).fds]


def test_simulated_chain() -> None:
    assert found(*simulated(5)) == ["A→B", "A→C", "A→D", "B→C", "B→D", "C→D"]


def test_constant_column_is_on_no_side_and_is_named() -> None:
    result = mine(*simulated(1))  # base 1: D = C mod 1 is constant
    assert [str(fd) for fd in result.fds] == ["A→B", "A→C", "B→C"]
    assert any("constant" in note and "'D'" in note for note in result.notes)


def test_composite_is_found_only_when_no_part_of_it_suffices() -> None:
    a, b = np.divmod(np.arange(400) % 4, 2)
    frame, schema = categorical(a=a.astype(str), b=b.astype(str), xor=(a ^ b).astype(str), copy=a.astype(str))
    # xor needs both a and b (and any two of the three determine the third); copy = a, so {a, b} → copy is not minimal.
    assert found(frame, schema) == [
        "a→copy",
        "copy→a",
        "a,b→xor",
        "a,xor→b",
        "b,xor→a",
        "b,xor→copy",
        "b,copy→xor",
        "xor,copy→b",
    ]
    assert found(frame, schema, max_lhs=1) == ["a→copy", "copy→a"]


def test_keys_and_near_keys_are_no_left_sides() -> None:
    n = 1000
    frame, schema = categorical(
        key=[f"k{i}" for i in range(n)],
        near=[f"n{i // 2 if i < 100 else i}" for i in range(n)],
        y=[str(i % 3) for i in range(n)],
    )
    result = mine(frame, schema)
    assert result.fds == ()  # near has 950 distinct values of 1000
    assert any("'key', 'near'" in note for note in result.notes)
    assert "key→near" in found(frame, schema, max_distinct_share=1.0, min_support=0)


def test_support_is_the_expected_number_of_disagreements() -> None:
    frame, schema = categorical(x=["a"] * 10 + ["b"] * 10, y=["0"] * 10 + ["1"] * 10)
    # (20 rows − 2 groups) × (1 − (1/4 + 1/4)) = 9 expected disagreements, in both directions.
    result = mine(frame, schema)
    assert result.fds == ()
    assert [(str(fd), reason) for fd, reason in result.rejected] == [
        ("x→y", "support below 20: 9.0"),
        ("y→x", "support below 20: 9.0"),
    ]
    assert result.notes == ("2 dependencies that hold were left out: support below 20.",)
    assert found(frame, schema, min_support=9) == ["x→y", "y→x"]


def test_approximate_dependency_carries_its_g3() -> None:
    x = [str(i % 10) for i in range(1000)]
    y = [str(i % 10 // 2) for i in range(1000)]
    for i in range(30):
        y[i] = str((int(y[i]) + 1) % 5)
    frame, schema = categorical(x=x, y=y)
    assert found(frame, schema) == []
    [fd] = mine(frame, schema, max_g3=0.05).fds
    assert (str(fd), fd.g3) == ("x→y", pytest.approx(0.03))


def test_chance_agreement_is_no_approximate_dependency() -> None:
    generator = np.random.default_rng(0)
    # About 1.5 rows a left value: groups so small that an independent y has a low g3 too.
    frame, schema = categorical(
        x=generator.integers(0, 1000, 1500).astype(str), y=generator.integers(0, 2, 1500).astype(str)
    )
    result = mine(frame, schema, max_g3=0.3)
    assert result.fds == ()
    assert any("gain over chance" in reason for _, reason in result.rejected)


def test_nearly_constant_right_side_is_no_approximate_dependency() -> None:
    frame, schema = categorical(x=[str(i % 4) for i in range(400)], y=["1" if i < 12 else "0" for i in range(400)])
    assert found(frame, schema, max_g3=0.05) == []  # guessing 0 is wrong for 3 % already


def test_numbers_are_compared_at_the_columns_decimals() -> None:
    schema = Schema((Column("x", "float", 1), Column("y", "categorical")))
    frame = pd.DataFrame({"x": np.tile([0.1, 0.1 + 1e-12, 0.2], 100), "y": np.tile(["a", "b", "c"], 100)})
    assert found(frame, schema) == ["y→x"]


def test_missing_is_a_value() -> None:
    frame, schema = categorical(x=[None, "a"] * 50, y=["0", None] * 50)
    assert found(frame, schema) == ["x→y", "y→x"]
    frame.loc[0, "y"] = None
    assert found(frame, schema) == []


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_tables_with_hardly_any_rows(rows: int) -> None:
    frame, schema = simulated(5)
    assert mine(frame.iloc[:rows], schema).fds == ()


def test_a_table_of_one_column_has_none() -> None:
    assert found(*categorical(x=["a", "b"] * 20)) == []


def test_time_limit_ends_the_search_and_is_told() -> None:
    result = mine(*simulated(5), time_limit_seconds=1e-9)
    assert result.limit_hit
    assert result.fds == ()
    assert any("time limit of 1e-09 s after 0 of 4 single columns" in note for note in result.notes)


def test_time_limit_counts_the_coding_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, *[61.0] * 10])  # mine begins at 0; all columns are coded, and the search begins, at 61 s
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    result = mine(*simulated(5), time_limit_seconds=60)
    assert result.limit_hit
    assert result.fds == ()


def test_a_hundred_columns_end() -> None:
    generator = np.random.default_rng(0)
    sizes = np.resize([2, 10, 100, 1500, 4000], 99)
    columns = {f"c{i}": generator.integers(0, k, 5000).astype(str) for i, k in enumerate(sizes)}
    columns["zone"] = (columns["c3"].astype(int) % 7).astype(str)
    result = mine(*categorical(**columns), time_limit_seconds=600)
    assert [str(fd) for fd in result.fds if len(fd.lhs) == 1] == ["c3→zone"]
    assert not result.limit_hit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_lhs": 3}, "numpy backend takes 1 or 2"),
        ({"max_lhs": 0}, "max_lhs=0"),
        ({"max_g3": 1.5}, "max_g3=1.5 is a share"),
        ({"min_support": -1}, "min_support=-1"),
        ({"time_limit_seconds": 0}, "time_limit_seconds=0"),
        ({"backend": "tane"}, "unknown mining backend 'tane': the choices are hyfd, numpy"),
        ({"backend": "hyfd", "max_g3": 0.1}, "exact dependencies only"),
        ({"max_lsh": 1}, "Did you mean 'max_lhs'"),
    ],
)
def test_impossible_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(TabOrderError, match=message):
        mine(*simulated(1, 8), **options)


def test_result_does_not_depend_on_row_order_or_hash_seed() -> None:
    frame, schema = simulated(10)
    assert mine(frame.sample(frac=1, random_state=1).reset_index(drop=True), schema) == mine(frame, schema)
    code = (
        "import numpy as np, pandas as pd; from harness.dependencies import mine; from harness.table import Column, Schema;"
        "x = np.arange(900); f = pd.DataFrame({c: (x % k).astype(str).astype(object) for c, k in zip('abcd', (6, 3, 2, 30))});"
        "print([str(d) for d in mine(f, Schema(tuple(Column(c, 'categorical') for c in 'abcd'))).fds])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert outputs == {"['a→b', 'a→c', 'd→a', 'd→b', 'd→c', 'b,c→a']\n"}


def test_hyfd_without_desbordante_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyfd, "available", lambda: False)
    with pytest.raises(TabOrderError, match=r"pip install 'taborder\[hyfd\]'"):
        mine(*simulated(1, 8), backend="hyfd")


@needs_hyfd
def test_agrees_with_hyfd_on_random_tables() -> None:
    for seed in range(4):
        generator = np.random.default_rng(seed)
        columns = {f"c{i}": generator.integers(0, k, 60).astype(str) for i, k in enumerate([2, 2, 3, 4, 8, 25])}
        columns["sum"] = (columns["c0"].astype(int) + columns["c2"].astype(int)).astype(str)
        frame, schema = categorical(**columns)
        theirs = mine(frame, schema, RAW, backend="hyfd")
        assert mine(frame, schema, RAW).fds == theirs.fds
        assert any(len(fd.lhs) == 2 for fd in theirs.fds)


@needs_hyfd
def test_hyfd_finds_larger_left_sides() -> None:
    bits = (np.arange(800)[:, None] >> np.arange(3)) & 1
    frame, schema = categorical(a=bits[:, 0], b=bits[:, 1], c=bits[:, 2], parity=bits.sum(1) % 2)
    assert found(frame, schema) == []
    assert found(frame, schema, backend="hyfd", max_lhs=3) == [
        "a,b,c→parity",
        "a,b,parity→c",
        "a,c,parity→b",
        "b,c,parity→a",
    ]


@needs_hyfd
def test_hyfd_out_of_time_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(hyfd, "discover", never)
    result = mine(*simulated(5), backend="hyfd", max_lhs=4)
    assert result.limit_hit
    assert len(result.fds) == 6
    assert any("HyFD did not end" in note for note in result.notes)


@needs_hyfd
def test_hyfd_process_is_killed_at_its_limit() -> None:
    with pytest.raises(TimeoutError):
        hyfd.discover(np.zeros((10, 2), dtype=int), max_lhs=2, seconds=0.01)


@needs_hyfd
def test_g1_and_g3_agree_with_desbordante() -> None:
    import desbordante

    generator = np.random.default_rng(3)
    x = generator.integers(0, 30, 2000)
    y = np.where(generator.random(2000) < 0.1, generator.integers(0, 5, 2000), x % 5)
    frame, schema = categorical(x=x.astype(str), y=y.astype(str))
    encoder = Encoder(schema, frame)
    left, right = encoder.codes(("x",)), encoder.codes(("y",))
    pairs, counts = count_pairs(left.values, right.values, left.size, right.size)
    groups = np.bincount(pairs // right.size, weights=counts)
    # g1: the share of ordered pairs of different rows that agree on x and differ on y.
    g1 = (np.square(groups).sum() - np.square(counts).sum()) / (2000 * 1999)
    verifier = desbordante.fd_verification.algorithms.FDVerifier()
    verifier.load_data(table=frame)
    verifier.execute(lhs_indices=[0], rhs_indices=[1])
    assert g1 == pytest.approx(verifier.get_error(), abs=1e-9)
    calculator = desbordante.afd_metric_calculation.algorithms.AFDMetricCalculator()
    calculator.load_data(table=frame)
    calculator.execute(lhs_indices=[0], rhs_indices=[1], metric="g3")  # it returns 1 − error
    g3 = g3_error(left.values, right.values, left.size, right.size)
    assert g3 == pytest.approx(1 - calculator.get_result(), abs=1e-9)
    assert violations(FunctionalDependency(("x",), "y"), frame, frame, schema).g3 == pytest.approx(g3, abs=1e-12)
    assert g3 > 0.05


@pytest.mark.mirror
def test_us_location() -> None:
    frame, schema = paper("us_location")
    result = mine(frame, schema)
    assert [str(fd) for fd in result.fds] == ["state_code→bird", "lat→lat_zone"]
    assert [str(fd) for fd in mine(frame, schema, RAW).fds] == [
        "state_code→bird",
        "lat→lat_zone",
        "lat,lon→state_code",
        "lat,lon→bird",
    ]


@pytest.mark.mirror
def test_adult() -> None:
    frame, schema = paper("adult")
    assert found(frame, schema) == ["education→education-num", "education-num→education"]
    approximate = {str(fd): fd.g3 for fd in mine(frame, schema, max_lhs=1, max_g3=0.2).fds}
    assert approximate["relationship→marital-status"] == pytest.approx(0.197, abs=5e-4)


@pytest.mark.mirror
@needs_hyfd
@pytest.mark.parametrize(
    ("name", "complete"),
    [
        ("adult", 60),
        ("bejing", 198),
        ("california_housing", 363),
        ("us_location", 4),
        ("travel", 0),
        ("seattle_housing", 3),
    ],
)
def test_paper_tables_agree_with_hyfd(name: str, complete: int) -> None:
    frame, schema = paper(name)
    theirs = mine(frame, schema, RAW, backend="hyfd", max_lhs=20)
    assert len(theirs.fds) == complete
    assert set(mine(frame, schema, RAW).fds) == {fd for fd in theirs.fds if len(fd.lhs) <= 2}


def test_fd_values() -> None:
    assert str(FunctionalDependency(("a", "b"), "c")) == "a,b→c"
    assert FunctionalDependency.from_json({"lhs": "a", "rhs": "b"}) == FunctionalDependency(("a",), "b")
    fd = FunctionalDependency(("a", "b"), "c", 0.25)
    assert FunctionalDependency.from_json(fd.to_json()) == fd
    for lhs, rhs in (((), "a"), (("a",), "a")):
        with pytest.raises(TabOrderError, match="left side without its right side"):
            FunctionalDependency(lhs, rhs)
