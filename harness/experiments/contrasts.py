"""Paired differences between the levels of a factor, with intervals, and the sentences that say what they show."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.experiments.tables import Entry, Table
from harness.ranking import statistics as st
from harness.ranking.labels import flatten
from harness.ranking.numbers import amount
from harness.ranking.runs import Unit
from harness.ranking.standings import Policy, over_seeds
from harness.ranking.statistics import Estimate
from harness.ranking.wording import plural
from harness.seeding import rng

Factor = Callable[[Unit], str | None]
Block = tuple[str, str]
Key = tuple[Block, int]
Values = Mapping[str, Mapping[Key, float]]

LEAST_SEEDS = 3
"""Training seeds that every block needs before a difference counts as shown (PROTOCOL: the unit of replication is a trained model)."""
LEAST_TABLES = 3
"""Blocks that a statement over several of them needs; a statement on one needs its seeds only."""

RULE = (
    f"A difference counts as shown when the 95 % interval of the paired difference excludes 0, every block has at least {LEAST_SEEDS} "
    f"training seeds, and a statement over several blocks rests on at least {LEAST_TABLES}. A block is a table with all other "
    "settings equal. Intervals are Student's t over seeds within one block, and a bootstrap over blocks, then seeds, over several."
)


def gather(
    units: Iterable[Unit],
    factor: Factor,
    metric: str,
    without: Sequence[str] | None,
    table: Factor = lambda unit: unit.dataset,
) -> Values:
    """Values by level of a factor and by block (table and all parameters but ``without``) and seed.

    Args:
        units: to look at.
        factor: the level of a unit; units with ``None`` are left out.
        metric: score name.
        without: names of parameters that the factor itself changes, so that they do not part the blocks; ``None`` when the factor
            is the generator, so that no parameter or version does.
        table: what a block is called and parted by, usually the dataset; units with ``None`` are left out.
    """
    found: dict[str, dict[Key, float]] = defaultdict(dict)
    for unit in units:
        level, value, place = factor(unit), unit.value(metric), table(unit)
        if level is None or value is None or place is None:
            continue
        cell, settings = unit.record.cell, ""
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
        difference: mean over blocks of the mean over seeds, with a 95 % interval (see :data:`RULE`).
        blocks: number of blocks (tables × other settings).
        runs: number of pairs.
        seeds: pairs in the block that has the fewest.
        negative: share of pairs in which first is lower.
        equal: share of pairs without a difference.
    """

    first: str
    second: str
    difference: Estimate
    blocks: int
    runs: int
    seeds: int
    negative: float
    equal: float

    @property
    def doubt(self) -> str | None:
        """Why the difference does not count as shown; ``None`` when it does."""
        low, high = self.difference.low, self.difference.high
        if low is None or high is None:
            return "there is no interval"
        if self.seeds < LEAST_SEEDS:
            return f"with {plural(self.seeds, 'training seed')} in a block, where {LEAST_SEEDS} are needed"
        if 1 < self.blocks < LEAST_TABLES:
            return f"with {self.blocks} blocks, where {LEAST_TABLES} are needed to speak of several"
        if low <= 0 <= high:
            return "the interval includes 0"
        return None

    @property
    def shown(self) -> bool:
        """Whether the difference counts as shown by :data:`RULE`."""
        return self.doubt is None


def contrast(values: Values, first: str, second: str, policy: Policy) -> Contrast | None:
    """Compare two levels of a factor on what both have; ``None`` when they share nothing."""
    shared = sorted(set(values.get(first, {})) & set(values.get(second, {})))
    if not shared:
        return None
    blocks: dict[Block, list[float]] = defaultdict(list)
    for block, seed in shared:
        blocks[block].append(values[first][block, seed] - values[second][block, seed])
    every = [difference for found in blocks.values() for difference in found]
    if len(blocks) == 1:
        estimate = over_seeds(every)
    else:
        matrix = np.full((len(blocks), 1, max(map(len, blocks.values()))), np.nan)
        for row, block in enumerate(sorted(blocks)):
            matrix[row, 0, : len(blocks[block])] = blocks[block]
        samples = st.hierarchical_bootstrap(matrix, policy.draws, rng(policy.seed, "contrast", first, second))
        estimate = st.estimate(float(st.seed_means(matrix).mean()), samples.mean(axis=(1, 2)))
    negative, equal = (float(np.mean(found)) for found in (np.less(every, 0), np.equal(every, 0)))
    return Contrast(first, second, estimate, len(blocks), len(every), min(map(len, blocks.values())), negative, equal)


def by_table(values: Values, first: str, second: str, policy: Policy) -> dict[str, Contrast]:
    """The contrast within each table alone."""
    places = sorted({block[0] for level in (first, second) for block, _ in values.get(level, {})})
    found = {}
    for place in places:
        here = {
            level: {key: value for key, value in values.get(level, {}).items() if key[0][0] == place}
            for level in (first, second)
        }
        if (one := contrast(here, first, second, policy)) is not None:
            found[place] = one
    return found


def gaps(values: Values, first: str, second: str) -> dict[Key, float]:
    """first − second for each block and seed that has both."""
    return {
        key: value - values[second][key]
        for key, value in values.get(first, {}).items()
        if key in values.get(second, {})
    }


def interval_text(found: Estimate) -> str:
    """``0.031 [0.02, 0.04]``, or a remark that there is no interval."""
    if found.low is None or found.high is None:
        return f"{amount(found.value)} (no interval: a single run, or equal runs)"
    return f"{amount(found.value)} [{amount(found.low)}, {amount(found.high)}]"


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
    return one.runs == other.runs and math.isclose(abs(one.difference.value), abs(other.difference.value))


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
        table, found.first, found.second, found.difference, found.blocks, found.runs, found.seeds, found.negative, shown,
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
    "shown at this scale",
)


def contrast_table(name: str, title: str, found: Sequence[tuple[str, Contrast | None]]) -> Table:
    """Contrasts as a table: (what they are over, contrast)."""
    rows = [contrast_row(table, one) for table, one in found if one is not None]
    return Table(name, f"{title}. {RULE}", list(HEADS), rows)


def renamed(found: Contrast | None, first: str, second: str) -> Contrast | None:
    """The contrast under other names."""
    return None if found is None else replace(found, first=first, second=second)
