"""rq1 to rq4: conditional distributions, rules and dependencies, the sniff test, downstream use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness.experiments.contrasts import (
    Contrast,
    Question,
    contrast,
    contrast_table,
    gather,
    question_rows,
    same,
    together,
    verdict,
)
from harness.experiments.pictures import by_key, pictures
from harness.experiments.study import (
    FD_RATE,
    RULE_RATE,
    Result,
    Study,
    by_generator,
    competitors,
    evidence,
    order_questions,
)
from harness.ranking.statistics import Estimate
from harness.report.figures import plots as figures
from harness.report.tables import Table

CONDITIONAL = "conditional.distance"
SNIFF = "detection.sniff_accuracy"
DETECTION = "detection.roc_auc"
TWO_SIDED = "detection.two_sided"
MEASURES = {"roc_auc": "ROC-AUC", "r2": "R²"}
DEPENDENCY_AND_RULES = ("dependencies", "rules")


def rq1(study: Study, folder: Path) -> Result:
    """Are conditional distributions inside categories kept?"""
    datasets = study.datasets_with(CONDITIONAL)
    names = {d: [CONDITIONAL, f"{CONDITIONAL}_worst", *study.metrics(d, f"{CONDITIONAL}_by_column.")] for d in datasets}
    categories = {d: study.metrics(d, f"{CONDITIONAL}_by_category.") for d in datasets}
    title = "Distance of each column's distribution given the category, real against synthetic (0 best); means over seeds, 95 % intervals"
    result = Result("Are conditional distributions inside categories kept?")
    result.tables = [
        by_generator(study, "conditional_distance", title, names),
        by_generator(study, "conditional_distance_by_category", f"{title}; by category", categories),
    ]
    claims = _claims(study, [(CONDITIONAL, "conditional distance", True)])
    result.tables.append(_order_table("Conditional distance, order fd minus order random", claims))
    result.answer = [*(sentence for claim in claims for sentence in claim.sentences()), evidence(study)]
    pictures(study, folder, result)
    return result


def rq2(study: Study, folder: Path) -> Result:
    """Are domain rules and functional dependencies kept?"""
    datasets = sorted({*study.datasets_with(FD_RATE), *study.datasets_with(RULE_RATE)})
    rules = {
        d: [
            *study.metrics(d, f"{RULE_RATE}."),
            *study.metrics(d, f"{FD_RATE}."),
            *study.metrics(d, "dependencies.fd_unseen_rate."),
        ]
        for d in datasets
    }
    result = Result("Are domain rules and functional dependencies kept?")
    title = "Share of synthetic rows that break each rule or dependency (0 best); means over seeds, 95 % intervals"
    result.tables = [by_generator(study, "rules", title, rules)]
    claims = _claims(
        study, [(FD_RATE, "violation rate of dependencies", True), (RULE_RATE, "violation rate of rules", True)]
    )
    result.tables.append(
        _order_table(
            "Violation rates of dependencies, then of rules, order fd minus order random", claims, DEPENDENCY_AND_RULES
        )
    )
    result.answer = [*(sentence for claim in claims for sentence in claim.sentences()), evidence(study)]
    for dataset in datasets:
        by_key(study, folder, result, dataset, "rq_violation_rate_by_state", most=60)
    return result


def rq3(study: Study, folder: Path) -> Result:
    """Does the table pass the sniff test?"""
    metrics = (SNIFF, TWO_SIDED, DETECTION, f"{DETECTION}_copying")
    datasets = sorted({d for metric in metrics[:3] for d in study.datasets_with(metric)})
    names = {d: [m for m in metrics if study.metrics(d, m)] for d in datasets}
    result = Result("Does the table pass the sniff test?")
    result.tables = [
        by_generator(
            study,
            "detection",
            "Discriminators: sniff accuracy (best: the real anchor), a modern detector two-sided (best: 1) and its ROC-AUC (best: 0.5)",
            names,
        )
    ]
    claims = _claims(study, [(TWO_SIDED, "two-sided score of the detector", False)])
    result.tables.append(
        _order_table("Detector, two-sided (1 − 2·|AUC − ½|, 1 is best), order fd minus order random", claims)
    )
    result.answer = [*(sentence for claim in claims for sentence in claim.sentences()), evidence(study)]
    _bars_by_dataset(study, folder, result, "sniff_test", SNIFF, "sniff accuracy (best: as real)")
    _bars_by_dataset(
        study,
        folder,
        result,
        "detector_roc_auc",
        DETECTION,
        "detector ROC-AUC (0.5 is best)",
        {"0.5: not told apart": 0.5},
    )
    return result


def rq4(study: Study, folder: Path) -> Result:
    """Can the table replace real data downstream?"""
    measures = ("roc_auc", "accuracy", "macro_f1", "r2", "mae", "mape")
    datasets = sorted(
        {run.dataset for run in study.scored if any(name.startswith("ml_efficacy.") for name in run.scores)}
    )
    names = {d: [m for m in study.metrics(d, "ml_efficacy.") if m.split(".")[-1] in measures] for d in datasets}
    result = Result("Can it replace real data downstream?")
    gaps = _gaps(study, datasets)
    title = "Trained on synthetic, tested on real rows; real: trained on real rows; floor: majority or median; means over seeds, 95 % intervals"
    result.tables = [by_generator(study, "ml_efficacy", title, names), gaps]
    asked = [
        (f"ml_efficacy.hgb.{measure}", f"{name} of gradient boosting", False)
        for measure, name in MEASURES.items()
        if study.datasets_with(f"ml_efficacy.hgb.{measure}")
    ]
    claims = _claims(study, asked)
    title = "ROC-AUC, then R² of gradient boosting, order fd minus order random"
    result.tables.append(_order_table(title, claims, [claim.metric.split(".")[-1] for claim in claims]))
    result.answer = [*(sentence for claim in claims for sentence in claim.sentences()), evidence(study)]
    for measure in MEASURES:
        if study.datasets_with(f"ml_efficacy.hgb.{measure}"):
            _bars_by_dataset(
                study,
                folder,
                result,
                f"ml_efficacy_{measure}",
                f"ml_efficacy.hgb.{measure}",
                MEASURES[measure] + " of gradient boosting (1 is best)",
            )
    return result


def _gaps(study: Study, datasets: Sequence[str]) -> Table:
    labels = competitors(study.standings)
    rows = []
    for dataset in datasets:
        for metric in ("ml_efficacy.hgb.roc_auc", "ml_efficacy.hgb.r2"):
            real = study.anchor(dataset, metric, "real")
            found = [study.cell(dataset, label, metric) for label in labels]
            if real is not None and any(found):
                rows.append([dataset, metric, real, *(None if e is None else real - e.value for e in found)])
    return Table(
        "gap_to_real",
        "Gap to training on real rows (real − synthetic, 0 best), headline model",
        ["dataset", "metric", "real", *labels],
        rows,
    )


@dataclass(frozen=True)
class _Claim:
    """What is asked of one metric: which generator is best, and what the order is worth.

    Attributes:
        metric: score name.
        what: the metric in words.
        lower: whether lower is better.
        ranking: the generators' means in words, best first.
        lead: the best generator against the next; ``None`` with fewer than two, or where ``order`` compares the same runs.
        order: FD-informed against random column order.
    """

    metric: str
    what: str
    lower: bool
    ranking: str
    lead: Contrast | None
    order: Question

    def sentences(self) -> list[str]:
        """The answer."""
        best = " ".join(
            filter(None, [self.ranking, verdict(self.lead, f"the {self.what}", self.lower) if self.lead else ""])
        )
        return [best, verdict(self.order.overall, f"the {self.what}", self.lower)]


def _claims(study: Study, asked: Sequence[tuple[str, str, bool]]) -> list[_Claim]:
    """One claim for each (metric, words, whether lower is better); all their questions are asked together."""
    orders = order_questions(study, [metric for metric, _, _ in asked])
    rankings = [_ranking(study, *one) for one in asked]
    leads = [None if same(lead, order.overall) else lead for (_, lead), order in zip(rankings, orders, strict=True)]
    adjusted = together([*leads, *(order.overall for order in orders)])
    return [
        _Claim(metric, what, lower, ranking, adjusted[i], replace(orders[i], overall=adjusted[len(asked) + i]))
        for i, ((metric, what, lower), (ranking, _)) in enumerate(zip(asked, rankings, strict=True))
    ]


def _order_table(title: str, claims: Sequence[_Claim], kinds: Sequence[str] = ()) -> Table:
    """What the order is worth, metric by metric, whose ``kinds`` stand before the tables' names."""
    rows = [
        (f"{kind}: {table}" if kind else table, row)
        for kind, claim in zip(kinds or [""] * len(claims), claims, strict=True)
        for table, row in question_rows([claim.order])
    ]
    return contrast_table("order_contrast", title, rows)


def _ranking(study: Study, metric: str, what: str, lower: bool) -> tuple[str, Contrast | None]:
    """Which generator is best on average over the datasets and seeds it shares with the others, and its lead over the next."""
    values = gather(
        [u for u in study.scored if u.generator in study.standings.ranked],
        lambda run: run.generator,
        metric,
        without=None,
    )
    common = set.intersection(*(set(found) for found in values.values())) if values else set()
    if not common:
        return f"Not shown at this scale: no dataset and seed has a {what} for every generator.", None
    means = {label: sum(found[key] for key in common) / len(common) for label, found in values.items()}
    ranking = sorted(means, key=lambda label: (means[label] if lower else -means[label], label))
    if len(ranking) == 1:
        return f"Mean {what} of {ranking[0]}, the only generator: {means[ranking[0]]:.3g}.", None
    said = ", ".join(f"{label} {means[label]:.3g}" for label in ranking[:6])
    return f"Mean {what}, best first: {said}.", contrast(values, ranking[0], ranking[1])


def _bars_by_dataset(
    study: Study,
    folder: Path,
    result: Result,
    name: str,
    metric: str,
    label: str,
    lines: Mapping[str, float] | None = None,
) -> None:
    """Real rows first, then the best generators, as many as can be drawn; the title counts the rest."""
    datasets = study.datasets_with(metric)
    series = {g: [study.cell(d, g, metric) for d in datasets] for g in competitors(study.standings)}
    if datasets and any(e for found in series.values() for e in found):
        anchors = [study.anchor(d, metric, "real") for d in datasets]
        real = [None if value is None else Estimate(value) for value in anchors]
        title = f"{label}; {study.means(*datasets)}"
        path = folder / name
        shown = {"real": real, **series} if any(real) else series
        result.figures[name] = partial(figures.bars, path, title, label, datasets, shown, lines)
