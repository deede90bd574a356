"""Families of made tables with known dependencies, columns named and ordered at random: the order question's test objects.

=========== =============================================================== ================================
kind        columns (values)                                                dependencies
=========== =============================================================== ================================
chain       A (8b), B = A mod 4b, C = B mod 2b, D = C mod b                 A→B, B→C, C→D
star        A (8b), B, C, D: functions of A of 4b, 2b and b values          A→B, A→C, A→D
tree        A (8b), B and C: functions of A; D and E: functions of B        A→B, A→C, B→D, B→E
diamond     A (8b), B and C (2b each): functions of A; D = A mod b          A→B, A→C, B→D, C→D
composite   A (2b), B (4) independent; C (b) a function of both             {A,B}→C
approximate the chain A, B, C, each step broken in a share g3 of the rows   A→B, B→C with that g3
bijection   A (8b) and B name each other; C (2b) independent                A→B, B→A: no direction
correlated  A (8b); B and C follow each other in 7 rows of 10               none
=========== =============================================================== ================================

What a value is called says nothing of what it determines (codes are permuted column by column), and neither do the columns'
names. Their order in the table is drawn until at least one dependency points backwards, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.assemble import assemble
from harness.datasets.base import Dataset
from harness.errors import TabOrderError, choices
from harness.seeding import rng
from harness.table import Column, Schema

Codes = np.ndarray[Any, np.dtype[np.int64]]
Columns = dict[str, Codes]
Pairs = tuple[tuple[tuple[str, ...], str], ...]
FOLLOWED = 0.7
"""Share of rows in which a column of the correlated family follows the one before it."""
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


def family(
    kind: str,
    *,
    name: str | None = None,
    base: int = 5,
    context_columns: int = 0,
    context_values: int = 10,
    g3: float = 0.05,
    table_seed: int = 0,
    train_rows: int = 8000,
    test_rows: int = 2000,
    rules: Sequence[Mapping[str, Any]] | None = None,
    fds: Any = "known",
    condition: str | None = "auto",
    max_train_rows: int | None = None,
    subsample_seed: int = 0,
) -> Dataset:
    """A table of a family.

    Args:
        kind: which (see the module's table).
        name: folder-safe; by default made of the parameters.
        base: b ≥ 2.
        context_columns: further columns, drawn uniformly and independently of everything.
        context_values: categories of each.
        g3: of the approximate family: share of rows in which a dependent takes another value than its determinant's.
        table_seed: of names, codes, functions, rows and column order: another seed is another table of the family.
        train_rows: number of training rows.
        test_rows: number of test rows.
        rules: domain rules.
        fds: ``known`` for the family's own, else as for every dataset.
        condition: conditioning column; ``auto`` is the column with fewest values of the family's.
        max_train_rows: use at most this many training rows.
        subsample_seed: decides which.

    Raises:
        TabOrderError: for an unknown kind, and numbers that make no table.
    """
    if kind not in KINDS:
        raise TabOrderError(choices(kind, KINDS, "kind of family"))
    _check(base, context_columns, context_values, train_rows, test_rows, g3)
    rows = train_rows + test_rows
    random = rng(table_seed, "family", kind, base, f"{g3:g}")
    columns, pairs = KINDS[kind](base, rows, g3, random)
    least = min(columns, key=lambda column: len(np.unique(columns[column])))
    for k in range(1, context_columns + 1):
        columns[f"X{k}"] = random.integers(0, context_values, rows)
    names = _names(list(columns), random)
    order = _order(list(columns), pairs, random)
    frame = pd.DataFrame({names[column]: _labels(names[column], columns[column], random) for column in order})
    known = [{"lhs": [names[one] for one in lhs], "rhs": names[rhs], "g3": 0.0} for lhs, rhs in pairs]
    train = frame.iloc[:train_rows].reset_index(drop=True)
    for fd in known:
        fd["g3"] = _g3(train, [str(one) for one in fd["lhs"]], str(fd["rhs"])) if kind == "approximate" else 0.0  # type: ignore[attr-defined]
    roles = ", ".join(f"{column} is {names[column]}" for column in columns)
    return assemble(
        name or _name(kind, base, context_columns, g3, table_seed),
        Schema(tuple(Column(names[column], "categorical") for column in order)),
        train,
        frame.iloc[train_rows:].reset_index(drop=True),
        rules=rules,
        fds=known if fds == "known" else fds,
        condition=names[least] if condition == "auto" else condition,
        notes=(
            f"made by code: {kind} with b={base}, {context_columns} context columns, table_seed={table_seed}; {roles}.",
        ),
        max_train_rows=max_train_rows,
        subsample_seed=subsample_seed,
    )


def _check(base: int, context: int, values: int, train_rows: int, test_rows: int, g3: float) -> None:
    for value, least, what in (
        (base, 2, "base"), (context, 0, "context_columns"), (values, 1, "context_values"),
        (train_rows, 2, "train_rows"), (test_rows, 1, "test_rows"),
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise TabOrderError(f"{what} of a family is {value!r}: give a whole number of at least {least}.")
    if isinstance(g3, bool) or not isinstance(g3, (int, float)) or not 0 <= g3 < 0.5:
        raise TabOrderError(f"g3 of a family is {g3!r}: give a share of at least 0 and below .5.")


def _name(kind: str, base: int, context: int, g3: float, table_seed: int) -> str:
    noise = f"_g{g3:g}" if kind == "approximate" else ""
    return f"family_{kind}_b{base}{noise}{f'_context{context}' if context else ''}{f'_t{table_seed}' if table_seed else ''}"


def _names(columns: Sequence[str], random: np.random.Generator) -> dict[str, str]:
    """A word without meaning for every column."""
    found: dict[str, str] = {}
    while len(found) < len(columns):
        word = "".join(str(random.choice(list(part))) for part in (CONSONANTS, VOWELS, CONSONANTS, VOWELS))
        if word not in found.values():
            found[columns[len(found)]] = word
    return found


def _order(columns: Sequence[str], pairs: Pairs, random: np.random.Generator) -> list[str]:
    """A column order in which at least one dependency points backwards, where there is one that has a direction."""
    while True:
        order = [columns[i] for i in random.permutation(len(columns))]
        backwards = any(order.index(rhs) < order.index(one) for lhs, rhs in pairs for one in lhs)
        if backwards or not pairs:
            return order


def _labels(name: str, values: Codes, random: np.random.Generator) -> np.ndarray[Any, Any]:
    codes = random.permutation(int(values.max()) + 1)
    return np.asarray(np.array([f"{name[:2]}{code}" for code in codes], dtype=object)[values], dtype=object)


def _g3(train: pd.DataFrame, lhs: list[str], rhs: str) -> float:
    """Least share of rows to delete so that the dependency holds."""
    counts = train.groupby([*lhs, rhs]).size()
    return round(1.0 - float(counts.groupby(level=list(range(len(lhs)))).max().sum()) / len(train), 6)


def _root(values: int, rows: int, random: np.random.Generator) -> Codes:
    """Values as equally frequent as possible, shuffled."""
    return random.permutation(np.arange(rows) % values)


def _function(values: Codes, size: int, random: np.random.Generator) -> Codes:
    """A random function onto ``size`` values, as equally many arguments to each as possible."""
    return np.asarray(random.permutation(np.arange(int(values.max()) + 1) % size)[values])


def _broken(values: Codes, share: float, random: np.random.Generator) -> Codes:
    """With another value in a share of the rows."""
    size = int(values.max()) + 1
    gone = random.random(len(values)) < share
    return np.where(gone, (values + random.integers(1, size, len(values))) % size, values)


def _chain(base: int, rows: int, g3: float, random: np.random.Generator) -> tuple[Columns, Pairs]:
    a = _root(8 * base, rows, random)
    columns = {"A": a, "B": a % (4 * base), "C": a % (2 * base), "D": a % base}
    return columns, ((("A",), "B"), (("B",), "C"), (("C",), "D"))


def _star(base: int, rows: int, g3: float, random: np.random.Generator) -> tuple[Columns, Pairs]:
    a = _root(8 * base, rows, random)
    columns = {"A": a} | {name: _function(a, size * base, random) for name, size in (("B", 4), ("C", 2), ("D", 1))}
    return columns, ((("A",), "B"), (("A",), "C"), (("A",), "D"))


def _tree(base: int, rows: int, g3: float, random: np.random.Generator) -> tuple[Columns, Pairs]:
    a = _root(8 * base, rows, random)
    b, c = _function(a, 4 * base, random), _function(a, 2 * base, random)
    columns = {"A": a, "B": b, "C": c, "D": _function(b, base, random), "E": _function(b, base, random)}
    return columns, ((("A",), "B"), (("A",), "C"), (("B",), "D"), (("B",), "E"))


def _diamond(base: int, rows: int, g3: float, random: np.random.Generator) -> tuple[Columns, Pairs]:
    a = _root(8 * base, rows, random)
    d = a % base
    columns = {"A": a, "B": a % (2 * base), "C": d + base * ((a // (2 * base)) % 2), "D": d}
    return columns, ((("A",), "B"), (("A",), "C"), (("B",), "D"), (("C",), "D"))


def _composite(base: int, rows: int, g3: float, random: np.random.Generator) -> tuple[Columns, Pairs]:
    both = _root(8 * base, rows, random)
    a, b = both % (2 * base), both // (2 * base)
    shift = random.permutation(2 * base)
    return {"A": a, "B": b, "C": (shift[a] + b) % base}, ((("A", "B"), "C"),)


def _approximate(base: int, rows: int, g3: float, random: np.random.Generator) -> tuple[Columns, Pairs]:
    a = _root(8 * base, rows, random)
    b = _broken(a % (4 * base), g3, random)
    return {"A": a, "B": b, "C": _broken(b % (2 * base), g3, random)}, ((("A",), "B"), (("B",), "C"))


def _bijection(base: int, rows: int, g3: float, random: np.random.Generator) -> tuple[Columns, Pairs]:
    a = _root(8 * base, rows, random)
    columns = {"A": a, "B": random.permutation(8 * base)[a], "C": random.integers(0, 2 * base, rows)}
    return columns, ((("A",), "B"), (("B",), "A"))


def _correlated(base: int, rows: int, g3: float, random: np.random.Generator) -> tuple[Columns, Pairs]:
    a = _root(8 * base, rows, random)
    b = _broken(a % (4 * base), 1 - FOLLOWED, random)
    return {"A": a, "B": b, "C": _broken(b % (2 * base), 1 - FOLLOWED, random)}, ()


KINDS: Mapping[str, Callable[[int, int, float, np.random.Generator], tuple[Columns, Pairs]]] = {
    "chain": _chain,
    "star": _star,
    "tree": _tree,
    "diamond": _diamond,
    "composite": _composite,
    "approximate": _approximate,
    "bijection": _bijection,
    "correlated": _correlated,
}
