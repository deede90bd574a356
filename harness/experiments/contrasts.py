"""Paired differences between the levels of a factor, with intervals, and the sentences that say what they show."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from harness.ranking.intervals import (
    LEAST_TABLES,
    TABLES_LEVEL,
    holm,
    over_seeds,
    over_tables,
    p_over_seeds,
    p_over_tables,
)
from harness.ranking.labels import flatten
from harness.ranking.numbers import estimate
from harness.ranking.runs import Run
from harness.ranking.statistics import LEVEL, Estimate
from harness.ranking.wording import plural
from harness.report.tables import Entry, Table

Factor = Callable[[Run], str | None]
Block = tuple[str, str]
Key = tuple[Block, int]
Values = Mapping[str, Mapping[Key, float]]

LEAST_SEEDS = 3
"""Training seeds that every block needs before a difference counts as shown (PROTOCOL: the replicate is a trained model)."""

RULE = (
    f"A difference counts as shown when its p-value, adjusted by Holm for all questions of this output, is at most {1 - LEVEL:.2g}, every "
    f"block has at least {LEAST_SEEDS} training seeds, and a statement over several tables rests on at least {LEAST_TABLES}. A block is "
    "a table with all other settings equal; runs are paired by block and seed. Within one table p-values and 95 % intervals are "
    f"Student's t over seeds; over several they are Student's t over the tables' means, at a nominal {TABLES_LEVEL:.0%} so that they "
    "cover 95 % where table effects are skewed. What is said of tables taken alone is adjusted for their number."
)


def gather(
    runs: Iterable[Run],
    factor: Factor,
    metric: str,
    without: Sequence[str] | None,
    table: Factor = lambda run: run.dataset,
) -> Values:
    """Values by level of a factor and by block (table and all parameters but ``without``) and seed.

    Args:
        runs: to look at.
        factor: the level of a run; runs with ``None`` are left out.
        metric: score name.
        without: names of parameters that the factor itself changes, so that they do not part the blocks; ``None`` when the factor
            is the generator, so that no parameter or version does.
        table: what a block is called and parted by, usually the dataset; runs with ``None`` are left out.
    """
    found: dict[str, dict[Key, float]] = defaultdict(dict)
    for run in runs:
        level, value, place = factor(run), run.value(metric), table(run)
        if level is None or value is None or place is None:
            continue
        cell, settings = run.record.cell, ""
        if without is not None:
            flat = flatten(cell.params)
            rest = sorted((key, text) for key, text in flat.items() if not set(key.split(".")) & set(without))
            settings = f"{cell.version}\x1f{rest}"
        found[level][(place, f"{cell.n_rows}\x1f{settings}"), cell.seed] = value
    return found


@dataclass(frozen=True)
class Contrast:
    """first − second, paired by block and seed.

    Attributes:
        first: level.
        second: level.
        difference: mean over tables of the mean over their blocks and seeds, with an interval (see :data:`RULE`).
        tables: number of tables.
        blocks: number of blocks (tables × other settings).
        runs: number of pairs.
        seeds: pairs in the block that has the fewest.
        negative: share of pairs in which first is lower.
        equal: share of pairs without a difference.
        p_value: two-sided, of no difference; ``None`` where there is no interval.
        p_adjusted: the same by Holm over the questions asked together.
    """

    first: str
    second: str
    difference: Estimate
    tables: int
    blocks: int
    runs: int
    seeds: int
    negative: float
    equal: float
    p_value: float | None
    p_adjusted: float | None

    @property
    def doubt(self) -> str | None:
        """Why the difference does not count as shown; ``None`` when it does."""
        if self.seeds < LEAST_SEEDS:
            return f"with {plural(self.seeds, 'training seed')} in a block, where {LEAST_SEEDS} are needed"
        if 1 < self.tables < LEAST_TABLES:
            return f"with {self.tables} tables, where {LEAST_TABLES} are needed to speak of several"
        if self.p_value is None or self.p_adjusted is None:
            return "there is no interval"
        if self.p_value > 1 - LEVEL:
            return "the interval includes 0"
        if self.p_adjusted > 1 - LEVEL:
            return f"among the questions asked together p is {self.p_adjusted:.2g} (Holm)"
        return None

    @property
    def shown(self) -> bool:
        """Whether the difference counts as shown by :data:`RULE`."""
        return self.doubt is None


def contrast(values: Values, first: str, second: str) -> Contrast | None:
    """Compare two levels of a factor on what both have; ``None`` when they share nothing. A question asked alone."""
    blocks: dict[Block, dict[int, float]] = defaultdict(dict)
    for (block, seed), gap in sorted(gaps(values, first, second).items()):
        blocks[block][seed] = gap
    if not blocks:
        return None
    by_table: dict[str, list[dict[int, float]]] = defaultdict(list)
    for block, found in blocks.items():
        by_table[block[0]].append(found)
    if len(by_table) == 1:
        numbers = _by_seed(*by_table.values())
        difference, p = over_seeds(numbers), p_over_seeds(numbers)
    else:
        numbers = [fmean(fmean(found.values()) for found in alike) for alike in by_table.values()]
        difference, p = over_tables(numbers), p_over_tables(numbers)
    every = [gap for found in blocks.values() for gap in found.values()]
    return Contrast(
        first=first,
        second=second,
        difference=difference,
        tables=len(by_table),
        blocks=len(blocks),
        runs=len(every),
        seeds=min(map(len, blocks.values())),
        negative=fmean(gap < 0 for gap in every),
        equal=fmean(gap == 0 for gap in every),
        p_value=p,
        p_adjusted=p,
    )


def _by_seed(blocks: Sequence[Mapping[int, float]]) -> list[float]:
    """Of one table: a mean over its blocks for each seed that all of them have; means of the blocks where none is common."""
    common = set.intersection(*(set(found) for found in blocks))
    return [fmean(found[seed] for found in blocks) for seed in sorted(common)] or [
        fmean(fmean(found.values()) for found in blocks)
    ]


def by_table(values: Values, first: str, second: str) -> dict[str, Contrast]:
    """The contrast within each table alone, adjusted for their number."""
    places = sorted({block[0] for level in (first, second) for block, _ in values.get(level, {})})
    found = {}
    for place in places:
        here = {
            level: {key: value for key, value in values.get(level, {}).items() if key[0][0] == place}
            for level in (first, second)
        }
        if (one := contrast(here, first, second)) is not None:
            found[place] = one
    return dict(zip(found, filter(None, together([*found.values()])), strict=True))


def together(found: Sequence[Contrast | None]) -> list[Contrast | None]:
    """Questions asked together: their p-values adjusted by Holm. What compares the same runs twice counts once."""
    distinct: list[Contrast] = []
    for one in found:
        if one is not None and not any(same(one, other) for other in distinct):
            distinct.append(one)
    adjusted = holm([one.p_value for one in distinct])
    return [
        None
        if one is None
        else replace(one, p_adjusted=next(p for p, known in zip(adjusted, distinct, strict=True) if same(one, known)))
        for one in found
    ]


@dataclass(frozen=True)
class Question:
    """Two levels compared over all tables, and within each."""

    overall: Contrast | None
    alone: Mapping[str, Contrast]


def questions(asked: Sequence[tuple[Values, str, str]]) -> list[Question]:
    """Questions asked together, each two levels of a factor in some values."""
    overall = together([contrast(*one) for one in asked])
    return [Question(found, by_table(*one)) for found, one in zip(overall, asked, strict=True)]


def question_rows(found: Iterable[Question]) -> list[tuple[str, Contrast | None]]:
    """Rows of a contrast table: a question over all tables, then within each; the sole table alone."""
    rows: list[tuple[str, Contrast | None]] = []
    for one in found:
        if len(one.alone) > 1:
            rows += [("all", one.overall), *one.alone.items()]
        elif one.overall is not None:
            rows += [(next(iter(one.alone), "all"), one.overall)]
    return rows


def gaps(values: Values, first: str, second: str) -> dict[Key, float]:
    """first − second for each block and seed that has both."""
    return {
        key: value - values[second][key]
        for key, value in values.get(first, {}).items()
        if key in values.get(second, {})
    }


def interval_text(found: Estimate) -> str:
    """``0.031 [0.02, 0.04]``, or a remark that there is no interval."""
    return estimate(found) + (" (no interval: a single run, equal runs, or two tables)" if found.low is None else "")


def numbers(found: Contrast, lower_is_better: bool = True) -> str:
    """The difference with its interval, its n, and in how many pairs ``first`` is better."""
    share = found.negative if lower_is_better else 1 - found.negative - found.equal
    alike = f", equal in {found.equal:.0%}" if found.equal else ""
    return (
        f"difference {interval_text(found.difference)} over {plural(found.blocks, 'block')} "
        f"({plural(found.runs, 'pair')} of runs, better in {share:.0%}{alike})"
    )


def same(one: Contrast | None, other: Contrast | None) -> bool:
    """Whether two contrasts compare the same runs, either way round."""
    if one is None or other is None:
        return False
    counts = [(found.tables, found.blocks, found.runs, found.p_value is None) for found in (one, other)]
    alike = math.isclose(abs(one.difference.value), abs(other.difference.value))
    return counts[0] == counts[1] and alike and math.isclose(one.p_value or 0.0, other.p_value or 0.0)


def verdict(found: Contrast | None, what: str, lower_is_better: bool = True) -> str:
    """A sentence on a contrast, with its number, its n and whether it is shown at this scale."""
    if found is None:
        return f"Not shown at this scale: no pair of runs compares {what}."
    said = numbers(found, lower_is_better)
    if found.doubt:
        return f"Not shown at this scale: {found.first} against {found.second} on {what}, {said}; {found.doubt}."
    better = (found.difference.value < 0) == lower_is_better
    return f"{found.first} is {'better' if better else 'worse'} than {found.second} on {what}: {said}."


def tally(found: Mapping[str, Contrast], lower_is_better: bool = True) -> str:
    """How many tables show it alone, which way; empty for fewer than two tables."""
    if len(found) < 2:
        return ""
    better = [name for name, one in found.items() if one.shown and (one.difference.value < 0) == lower_is_better]
    worse = [name for name, one in found.items() if one.shown and name not in better]
    open_ = [name for name in found if name not in (*better, *worse)]
    parts = [
        f"{word} in {len(names)} ({', '.join(names)})"
        for word, names in (("better", better), ("worse", worse), ("not shown", open_))
        if names
    ]
    return f"Taken alone, of {len(found)} tables: {'; '.join(parts)}."


def contrast_row(table: str, found: Contrast) -> list[Entry]:
    """A row of :func:`contrast_table`."""
    shown = "yes" if found.shown else f"no: {found.doubt}"
    return [
        table, found.first, found.second, found.difference, found.blocks, found.runs, found.seeds, found.negative,
        found.p_value, found.p_adjusted, shown,
    ]  # fmt: skip


HEADS = (
    "table",
    "first",
    "second",
    "difference",
    "blocks",
    "pairs",
    "least seeds",
    "share lower",
    "p",
    "p (Holm)",
    "shown at this scale",
)


def contrast_table(name: str, title: str, found: Sequence[tuple[str, Contrast | None]]) -> Table:
    """Contrasts as a table: (what they are over, contrast)."""
    rows = [contrast_row(table, one) for table, one in found if one is not None]
    return Table(name, f"{title}. {RULE}", list(HEADS), rows)


def renamed(found: Contrast | None, first: str, second: str) -> Contrast | None:
    """The contrast under other names."""
    return None if found is None else replace(found, first=first, second=second)
