"""What every research question works with: units, arms, paired contrasts with intervals, and their wording."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness import statistics as st
from harness.experiments.tables import Table
from harness.notes import plural
from harness.report.svg import clipped
from harness.seeding import rng
from harness.standings import REFERENCES, Policy, Standings, over_seeds
from harness.statistics import Estimate
from harness.store import ResultStore
from harness.texttable import amount
from harness.units import Unit, flatten

Factor = Callable[[Unit], str | None]
Key = tuple[str, int]
Values = Mapping[str, Mapping[Key, float]]

FD_RATE = "dependencies.fd_violation_rate"
RULE_RATE = "rules.violation_rate"

METRICS = (
    (FD_RATE, True),
    ("rules.violation_rate", True),
    ("conditional.distance", True),
    ("distribution.pair_trends", False),
    ("detection.roc_auc", True),
    ("ml_efficacy.hgb.roc_auc", False),
    ("ml_efficacy.hgb.r2", False),
)
"""Metrics of the ablation tables and whether lower is better."""


@dataclass(frozen=True)
class Study:
    """The records an experiment looks at, and the store their tables are in."""

    board: Standings
    store: ResultStore

    @property
    def scored(self) -> list[Unit]:
        """Units with scores."""
        return [unit for unit in self.board.units if unit.scored]

    @property
    def policy(self) -> Policy:
        """Bootstrap draws and seed."""
        return self.board.policy

    def cell(self, dataset: str, label: str, metric: str) -> Estimate | None:
        """Mean over seeds of one metric on one dataset, with Student's t interval cut at the metric's bounds."""
        scores = [
            unit.scores[metric]
            for unit in self.board.cells.get((dataset, label), ())
            if metric in unit.scores and unit.scores[metric].value is not None
        ]
        values = [score.value for score in scores if score.value is not None]
        return over_seeds(values, scores[0].bounds) if values else None

    def anchor(self, dataset: str, metric: str, which: str) -> float | None:
        """The ``real`` or ``floor`` anchor of a metric on a dataset."""
        for unit in self.scored:
            score = unit.scores.get(metric)
            if unit.dataset == dataset and score is not None and getattr(score, which) is not None:
                return float(getattr(score, which))
        return None

    def metrics(self, dataset: str, prefix: str) -> list[str]:
        """Names of scores on a dataset that start so, in order."""
        return sorted(
            {name for unit in self.scored if unit.dataset == dataset for name in unit.scores if name.startswith(prefix)}
        )

    def datasets_with(self, metric: str) -> list[str]:
        """Datasets on which some unit has a value of the metric."""
        return sorted({unit.dataset for unit in self.scored if unit.value(metric) is not None})


@dataclass
class Result:
    """What a research question gives: tables, figures (name → draw function that saves), and a paragraph."""

    question: str
    tables: list[Table] = field(default_factory=list)
    figures: dict[str, Callable[[], Any]] = field(default_factory=dict)
    answer: list[str] = field(default_factory=list)


def param(unit: Unit, name: str) -> str | None:
    """A generator parameter by its last name (``order``, ``temperature``), as text; ``None`` when it has none such."""
    flat = flatten(unit.record.cell.params)
    return next(
        (flat[key] for key in sorted(flat, key=lambda key: (key.count("."), key)) if key.split(".")[-1] == name), None
    )


def order_of(unit: Unit) -> str | None:
    """The column order policy of a language model's unit."""
    return param(unit, "order")


def size_of(unit: Unit) -> int | None:
    """Number of model parameters, where the generator says it."""
    count = unit.record.generator_info.get("parameters")
    return int(count) if isinstance(count, (int, float)) and not isinstance(count, bool) else None


def competitors(board: Standings) -> list[str]:
    """Labels of the generators that are no references, best first."""
    return [row.label for row in board.rows if row.label in board.ranked]


def gather(units: Iterable[Unit], factor: Factor, metric: str, without: Sequence[str] | None) -> Values:
    """Values by level of a factor and by block (dataset and all parameters but ``without``) and seed.

    Args:
        units: to look at.
        factor: the level of a unit; units with ``None`` are left out.
        metric: score name.
        without: names of parameters that the factor itself changes, so that they do not part the blocks; ``None`` when the factor
            is the generator, so that no parameter or version does.
    """
    found: dict[str, dict[Key, float]] = defaultdict(dict)
    for unit in units:
        level, value = factor(unit), unit.value(metric)
        if level is None or value is None:
            continue
        cell, settings = unit.record.cell, ""
        if without is not None:
            flat = flatten(cell.params)
            rest = sorted((key, text) for key, text in flat.items() if not set(key.split(".")) & set(without))
            settings = f"{cell.version}\x1f{rest}"
        block = f"{unit.dataset}\x1f{cell.n_rows}\x1f{settings}"
        found[level][block, unit.record.cell.seed] = value
    return found


@dataclass(frozen=True)
class Contrast:
    """first − second, paired by block and seed.

    Attributes:
        difference: mean over blocks of the mean over seeds, with a 95 % interval: hierarchical bootstrap over blocks and seeds,
            or Student's t over seeds when there is one block.
        blocks: number of blocks (datasets × other settings).
        runs: number of pairs.
        negative: share of pairs in which first is lower.
    """

    first: str
    second: str
    difference: Estimate
    blocks: int
    runs: int
    negative: float

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


def contrast(values: Values, first: str, second: str, policy: Policy) -> Contrast | None:
    """Compare two levels of a factor on what both have; ``None`` when they share nothing."""
    shared = sorted(set(values.get(first, {})) & set(values.get(second, {})))
    if not shared:
        return None
    blocks: dict[str, list[float]] = defaultdict(list)
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
    return Contrast(first, second, estimate, len(blocks), len(every), float(np.mean([d < 0 for d in every])))


def interval_text(found: Estimate) -> str:
    """``0.031 [0.02, 0.04]``, or a remark that there is no interval."""
    if found.low is None or found.high is None:
        return f"{amount(found.value)} (no interval: a single run, or equal runs)"
    return f"{amount(found.value)} [{amount(found.low)}, {amount(found.high)}]"


def verdict(found: Contrast | None, what: str, lower_is_better: bool = True) -> str:
    """A sentence on a contrast, with its number, its n and whether it is shown at this scale."""
    if found is None:
        return f"Not shown at this scale: no pair of runs compares {what}."
    better = (found.difference.value < 0) == lower_is_better
    share = found.negative if lower_is_better else 1 - found.negative
    numbers = (
        f"difference {interval_text(found.difference)} over {plural(found.blocks, 'block')} "
        f"({plural(found.runs, 'pair')} of runs, better in {share:.0%})"
    )
    if not found.shown:
        return f"Not shown at this scale: {found.first} against {found.second} on {what}, {numbers}; the interval does not exclude 0."
    return f"{found.first} is {'better' if better else 'worse'} than {found.second} on {what}: {numbers}."


def contrast_table(name: str, title: str, found: Sequence[Contrast | None]) -> Table:
    """Contrasts as a table."""
    return Table(
        name,
        title,
        ["first", "second", "difference", "blocks", "pairs", "share lower", "shown at this scale"],
        [
            [c.first, c.second, c.difference, c.blocks, c.runs, c.negative, "yes" if c.shown else "no"]
            for c in found
            if c is not None
        ],
    )


def by_generator(study: Study, name: str, title: str, metrics: Mapping[str, Sequence[str]]) -> Table:
    """A row per (dataset, metric), a column per generator, with the anchors.

    Args:
        study: where values come from.
        name: of the table.
        title: of the table.
        metrics: score names by dataset.
    """
    labels = [
        *competitors(study.board),
        *(row.label for row in study.board.rows if row.label not in study.board.ranked),
    ]
    rows = [
        [
            dataset,
            clipped(metric, 60),
            study.anchor(dataset, metric, "real"),
            *(study.cell(dataset, label, metric) for label in labels),
            study.anchor(dataset, metric, "floor"),
        ]
        for dataset, found in metrics.items()
        for metric in found
    ]
    return Table(name, title, ["dataset", "metric", "real", *labels, "floor"], rows)


def order_contrast(study: Study, metric: str, first: str = "fd", second: str = "random") -> Contrast | None:
    """The paper's claim: one fixed FD-informed order against fresh random orders, all else equal."""
    found = contrast(gather(study.scored, order_of, metric, ORDER_PARAMS), first, second, study.policy)
    return None if found is None else replace(found, first=f"order {first}", second=f"order {second}")


ORDER_PARAMS = ("order", "given_order", "mining")


ORDERS = ("fd", "information", "fd_reference", "fixed_random", "original", "fd_reversed", "random", "given")


def order_levels(found: Sequence[str]) -> list[str]:
    """Order policies as tables list them: FD-informed first."""
    return sorted(found, key=lambda name: (ORDERS.index(name) if name in ORDERS else len(ORDERS), name))


def means_by(study: Study, factor: Callable[[Unit], str | None], metric: str) -> dict[str, dict[str, Estimate]]:
    """Mean over runs by dataset and level of a factor, with Student's t intervals cut at the metric's bounds."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    bounds: dict[str, tuple[float | None, float | None]] = {}
    for unit in study.scored:
        level, value = factor(unit), unit.value(metric)
        if level is not None and value is not None:
            values[unit.dataset][level].append(value)
            bounds[unit.dataset] = unit.scores[metric].bounds
    return {
        d: {level: over_seeds(numbers, bounds[d]) for level, numbers in found.items()} for d, found in values.items()
    }


def means_table(name: str, title: str, means: dict[str, dict[str, Estimate]], levels: Sequence[str]) -> Table:
    """A row per dataset, a column per level of a factor."""
    rows = [[dataset, *(found.get(level) for level in levels)] for dataset, found in sorted(means.items())]
    return Table(name, title, ["dataset", *levels], rows)


def evidence(study: Study) -> str:
    """How much there is: datasets, generators, seeds, scale."""
    scales = sorted({str(scale) for unit in study.scored if (scale := unit.record.environment.get("scale"))})
    seeds = len({unit.record.cell.seed for unit in study.scored})
    generators = len({unit.generator for unit in study.scored if unit.record.cell.generator not in REFERENCES})
    datasets = len({unit.dataset for unit in study.scored})
    failed = sum(unit.record.status != "ok" for unit in study.board.units)
    return (
        f"Evidence: {plural(datasets, 'dataset')}, {plural(generators, 'generator')}, {plural(seeds, 'training seed')}, "
        f"{plural(len(study.board.units), 'cell')} of which {failed} did not end ok; scale {', '.join(scales) or 'not recorded'}. "
        "Intervals are 95 %; a block is a dataset with all other settings equal."
    )
