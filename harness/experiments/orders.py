"""The order ablation and the figures of the method."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from harness.experiments.contrasts import contrast_table, question_rows, tally, verdict
from harness.experiments.study import (
    FD_RATE,
    METRICS,
    RATE_LABEL,
    Result,
    Study,
    evidence,
    means_by,
    means_table,
    order_levels,
    order_of,
    order_questions,
)
from harness.report.figures import graph as figures_graph
from harness.report.figures import plots as figures
from harness.report.tables import file_name
from harness.report.views.order import order_graph

PAIRS = (
    ("fixed_random", "random", "Fixed against fresh for every row"),
    ("fd", "fixed_random", "FD-informed against fixed at random"),
    ("fd", "fd_reversed", "Determinant first against dependent first"),
    ("fd", "original", "FD-informed against the table's own order"),
    ("fd", "fd_reference", "Ours against the reference's order"),
    ("fd", "random", "The paper's claim: FD-informed against fresh for every row"),
)
"""The questions of the ablation: the first order minus the second."""


def ablation_order(study: Study, folder: Path) -> Result:
    """Is it the order being fixed, or being FD-informed?"""
    result = Result("Is it that the order is fixed, or that it is FD-informed?")
    levels = order_levels(sorted({order for run in study.scored if (order := order_of(run)) is not None}))
    means = means_by(study, order_of, FD_RATE)
    result.tables = [
        means_table(
            "fd_violation_by_order",
            "Violation rate of the curated dependencies by column order (0 best), means over training seeds, 95 % intervals",
            means,
            levels,
        )
    ]
    pairs = [(first, second, said) for first, second, said in PAIRS if first in levels and second in levels]
    asked = {metric: order_questions(study, [metric], [pair[:2] for pair in pairs]) for metric, _ in METRICS}
    for metric, found in asked.items():
        if rows := [row for row in question_rows(found) if row[1]]:
            title = f"{metric}: paired differences between orders, all else equal"
            result.tables.append(contrast_table(f"contrasts_{metric.replace('.', '_')}", title, rows))
    for (_, _, said), one in zip(pairs, asked[FD_RATE], strict=True):
        result.answer.append(f"{said}: {verdict(one.overall, 'the violation rate of dependencies')}")
        result.answer += filter(None, [tally(one.alone)])
    result.answer = result.answer or [
        "Not shown at this scale: the records do not hold two orders that differ in nothing else."
    ]
    result.answer.append(evidence(study))
    if means and levels:
        groups = sorted(means)
        series = {level: [means[d].get(level) for d in groups] for level in levels}
        path = folder / "intro_observation_order"
        result.figures[path.name] = partial(
            figures.bars,
            path,
            f"Violation of curated dependencies by column order; {study.means()}",
            RATE_LABEL,
            groups,
            series,
        )
    _method_figures(study, folder, result)
    return result


def _method_figures(study: Study, folder: Path, result: Result) -> None:
    """Edges, graph and order of the first record with a mined order per dataset; the pipeline."""
    result.figures["method_overview"] = partial(figures_graph.overview, folder / "method_overview")
    for dataset in study.standings.datasets:
        found = (
            order_graph(u.record.generator_info) for u in study.scored if u.dataset == dataset and order_of(u) == "fd"
        )
        graph = next((one for one in found if one is not None), None)
        if graph is None:
            continue
        path = folder / file_name("method_edge_building", dataset)
        result.figures[path.name] = partial(
            figures_graph.edge_building, path, dataset, graph.order, graph.fds, graph.edges, graph.composite
        )
        path = folder / file_name("method_graph_search", dataset)
        result.figures[path.name] = partial(
            figures_graph.graph_search, path, dataset, graph.order, graph.edges, graph.components, graph.composite
        )
