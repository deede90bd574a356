"""What every research question works with: runs and their factors, means by level, and how much evidence there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.experiments.contrasts import RULE, Contrast, Question, Values, gather, questions, renamed
from harness.ranking.intervals import over_seeds
from harness.ranking.labels import flatten
from harness.ranking.policy import REFERENCES
from harness.ranking.runs import Run
from harness.ranking.standings import Standings
from harness.ranking.statistics import Estimate
from harness.ranking.wording import clipped, plural, sample_size
from harness.records.store import ResultStore
from harness.report.tables import Table

FD_RATE = "dependencies.fd_violation_rate"
RULE_RATE = "rules.violation_rate"
RATE_LABEL = "FD violation rate (0 is best)"

METRICS = (
    (FD_RATE, True),
    ("rules.violation_rate", True),
    ("conditional.distance", True),
    ("distribution.pair_distance", True),
    ("detection.two_sided", False),
    ("ml_efficacy.hgb.roc_auc", False),
    ("ml_efficacy.hgb.r2", False),
)
"""Metrics of the ablation tables and whether lower is better."""


@dataclass(frozen=True)
class Study:
    """The records an experiment looks at, and the store their tables are in."""

    standings: Standings
    store: ResultStore

    @property
    def scored(self) -> list[Run]:
        """Units with scores."""
        return [run for run in self.standings.runs if run.scored]

    def n(self, *datasets: str) -> str:
        """``n = 3 training seeds``, over the pairs of dataset (all, or those given) and generator that have scores."""
        return sample_size(self._seeds(datasets))

    def means(self, *datasets: str) -> str:
        """What a figure of these datasets' marks are: means with intervals, or single runs."""
        return means_over(self._seeds(datasets))

    def repeated(self, *datasets: str) -> bool:
        """Whether any pair of dataset and generator has scores of two training seeds."""
        return max(self._seeds(datasets), default=0) > 1

    def _seeds(self, datasets: Sequence[str]) -> list[int]:
        """Scored training seeds of each pair that has any."""
        drawn = [runs for (dataset, _), runs in self.standings.by_pair.items() if not datasets or dataset in datasets]
        return [n for runs in drawn if (n := sum(run.scored for run in runs))]

    def cell(self, dataset: str, label: str, metric: str) -> Estimate | None:
        """Mean over seeds of one metric on one dataset, with Student's t interval cut at the metric's bounds."""
        scores = [
            run.scores[metric]
            for run in self.standings.by_pair.get((dataset, label), ())
            if metric in run.scores and run.scores[metric].value is not None
        ]
        values = [score.value for score in scores if score.value is not None]
        return over_seeds(values, scores[0].bounds) if values else None

    def anchor(self, dataset: str, metric: str, which: str) -> float | None:
        """The ``real`` or ``floor`` anchor of a metric on a dataset."""
        for run in self.scored:
            score = run.scores.get(metric)
            if run.dataset == dataset and score is not None and getattr(score, which) is not None:
                return float(getattr(score, which))
        return None

    def metrics(self, dataset: str, prefix: str) -> list[str]:
        """Names of scores on a dataset that start so, in order."""
        return sorted(
            {name for run in self.scored if run.dataset == dataset for name in run.scores if name.startswith(prefix)}
        )

    def datasets_with(self, metric: str) -> list[str]:
        """Datasets on which some run has a value of the metric."""
        return sorted({run.dataset for run in self.scored if run.value(metric) is not None})


@dataclass
class Result:
    """What a research question gives: tables, figures (name → draw function that saves), and a paragraph."""

    question: str
    tables: list[Table] = field(default_factory=list)
    figures: dict[str, Callable[[], Any]] = field(default_factory=dict)
    answer: list[str] = field(default_factory=list)


def means_over(seeds: Sequence[int]) -> str:
    """What a figure's marks are, from the number of training seeds behind each."""
    said = sample_size(seeds)
    return f"means and 95 % intervals over {said}" if max(seeds, default=0) > 1 else f"{said}, so no intervals"


def param(run: Run, name: str) -> str | None:
    """A generator parameter by its last name (``order``, ``temperature``), as text; ``None`` when it has none such."""
    flat = flatten(run.record.cell.params)
    return next(
        (flat[key] for key in sorted(flat, key=lambda key: (key.count("."), key)) if key.split(".")[-1] == name), None
    )


def order_of(run: Run) -> str | None:
    """The column order policy a language model was trained with; ``None`` for other generators and for models used as they are."""
    return None if run.record.cell.target.endswith(".InContextLLM") else param(run, "order")


def size_of(run: Run) -> int | None:
    """Number of model parameters, where the generator says it."""
    count = run.record.generator_info.get("parameters")
    return int(count) if isinstance(count, (int, float)) and not isinstance(count, bool) else None


def competitors(standings: Standings) -> list[str]:
    """Labels of the generators that are no references, best first."""
    return [row.label for row in standings.rows if row.label in standings.ranked]


def by_generator(study: Study, name: str, title: str, metrics: Mapping[str, Sequence[str]]) -> Table:
    """A row per (dataset, metric), a column per generator, with the anchors.

    Args:
        study: where values come from.
        name: of the table.
        title: of the table.
        metrics: score names by dataset.
    """
    labels = [
        *competitors(study.standings),
        *(row.label for row in study.standings.rows if row.label not in study.standings.ranked),
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


def order_values(study: Study, metric: str) -> Values:
    """Values of the language models by column order, all else equal within a block."""
    return gather(study.scored, order_of, metric, ORDER_PARAMS)


CLAIM = (("fd", "random"),)


def order_questions(study: Study, metrics: Sequence[str], pairs: Sequence[tuple[str, str]] = CLAIM) -> list[Question]:
    """Column orders compared, all else equal, metric by metric and pair by pair; asked together.

    The default is the paper's claim: one fixed FD-informed order against fresh random orders.
    """
    values = {metric: order_values(study, metric) for metric in metrics}
    return [
        replace(one, overall=named_orders(one.overall))
        for one in questions([(values[metric], first, second) for metric in metrics for first, second in pairs])
    ]


def named_orders(found: Contrast | None) -> Contrast | None:
    """The contrast with its levels called orders."""
    return None if found is None else renamed(found, f"order {found.first}", f"order {found.second}")


ORDER_PARAMS = ("order", "order_seed", "given_order", "mining")


ORDERS = ("fd", "information", "fd_reference", "fixed_random", "original", "fd_reversed", "random", "given")


def order_levels(found: Sequence[str]) -> list[str]:
    """Order policies as tables list them: FD-informed first."""
    return sorted(found, key=lambda name: (ORDERS.index(name) if name in ORDERS else len(ORDERS), name))


def means_by(study: Study, factor: Callable[[Run], str | None], metric: str) -> dict[str, dict[str, Estimate]]:
    """Mean over runs by dataset and level of a factor, with Student's t intervals cut at the metric's bounds."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    bounds: dict[str, tuple[float | None, float | None]] = {}
    for run in study.scored:
        level, value = factor(run), run.value(metric)
        if level is not None and value is not None:
            values[run.dataset][level].append(value)
            bounds[run.dataset] = run.scores[metric].bounds
    return {
        d: {level: over_seeds(numbers, bounds[d]) for level, numbers in found.items()} for d, found in values.items()
    }


def means_table(name: str, title: str, means: dict[str, dict[str, Estimate]], levels: Sequence[str]) -> Table:
    """A row per dataset, a column per level of a factor."""
    rows = [[dataset, *(found.get(level) for level in levels)] for dataset, found in sorted(means.items())]
    return Table(name, title, ["dataset", *levels], rows)


def evidence(study: Study) -> str:
    """How much there is: datasets, generators, seeds, scale."""
    scales = sorted({str(scale) for run in study.scored if (scale := run.record.environment.get("scale"))})
    seeds = len({run.record.cell.seed for run in study.scored})
    generators = len({run.generator for run in study.scored if run.record.cell.generator not in REFERENCES})
    datasets = len({run.dataset for run in study.scored})
    names = {run.record.cell.dataset for run in study.scored}
    embedded = "regions" in names and all(name.startswith(("simulated", "regions")) for name in names)
    stand_in = " Tables made by code stand in for the paper's." if embedded else ""
    failed = sum(run.record.status != "ok" for run in study.standings.runs)
    return (
        f"Evidence: {plural(datasets, 'dataset')}, {plural(generators, 'generator')}, {plural(seeds, 'training seed')}, "
        f"{plural(len(study.standings.runs), 'cell')} of which {failed} did not end ok; scale {', '.join(scales) or 'not recorded'}.{stand_in} "
        f"{RULE}"
    )
