"""What the report shows of one dataset: prepared values only, the template writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from markupsafe import Markup

from harness.datasets.base import Dataset
from harness.errors import TabOrderError
from harness.ranking.intervals import over_seeds
from harness.ranking.runs import Run
from harness.ranking.standings import Row, Standings
from harness.ranking.statistics import Estimate
from harness.ranking.wording import clipped, sample_size
from harness.records.record import Score
from harness.records.store import ResultStore
from harness.report.html.columns import overlay
from harness.report.html.maps import Frame, frame_of, outlines, point_map
from harness.report.html.order import arc_diagram
from harness.report.html.pairs import heat_map
from harness.report.views.atlas import Atlas, atlas
from harness.report.views.order import edges
from harness.report.views.pairs import distances
from harness.report.views.real import real_tables, without_root
from harness.table import write_cell

MOST_OVERLAYS = 24
SAMPLE_ROWS = 6
SAMPLE_COLUMNS = 16
MOST_COMMANDS = 10
RULE = "rules.violation_rate."
DEPENDENCY = "dependencies.fd_violation_rate."
UNSEEN = "dependencies.fd_unseen_rate."
DETAILS = ("_by_key.", "_by_value.", "_macro.")


@dataclass(frozen=True)
class Line:
    """One metric over the generators of a dataset: anchors, and per generator a mean with its interval over seeds."""

    name: str
    kind: str
    goal: str
    real: float | None
    floor: float | None
    cells: Mapping[str, Estimate | None]
    best: float | None


@dataclass(frozen=True)
class Spent:
    """Seconds of a generator's cells: means over seeds with intervals."""

    fit: Estimate | None
    sample: Estimate | None


@dataclass(frozen=True)
class Sample:
    """The first rows of a table, cut to a readable width."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    cut: int


@dataclass
class GeneratorPanel:
    """Pictures of one generator's table (its first scored seed), its column order and its cells."""

    label: str
    row: Row
    runs: Sequence[Run]
    shown_seed: int | None = None
    overlays: Sequence[Markup] = ()
    heat: Markup | None = None
    sample: Sample | None = None
    order: Sequence[str] = ()
    arcs: Markup | None = None
    notes: Sequence[str] = ()
    problem: str | None = None


@dataclass
class Section:
    """One dataset."""

    name: str
    rows: Sequence[Row]
    rules: Sequence[Line]
    metrics: Sequence[Line]
    panels: Sequence[GeneratorPanel]
    seeds: str
    spent: Mapping[str, Spent]
    facts: Sequence[str] = ()
    outline: Markup | None = None
    maps: Sequence[Markup] = ()
    sample: Sample | None = None
    problems: Sequence[str] = field(default_factory=list)


def build_section(standings: Standings, store: ResultStore, name: str, pictures: bool) -> Section:
    """Prepare a dataset; ``pictures=False`` leaves out all that needs stored tables."""
    rows = {row.label: row for row in standings.by_dataset if row.dataset == name}
    order = [row.label for row in standings.rows if row.label in rows]
    cells = {label: standings.by_pair[name, label] for label in order}
    every = _lines(cells, order, standings.ranked)
    rules = sorted((line for line in every if line.name.startswith((RULE, DEPENDENCY, UNSEEN))), key=_rule_order)
    main = [line for line in every if line not in rules and not any(part in line.name for part in DETAILS)]
    section = Section(
        name=name,
        rows=[rows[label] for label in order],
        rules=rules,
        metrics=main,
        panels=[
            GeneratorPanel(label, rows[label], sorted(cells[label], key=lambda u: u.record.cell.seed))
            for label in order
        ],
        seeds=sample_size([rows[label].n_seeds for label in order if rows[label].n_seeds]),
        spent={label: _spent(cells[label]) for label in order},
    )
    for panel in section.panels:
        _describe(panel)
    if pictures:
        _draw(section, store)
    return section


def _spent(runs: Sequence[Run]) -> Spent:
    known = [run.record.cost for run in runs if run.scored]
    fit = [cost.fit_seconds for cost in known if cost.fit_seconds is not None]
    sampled = [cost.sample_seconds for cost in known if cost.sample_seconds is not None]
    return Spent(*(over_seeds(values, (0.0, None)) if values else None for values in (fit, sampled)))


def _lines(cells: Mapping[str, Sequence[Run]], order: Sequence[str], ranked: Sequence[str]) -> list[Line]:
    """All metrics of the dataset, in order of name, the means over seeds."""
    names = sorted({metric for runs in cells.values() for run in runs for metric in run.scores})
    lines = []
    for name in names:
        scores = {label: [run.scores[name] for run in cells[label] if name in run.scores] for label in order}
        first = next(score for found in scores.values() for score in found)
        means = {label: _mean(found) for label, found in scores.items()}
        known = [mean.value for label, mean in means.items() if mean is not None and label in ranked]
        best = None if not known else min(known) if first.goal == "min" else max(known)
        every = [score for found in scores.values() for score in found]
        lines.append(
            Line(
                name=name,
                kind=_kind(name),
                goal=first.goal,
                real=next((score.real for score in every if score.real is not None), None),
                floor=next((score.floor for score in every if score.floor is not None), None),
                cells=means,
                best=best if len(set(known)) > 1 and not name.startswith(UNSEEN) else None,
            )
        )
    return lines


def _rule_order(line: Line) -> tuple[bool, str, bool]:
    """Dependencies first, each with the share of its unseen left sides below it, then rules."""
    return line.kind == "rule", line.name.split(".", 2)[-1], line.kind != "FD"


def _kind(name: str) -> str:
    for prefix, kind in ((RULE, "rule"), (DEPENDENCY, "FD"), (UNSEEN, "left side unseen")):
        if name.startswith(prefix):
            return kind
    return ""


def _mean(scores: Sequence[Score]) -> Estimate | None:
    values = [score.value for score in scores if score.value is not None]
    if not values:
        return None
    return over_seeds(values, scores[0].bounds)


def _describe(panel: GeneratorPanel) -> None:
    """Column order, its arcs and notes, from the first record that has them."""
    infos = [run.record.generator_info for run in panel.runs if run.record.generator_info]
    info = infos[0] if infos else {}
    order = info.get("column_order")
    if isinstance(order, Sequence) and not isinstance(order, str):
        panel.order = [str(name) for name in order]
        pairs = edges(info)
        if pairs and len(panel.order) <= 60:
            panel.arcs = arc_diagram(panel.order, pairs)
    notes = [
        note for run in panel.runs for note in (*run.record.notes, *_texts(run.record.generator_info.get("notes")))
    ]
    panel.notes = list(dict.fromkeys(notes))[:8]


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []


def _draw(section: Section, store: ResultStore) -> None:
    """Everything that needs tables; what cannot be read is said in the section and the rest is drawn."""
    problems: list[str] = []
    cell = next(run.record.cell for panel in section.panels for run in panel.runs)
    dataset = real_tables(store, cell, problems)
    plan, view = None, None
    if dataset is not None:
        section.facts = _facts(dataset)
        section.sample = sample(dataset.train, dataset, SAMPLE_ROWS)
        plan, view = _plan(dataset, problems)
    if plan is not None and view is not None and dataset is not None:
        section.outline = outlines(plan, view)
    maps: list[Markup] = []
    for panel in section.panels:
        run = next((run for run in panel.runs if run.scored), None)
        if run is None:
            continue
        try:
            table = store.synthetic(run.record.cell)
            panel.shown_seed = run.record.cell.seed
            panel.sample = sample(table, dataset, SAMPLE_ROWS)
            if dataset is None:
                continue
            columns = dataset.schema.columns[:MOST_OVERLAYS]
            panel.overlays = [overlay(column, dataset.test[column.name], table[column.name]) for column in columns]
            panel.heat = heat_map(*distances(dataset.schema, dataset.test, table)) if len(columns) > 1 else None
            if plan is not None and view is not None:
                maps.append(point_map(plan, view, outline_id(section.name), table, panel.label))
        except (TabOrderError, KeyError, ValueError, TypeError) as error:
            panel.problem = f"The stored table cannot be shown: {without_root(error, store)}"
    if maps and plan is not None and view is not None and dataset is not None:
        maps.insert(0, point_map(plan, view, outline_id(section.name), dataset.test, "real (test rows)"))
    section.maps, section.problems = maps, problems


def outline_id(name: str) -> str:
    """An element id for a dataset's outlines: hexadecimal, so that any name is safe."""
    return f"area-{name.encode().hex()}"


def _plan(dataset: Dataset, problems: list[str]) -> tuple[Atlas | None, Frame | None]:
    try:
        plan = atlas(dataset)
    except (TabOrderError, KeyError) as error:
        problems.append(f"No map: {error}")
        return None, None
    return (None, None) if plan is None else (plan, frame_of(plan, dataset.train))


def _facts(dataset: Dataset) -> list[str]:
    kinds = pd.Series([column.kind for column in dataset.schema.columns]).value_counts()
    columns = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    facts = [f"{len(dataset.train):,} training rows, {len(dataset.test):,} test rows", f"columns: {columns}"]
    if dataset.schema.target is not None:
        facts.append(f"target: {dataset.schema.target} ({dataset.schema.task})")
    if dataset.fds:
        facts.append("dependencies: " + ", ".join(str(fd) for fd in dataset.fds))
    return [*facts, *dataset.notes]


def sample(table: pd.DataFrame, dataset: Dataset | None, count: int) -> Sample:
    """The first ``count`` rows as text; ``None`` where a cell is missing."""
    names = [str(name) for name in table.columns[:SAMPLE_COLUMNS]]

    def written(name: str, value: Any) -> str | None:
        if dataset is not None:
            found = write_cell(dataset.schema[name], value)
        else:
            found = None if value is None or value is pd.NA or value != value else str(value)
        return None if found is None else clipped(found, 32)

    columns = [[written(name, value) for value in table[table.columns[i]].head(count)] for i, name in enumerate(names)]
    return Sample(names, [list(row) for row in zip(*columns, strict=True)], max(0, table.shape[1] - SAMPLE_COLUMNS))
