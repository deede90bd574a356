"""The order ablation and the figures of the method."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from harness import figures, figures_graph
from harness.experiments.study import (
    FD_RATE,
    METRICS,
    ORDER_PARAMS,
    Result,
    Study,
    contrast,
    contrast_table,
    evidence,
    gather,
    means_by,
    means_table,
    order_levels,
    order_of,
    verdict,
)
from harness.experiments.tables import file_name
from harness.report.order import edges


def ablation_order(study: Study, folder: Path) -> Result:
    """Is it the order being fixed, or being FD-informed?"""
    result = Result("Is it that the order is fixed, or that it is FD-informed?")
    levels = order_levels(sorted({order for unit in study.scored if (order := order_of(unit)) is not None}))
    means = means_by(study, order_of, FD_RATE)
    result.tables = [
        means_table(
            "fd_violation_by_order",
            "Violation rate of the curated dependencies by column order (0 best), means over runs, 95 % intervals",
            means,
            levels,
        )
    ]
    for metric, _ in METRICS:
        values = gather(study.scored, order_of, metric, ORDER_PARAMS)
        found = [contrast(values, "fd", other, study.policy) for other in levels if other != "fd"]
        found += [contrast(values, "fixed_random", "random", study.policy)]
        if any(found):
            result.tables.append(
                contrast_table(
                    f"contrasts_{metric.replace('.', '_')}",
                    f"{metric}: paired differences between orders, all else equal",
                    found,
                )
            )
    values = gather(study.scored, order_of, FD_RATE, ORDER_PARAMS)
    what = "the violation rate of dependencies"
    result.answer = [
        "Fixed against fresh for every row: " + verdict(contrast(values, "fixed_random", "random", study.policy), what),
        "FD-informed against fixed: " + verdict(contrast(values, "fd", "fixed_random", study.policy), what),
        "Dependent first against determinant first: "
        + verdict(contrast(values, "fd", "fd_reversed", study.policy), what),
        evidence(study),
    ]
    if means and levels:
        groups = sorted(means)
        series = {level: [means[d].get(level) for d in groups] for level in levels}
        path = folder / "intro_observation_order"
        result.figures[path.name] = partial(
            figures.bars,
            path,
            "Violation of curated dependencies by column order, 95 % intervals",
            "FD violation rate",
            groups,
            series,
        )
    _method_figures(study, folder, result)
    return result


def _method_figures(study: Study, folder: Path, result: Result) -> None:
    """Edges, graph and order of the first record with a mined order per dataset; the pipeline."""
    result.figures["method_overview"] = partial(figures_graph.overview, folder / "method_overview")
    for dataset in study.board.datasets:
        info = next((dict(u.record.generator_info) for u in study.scored if u.dataset == dataset and order_of(u) == "fd" and u.record.generator_info.get("column_order")), None)  # fmt: skip
        if info is None:
            continue
        order = [str(name) for name in info["column_order"]]
        fds = [f"{', '.join(map(str, fd.get('lhs', [])))} → {fd.get('rhs')}" for fd in info.get("fds") or []]
        pairs = _graph(info)
        places = set(order)
        pairs = [(a, b) for a, b in pairs if a in places and b in places]
        path = folder / file_name("method_edge_building", dataset)
        result.figures[path.name] = partial(figures_graph.edge_building, path, dataset, order, fds, pairs)
        path = folder / file_name("method_graph_search", dataset)
        components = [[str(name) for name in group] for group in info.get("components") or []]
        result.figures[path.name] = partial(figures_graph.graph_search, path, dataset, order, pairs, components)


def _graph(info: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(str(edge[0]), str(edge[1])) for edge in info.get("edges") or [] if len(edge) == 2]
    return found or edges(info)
