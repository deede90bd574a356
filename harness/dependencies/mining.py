"""Search for minimal functional dependencies over coded columns; :func:`mine` is the way in.

The numpy search tries every left side of one, then of two columns. A dependency that is broken inside a sample of the rows is
broken in the table, so a sample refutes nearly all candidates exactly and cheaply; the rest are checked on all rows. An approximate
one is refuted when its g3 in the sample, which is no greater than the table's in expectation, exceeds ``max_g3`` by so much that the
probability of an error is below :data:`RISK` (McDiarmid's inequality: one row changes g3 by at most 1/rows).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from harness.dependencies import hyfd
from harness.dependencies.codes import Codes, Encoder, compact, g3_error, join
from harness.dependencies.values import FunctionalDependency, IntArray, Mask, MiningOptions, MiningResult
from harness.seeding import rng
from harness.table import Schema

SAMPLES = (256, 4096)
"""Rows of the samples that refute candidates, a cheap one first."""
RISK = 1e-9
"""Probability of refuting an approximate dependency that holds, each."""


@dataclass
class _Search:
    """The table in codes, and what has been found in it so far."""

    names: list[str]
    columns: list[Codes]
    options: MiningOptions
    began: float
    found: dict[tuple[tuple[int, ...], int], float] = field(default_factory=dict)
    rejected: list[tuple[FunctionalDependency, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    limit_hit: bool = False

    def __post_init__(self) -> None:
        self.columns = [compact(column) for column in self.columns]
        self.rows = len(self.columns[0].values) if self.columns else 0
        counts = [np.bincount(column.values, minlength=1) for column in self.columns]
        self.top = [float(count.max()) / max(1, self.rows) for count in counts]
        self.gini = [1 - float(((count / max(1, self.rows)) ** 2).sum()) for count in counts]
        self.end = self.began + self.options.time_limit_seconds
        self.shuffle = rng(0, "fd mining").permutation(self.rows)
        chosen = self.shuffle[: max(SAMPLES)]
        self.sample = np.stack([column.values[chosen] for column in self.columns], axis=1)

    def name(self, lhs: tuple[int, ...], rhs: int, g3: float) -> FunctionalDependency:
        return FunctionalDependency(tuple(self.names[i] for i in lhs), self.names[rhs], g3)

    def distinct_share(self, lhs_size: int) -> float:
        return lhs_size / max(1, self.rows)


def search(names: list[str], columns: list[Codes], options: MiningOptions, *, began: float) -> MiningResult:
    """Mine coded columns (one :class:`Codes` per name, all of one length); the time limit counts from ``began`` (monotonic)."""
    state = _Search(names, columns, options, began)
    targets = _targets(state)
    if options.backend == "hyfd":
        _search_hyfd(state, targets)
    else:
        _search_numpy(state, targets)
    ordered = sorted(state.found.items(), key=lambda item: (len(item[0][0]), item[0]))
    return MiningResult(
        fds=tuple(state.name(lhs, rhs, g3) for (lhs, rhs), g3 in ordered),
        rejected=tuple(state.rejected),
        notes=(*state.notes, *_summaries(state.rejected)),
        limit_hit=state.limit_hit,
    )


def _targets(state: _Search) -> list[int]:
    """Right sides worth asking about: a column that is constant up to ``max_g3`` depends on nothing."""
    constant = [i for i in range(len(state.names)) if 1 - state.top[i] <= state.options.max_g3]
    if constant:
        share = f" up to a share of {state.options.max_g3:g}" if state.options.max_g3 else ""
        state.notes.append(f"constant{share}, so on no side of a dependency: {_list(state.names, constant)}.")
    return [i for i in range(len(state.names)) if i not in constant]


def _determinants(state: _Search, targets: list[int]) -> list[int]:
    """Columns that may stand on a left side."""
    limit = state.options.max_distinct_share
    keys = [i for i in targets if state.distinct_share(state.columns[i].size) > limit]
    if keys:
        state.notes.append(
            f"more than {limit:g} distinct values per row, so on no left side (key or nearly): {_list(state.names, keys)}."
        )
    return [i for i in targets if i not in keys]


def _list(names: list[str], chosen: list[int]) -> str:
    shown = ", ".join(f"'{names[i]}'" for i in chosen[:10])
    return shown + (f" and {len(chosen) - 10} more" if len(chosen) > 10 else "")


def _summaries(rejected: list[tuple[FunctionalDependency, str]]) -> list[str]:
    reasons = Counter(reason.split(":")[0] for _, reason in rejected)
    return [f"{count} dependencies that hold were left out: {reason}." for reason, count in sorted(reasons.items())]


def _search_numpy(state: _Search, targets: list[int]) -> None:
    determinants = _determinants(state, targets)
    for done, a in enumerate(determinants):
        if _out_of_time(state, f"{done} of {len(determinants)} single columns"):
            return
        _check(state, (a,), state.columns[a], [y for y in targets if y != a])
    if state.options.max_lhs < 2:
        return
    pairs = list(combinations(determinants, 2))
    near_keys = 0
    for done, (a, b) in enumerate(pairs):
        if _out_of_time(state, f"all single columns and {done} of {len(pairs)} pairs"):
            break
        near_keys += not _check_pair(state, a, b, targets)
    if near_keys:
        limit = state.options.max_distinct_share
        state.notes.append(
            f"{near_keys} pairs of columns have more than {limit:g} distinct values per row and were not used as left sides."
        )


def _out_of_time(state: _Search, reached: str) -> bool:
    if time.monotonic() < state.end:
        return False
    state.limit_hit = True
    state.notes.append(
        f"the search for dependencies stopped at its time limit of {state.options.time_limit_seconds:g} s after {reached}; "
        "there may be more, and another run may stop elsewhere."
    )
    return True


def _check_pair(state: _Search, a: int, b: int, targets: list[int]) -> bool:
    """Check {a, b} → y for every y that neither determines alone. False when {a, b} is nearly a key."""
    holds = state.found
    if holds.get(((a,), b)) == 0 or holds.get(((b,), a)) == 0:
        return True  # the pair groups rows as one of the two does
    open_targets = [y for y in targets if y not in (a, b) and ((a,), y) not in holds and ((b,), y) not in holds]
    left, right = state.columns[a], state.columns[b]
    in_sample = join(Codes(state.sample[:, a], left.size), Codes(state.sample[:, b], right.size))
    open_targets = _unrefuted(state, in_sample, open_targets)
    if not open_targets:
        return True
    both = compact(join(left, right))
    if state.distinct_share(both.size) > state.options.max_distinct_share:
        return False
    _check(state, (a, b), both, open_targets)
    return True


def _unrefuted(state: _Search, x: Codes, targets: list[int]) -> list[int]:
    """Right sides not yet refuted in the samples, whose left side is coded by ``x``."""
    for size in SAMPLES:
        if not targets:
            break
        broken = _broken_exact(state, x.values[:size], targets)
        if state.options.max_g3 > 0:
            broken &= np.array([_broken_approximate(state, x, target, size) for target in targets])
        targets = [target for target, bad in zip(targets, broken, strict=True) if not bad]
    return targets


def _broken_exact(state: _Search, x: IntArray, targets: list[int]) -> Mask:
    """Which right sides differ somewhere between two rows of equal left sides."""
    _, first, inverse = np.unique(x, return_index=True, return_inverse=True)
    before = first[inverse]  # the first row of the sample with the same left side
    again = np.flatnonzero(before != np.arange(len(before)))
    broken: Mask = (state.sample[before[again]] != state.sample[again])[:, targets].any(axis=0)
    return broken


def _broken_approximate(state: _Search, x: Codes, target: int, size: int) -> bool:
    """Whether g3 in the first ``size`` rows of the sample is too great to be below ``max_g3`` in the table."""
    y = state.sample[:size, target]
    margin = math.sqrt(math.log(1 / RISK) / (2 * len(y)))
    return g3_error(x.values[:size], y, x.size, state.columns[target].size) > state.options.max_g3 + margin


def _check(state: _Search, lhs: tuple[int, ...], x: Codes, targets: list[int]) -> None:
    if len(lhs) == 1:
        targets = _unrefuted(state, Codes(state.sample[:, lhs[0]], x.size), targets)
    for target in targets:
        y = state.columns[target]
        if state.options.max_g3 > 0:
            g3 = g3_error(x.values, y.values, x.size, y.size)
        else:
            some = np.empty(x.size, dtype=np.int64)
            some[x.values] = y.values  # any row's y stands for its group: exact only if all agree with it
            g3 = 0.0 if np.array_equal(some[x.values], y.values) else 1.0
        if g3 <= state.options.max_g3:
            _keep_or_reject(state, lhs, target, g3, x)


def _gain(state: _Search, x: Codes, rhs: int, g3: float) -> float:
    """1 − g3 / g3 by chance, where chance is the right side in one fixed random order."""
    if g3 == 0:
        return 1.0
    y = state.columns[rhs]
    chance = g3_error(x.values, y.values[state.shuffle], x.size, y.size)
    return 1 - g3 / chance if chance else 0.0


def _keep_or_reject(state: _Search, lhs: tuple[int, ...], rhs: int, g3: float, x: Codes) -> None:
    """File a dependency that holds, under the filters of :class:`MiningOptions`."""
    options = state.options
    support = (state.rows - x.size) * state.gini[rhs]
    gain = _gain(state, x, rhs, g3)
    if state.distinct_share(x.size) > options.max_distinct_share:
        reason = f"left side is a key or nearly: {state.distinct_share(x.size):.3f} distinct values per row"
    elif support < options.min_support:
        reason = f"support below {options.min_support:g}: {support:.1f}"
    elif gain < options.min_gain:
        reason = f"gain over chance below {options.min_gain:g}: {gain:.3f}"
    else:
        state.found[(lhs, rhs)] = g3
        return
    state.rejected.append((state.name(lhs, rhs, g3), reason))


def _search_hyfd(state: _Search, targets: list[int]) -> None:
    """Complete discovery by desbordante in a process of its own; its time-out falls back on the numpy search."""
    options = state.options
    codes = np.stack([column.values for column in state.columns], axis=1)
    try:
        found = hyfd.discover(codes, max_lhs=options.max_lhs, seconds=options.time_limit_seconds)
    except TimeoutError:
        state.notes.append(
            f"HyFD did not end within {options.time_limit_seconds:g} s (left sides up to {options.max_lhs} columns): "
            "the numpy search with left sides of at most 2 columns took its place."
        )
        state.end = time.monotonic() + options.time_limit_seconds
        _search_numpy(state, targets)
        state.limit_hit = True
        return
    for lhs, rhs in sorted(found, key=lambda item: (len(item[0]), item)):
        if rhs in targets and lhs:
            _keep_or_reject(state, lhs, rhs, 0.0, compact(reduce(join, [state.columns[i] for i in lhs])))


def mine(
    frame: pd.DataFrame,
    schema: Schema,
    options: MiningOptions | None = None,
    *,
    encoder: Encoder | None = None,
    **changes: Any,
) -> MiningResult:
    """Find the minimal functional dependencies of a canonical table.

    Args:
        frame: the rows; not changed.
        schema: its columns.
        options: what to look for; the defaults of :class:`MiningOptions` when ``None``.
        encoder: ``Encoder(schema, frame)`` when there is one already.
        **changes: single options, by name, e.g. ``mine(frame, schema, max_lhs=1, max_g3=0.05)``.

    Raises:
        TabOrderError: on an unknown or impossible option, or when ``backend="hyfd"`` is not installed.
    """
    began = time.monotonic()
    options = (options or MiningOptions()).changed(changes)
    encoder = encoder or Encoder(schema, frame)
    columns = [encoder.codes((name,)) for name in schema.names]
    return search(schema.names, columns, options, began=began)
