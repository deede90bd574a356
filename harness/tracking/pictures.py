"""Figures of a cell and of a leaderboard as PNG files for their W&B runs, drawn by the code that draws the experiments' figures.

They are made of what is stored: the record, the tables, ``leaderboard.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from harness.datasets import stored
from harness.datasets.base import Dataset
from harness.errors import TabOrderError
from harness.ranking.statistics import Estimate
from harness.ranking.wording import plural
from harness.records.record import SCORED, Record
from harness.records.store import ResultStore
from harness.report.figures import graph as figures_graph
from harness.report.figures import plots as figures
from harness.report.figures import tables as figures_tables
from harness.report.views.atlas import Atlas, atlas
from harness.report.views.order import order_graph
from harness.report.views.pairs import distances
from harness.report.views.real import real_tables
from harness.tracking.messages import Drawing

MOST_COLUMNS = 18
MOST_ORDERED = 60
MOST_BARS = 40
DARKEST = 0.4
"""Distance of a pair's joint distribution that is darkest on the heat map."""
BROKEN = ("dependencies.fd_violation_rate.", "rules.violation_rate.")


Picture = tuple[str, Callable[[Path], None]]


def draw(wanted: Drawing, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Draw what a run asks for.

    Args:
        wanted: a cell's figures, or a leaderboard's.
        folder: where the files go.

    Returns:
        Files by name (``figures/columns``, ``figures/violations``, …), and a sentence for each that could not be drawn.
    """
    made: dict[str, str] = {}
    problems: list[str] = []
    if wanted.board is not None:
        drawings: Iterable[Picture] = of_board(json.loads(Path(wanted.board).read_text(encoding="utf-8")))
    else:
        record = Record.from_json(Path(str(wanted.record)).read_text(encoding="utf-8"))
        drawings = of_cell(record, ResultStore(wanted.store), problems, tables=wanted.tables)
    for name, drawing in drawings:
        path = folder / f"{name}.png"
        try:
            drawing(path)
            made[f"figures/{name}"] = str(path)
        except Exception as error:  # a table can be odd in ways no drawing foresees; the others are still shown
            problems.append(f"figure '{name}' is not drawn ({type(error).__name__}: {error})")
    return made, problems


def of_cell(record: Record, store: ResultStore, problems: list[str], *, tables: bool) -> Iterator[Picture]:
    """``violations`` and ``column_order`` from the record; ``columns``, ``pair_trends`` and ``map`` from the tables."""
    if record.status not in SCORED:
        return
    cell = record.cell
    title = cell.label
    yield from _of_record(record, title)
    if not tables:
        return
    if not (store.dataset_dir(cell.dataset, cell.dataset_checksum) / stored.DESCRIPTION).is_file():
        return  # a store without its real tables, which the report says
    real = real_tables(store, cell, problems)
    if real is None:
        return
    try:
        table = store.synthetic(cell)
        plan = atlas(real)
    except (TabOrderError, KeyError) as error:
        problems.append(f"no figures of rows: {error}")
        return
    yield from _of_table(real, table, plan, cell.generator, title)


def of_board(board: Mapping[str, Any]) -> Iterator[Picture]:
    """``overall``, ``families`` and ``quality_cost`` of a leaderboard, with its intervals."""
    rows = [row for row in board["generators"] if row["overall"] is not None]
    if not rows:
        return
    over = board["kept_datasets"] or board["datasets"]
    said = f"95 % intervals over datasets and seeds, n = {plural(len(over), 'dataset')}"
    names = [row["label"] for row in rows]
    title = f"Overall score (0 like independent columns, 1 like real rows); {said}"
    overall = {"overall": [_estimate(row["overall"]) for row in rows]}
    yield "overall", lambda path: figures.bars(path, title, "overall score", names, overall)
    families = [family for family in board["families"] if any(family["key"] in row["families"] for row in rows)]
    heads = [family["title"] for family in families]
    series = {row["label"]: [_estimate(row["families"].get(family["key"])) for family in families] for row in rows}
    by_family = f"Normalised scores by family; {said}"
    yield "families", lambda path: figures.bars(path, by_family, "normalised score", heads, series)
    spent = {row["label"]: _seconds(row["cost"]) for row in rows}
    points = {
        row["label"]: [(seconds, found)]
        for row in rows
        if (seconds := spent[row["label"]]) and (found := _estimate(row["overall"]))
    }
    if points:
        cost = f"Quality against cost; {said}"
        seconds_said = "seconds per cell, fit + sample"
        yield (
            "quality_cost",
            lambda path: figures.lines(path, cost, seconds_said, "overall score", points, log_x=True),
        )


def _estimate(found: Mapping[str, float | None] | None) -> Estimate | None:
    return None if found is None or found["value"] is None else Estimate(found["value"], found["low"], found["high"])


def _seconds(cost: Mapping[str, float | None]) -> float:
    """Seconds of fit and sample; 0 where one is unknown."""
    fit, sample = cost["fit_seconds"], cost["sample_seconds"]
    return 0.0 if fit is None or sample is None else fit + sample


def _of_record(record: Record, title: str) -> Iterator[Picture]:
    scores = [score for score in record.scores if score.metric.startswith(BROKEN)][:MOST_BARS]
    if scores:
        series = {
            record.cell.generator: [score.value for score in scores],
            "real (held out)": [score.real for score in scores],
            "floor (independent columns)": [score.floor for score in scores],
        }
        estimates = {
            name: [None if value is None else Estimate(value) for value in values] for name, values in series.items()
        }
        names = [score.metric.split(".", 2)[2] for score in scores]
        said = f"{title}: share of rows that break each dependency and rule (one cell, no interval)"
        yield "violations", lambda path: figures.bars(path, said, "violation rate", names, estimates)
    graph = order_graph(record.generator_info)
    if graph is not None and len(graph.order) <= MOST_ORDERED:
        yield (
            "column_order",
            lambda path: figures_graph.graph_search(
                path, title, graph.order, graph.edges, graph.components, graph.composite
            ),
        )


def _of_table(real: Dataset, table: pd.DataFrame, plan: Atlas | None, label: str, title: str) -> Iterator[Picture]:
    count = min(MOST_COLUMNS, len(real.schema.columns))
    columns = f"{title}: the first {count} of {len(real.schema.columns)} columns, all rows"
    yield "columns", lambda path: figures_tables.overlays(path, real, {label: table}, columns, count)
    if count > 1:
        yield "pair_trends", lambda path: pair_trends(path, real, table, title)
    if plan is not None:
        keys = figures_tables.chosen_keys(plan, real)
        said = f"{title}, by {plan.key or 'area'}: up to {figures_tables.MOST_POINTS:,} rows at equal distances; dots lie inside, crosses outside"
        yield (
            "map",
            lambda path: figures_tables.geolocation(path, plan, keys, {"real (test)": real.test, label: table}, said),
        )


def pair_trends(path: Path, real: Dataset, table: pd.DataFrame, title: str) -> None:
    """Distances of the joint distributions of all pairs of columns; at a row's end its mean over the other columns."""
    names, found = distances(real.schema, real.test, table)
    others = max(1, len(names) - 1)
    beside = {name: Estimate(float((found[i].sum() - found[i, i]) / others)) for i, name in enumerate(names)}
    rows: dict[str, list[float | None]] = {name: found[i].tolist() for i, name in enumerate(names)}
    said = (
        f"{title}: distance of each pair's joint distribution from the real test rows' (0 best; diagonal: single columns; "
        "at the end of a row the mean over the other columns)"
    )
    figures.heat(path, said, "total variation distance", names, rows, beside, top=DARKEST)
