"""What an order is worth at equal training budgets: violation and fidelity by order, decoding and passes over the rows."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path

from harness.experiments.contrasts import Contrast, contrast, gather, interval_text, together
from harness.experiments.study import (
    FD_RATE,
    ORDER_PARAMS,
    ORDERS,
    Result,
    Study,
    evidence,
    means_over,
    order_levels,
    order_of,
    param,
)
from harness.ranking.intervals import over_seeds
from harness.ranking.runs import Run
from harness.ranking.statistics import Estimate
from harness.ranking.wording import plural
from harness.report.figures import plots as figures
from harness.report.tables import Entry, Table, file_name

FIDELITY = (
    ("column shapes", ("distribution.column_shapes",)),
    ("pair distance", ("distribution.pair_distance",)),
    ("pair trends", ("distribution.pair_trends",)),
    ("ML efficacy", ("ml_efficacy.hgb.roc_auc", "ml_efficacy.hgb.r2")),
)
"""Columns beside the violation rate; of several scores the one that the table's task has."""

Arm = tuple[str, float, str, str]  # dataset, epochs, decoding, order


def order_budget(study: Study, folder: Path) -> Result:
    """How does violation fall with training, at each order?"""
    result = Result("How does the violation of dependencies fall with the training budget, at each order?")
    arms: dict[Arm, list[Run]] = defaultdict(list)
    timed = 0
    for run in study.scored:
        order, epochs = order_of(run), param(run, "epochs")
        if order is None or run.value(FD_RATE) is None:
            continue
        if epochs in (None, "null") or param(run, "max_train_seconds") not in (None, "null"):
            timed += 1  # what a second buys depends on the machine and its load: not a budget that can be drawn
            continue
        arms[run.dataset, float(epochs or 0), param(run, "decoding") or "", order].append(run)
    rates = {arm: _mean(runs, (FD_RATE,)) for arm, runs in arms.items()}
    rows = [_row(arm, arms, rates) for arm in sorted(arms, key=_place)]
    title = (
        "Violation rate of dependencies and pair distance (0 best), other fidelity (1 best) by training budget and order: "
        "means over training seeds, Student's t 95 % intervals"
    )
    heads = ["dataset", "epochs", "decoding", "order", "seeds", "FD violation", "share of random's"]
    result.tables = [Table("orders", title, [*heads, *(name for name, _ in FIDELITY)], rows)]
    fd_arms = [arm for arm in sorted(arms, key=_place) if arm[3] == "fd" and _random(arm) in arms]
    paired = together([_paired([*arms[arm], *arms[_random(arm)]]) for arm in fd_arms])
    result.answer = [_sentence(arm, rates) + _shown(found) for arm, found in zip(fd_arms, paired, strict=True)]
    if timed:
        result.answer.append(f"{plural(timed, 'run')} with a budget in seconds left out.")
    result.answer.append(evidence(study))
    for dataset in sorted({arm[0] for arm in arms}):
        _curve(study, folder, result, dataset, rates, arms)
    return result


def _place(arm: Arm) -> tuple[str, float, bool, str, int, str]:
    """Tables go by dataset and budget, forced names first, then by order."""
    dataset, epochs, decoding, order = arm
    rank = ORDERS.index(order) if order in ORDERS else len(ORDERS)
    return dataset, epochs, decoding != "template", decoding, rank, order


def _random(arm: Arm) -> Arm:
    """The arm of random orders at the same budget."""
    return (*arm[:3], "random")


def _mean(runs: list[Run], names: tuple[str, ...]) -> Estimate | None:
    for name in names:
        values = [value for run in runs if (value := run.value(name)) is not None]
        if values:
            return over_seeds(values, runs[0].scores[name].bounds)
    return None


def _share(arm: Arm, rates: dict[Arm, Estimate | None]) -> float | None:
    """The ratio of mean violation to that of random orders at the same budget."""
    own, random = rates[arm], rates.get(_random(arm))
    return None if own is None or random is None or not random.value else own.value / random.value


def _row(arm: Arm, arms: dict[Arm, list[Run]], rates: dict[Arm, Estimate | None]) -> list[Entry]:
    runs = arms[arm]
    dataset, epochs, decoding, order = arm
    fidelity = [_mean(runs, names) for _, names in FIDELITY]
    return [dataset, epochs, decoding, order, len(runs), rates[arm], _share(arm, rates), *fidelity]


def _sentence(arm: Arm, rates: dict[Arm, Estimate | None]) -> str:
    own, random, share = rates[arm], rates[_random(arm)], _share(arm, rates)
    assert own is not None
    assert random is not None
    fixed = rates.get((*arm[:3], "fixed_random"))
    beside = "" if fixed is None else f", fixed_random {interval_text(fixed)}"
    ratio = "" if share is None else f": {share:.1%} of random's"
    return f"{arm[0]}, {arm[1]:g} epochs, {arm[2]}: fd {interval_text(own)}, random {interval_text(random)}{beside}{ratio}."


def _paired(runs: list[Run]) -> Contrast | None:
    """The paired difference of the two orders at one budget."""
    return contrast(gather(runs, order_of, FD_RATE, ORDER_PARAMS), "fd", "random")


def _shown(found: Contrast | None) -> str:
    """What the paired difference shows."""
    if found is None:
        return " Not shown at this scale: no pair of runs differs in the order alone."
    said = f"paired difference {interval_text(found.difference)} over {plural(found.runs, 'pair')}"
    return f" Not shown at this scale: {said}; {found.doubt}." if found.doubt else f" Shown: {said}."


def _curve(
    study: Study,
    folder: Path,
    result: Result,
    dataset: str,
    rates: dict[Arm, Estimate | None],
    arms: dict[Arm, list[Run]],
) -> None:
    """Violation against budget for the decoding with most budgets, where there are two or more."""
    points: dict[str, dict[str, list[tuple[float, Estimate]]]] = defaultdict(lambda: defaultdict(list))
    for arm in sorted(rates, key=_place):
        rate = rates[arm]
        if arm[0] == dataset and rate is not None:
            points[arm[2]][arm[3]].append((arm[1], rate))
    decoding = max(sorted(points), key=lambda name: len({x for found in points[name].values() for x, _ in found}))
    series = {order: points[decoding][order] for order in order_levels(list(points[decoding]))}
    if max(map(len, series.values())) < 2:
        return
    others = {"tabular_argn", "arf"} & {run.generator for run in study.scored if run.dataset == dataset}
    levels = {label: found.value for label in sorted(others) if (found := study.cell(dataset, label, FD_RATE))}
    path = folder / file_name("violation_by_budget", dataset)
    means = means_over([len(runs) for arm, runs in arms.items() if arm[0] == dataset and arm[2] == decoding])
    none = "; hollow: no violation at all" if any(e.value == 0 for points in series.values() for _, e in points) else ""
    result.figures[path.name] = partial(
        figures.lines,
        path,
        f"{dataset}, {decoding} decoding: violation against training budget; {means}{none}",
        "passes over the training rows (log axis)",
        "FD violation rate (0 is best; log axis)",
        series,
        levels,
        log_x=True,
        log_y=True,
    )
