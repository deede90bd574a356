"""Pictures of rq1 and rq2: violations by key, points on areas, overlaid columns, from records and stored tables."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from harness.datasets import stored
from harness.datasets.base import Dataset
from harness.errors import TabOrderError
from harness.experiments.study import RULE_RATE, Result, Study, competitors
from harness.ranking.runs import Run
from harness.ranking.statistics import Estimate
from harness.report.figures import plots as figures
from harness.report.figures import tables as figures_tables
from harness.report.tables import file_name
from harness.report.views.atlas import Atlas, atlas

MOST_GENERATORS = 6
MOST_KEYS_DRAWN = 12
MOST_COLUMNS = 6


def by_key(study: Study, folder: Path, result: Result, dataset: str, name: str, most: int) -> None:
    """Violation by key (state) and generator, for each rule with keys: bars of a few keys, else a heat map of all."""
    metrics = study.metrics(dataset, f"{RULE_RATE}_by_key.")
    for rule in sorted({metric.split(".")[2] for metric in metrics}):
        prefix = f"{RULE_RATE}_by_key.{rule}."
        every = [metric for metric in metrics if metric.startswith(prefix)]
        keyed = every[:most]
        names = [metric.removeprefix(prefix) for metric in keyed]
        which = f"the first {len(keyed)} of {len(every)} groups by name" if len(keyed) < len(every) else "by group"
        path = folder / file_name(name, dataset, rule)
        series = {g: [study.cell(dataset, g, metric) for metric in keyed] for g in competitors(study.standings)}
        series = {g: found for g, found in series.items() if any(found)}
        said = f"{dataset}: share of rows that break rule {rule}, {which}"
        if len(keyed) <= MOST_KEYS_DRAWN:
            title = f"{said}; {study.means(dataset)}"
            result.figures[path.name] = partial(figures.bars, path, title, "violation rate (0 is best)", names, series)
            continue
        rows: dict[str, list[float | None]] = {
            "real (held out)": [study.anchor(dataset, metric, "real") for metric in keyed]
        }
        rows |= {g: [None if e is None else e.value for e in found] for g, found in series.items()}
        macro = f"{RULE_RATE}_macro.{rule}"
        beside: dict[str, Estimate | None] = {g: study.cell(dataset, g, macro) for g in series}
        if (real := study.anchor(dataset, macro, "real")) is not None:
            beside["real (held out)"] = Estimate(real)
        interval = " with its 95 % interval" if study.repeated(dataset) else ""
        title = (
            f"{said}; {study.n(dataset)}; at the row's end the mean over groups{interval}; hatched: no row of the group"
        )
        result.figures[path.name] = partial(
            figures.heat, path, title, "violation rate (0 is best)", names, rows, beside
        )


def first_tables(study: Study, dataset: str) -> tuple[Dataset | None, dict[str, pd.DataFrame]]:
    """The stored real dataset and the table of each generator's first scored seed (at most six generators, best first)."""
    tables: dict[str, pd.DataFrame] = {}
    real: Dataset | None = None
    for label in competitors(study.standings)[:MOST_GENERATORS]:
        runs = sorted(study.standings.by_pair.get((dataset, label), ()), key=lambda run: run.record.cell.seed)
        run: Run | None = next((run for run in runs if run.scored), None)
        if run is None:
            continue
        try:
            cell = run.record.cell
            real = real or stored.load(study.store.dataset_dir(cell.dataset, cell.dataset_checksum))
            tables[label] = study.store.synthetic(cell)
        except TabOrderError:
            continue
    return real, tables


def _plan(dataset: Dataset) -> Atlas | None:
    try:
        return atlas(dataset)
    except TabOrderError:
        return None


def pictures(study: Study, folder: Path, result: Result) -> None:
    """Points on areas and overlaid columns, from stored tables; said in the answer where there are none."""
    drawn = 0
    for name in study.standings.datasets:
        real, tables = first_tables(study, name)
        if real is None or not tables:
            continue
        drawn += 1
        path = folder / file_name("eval_distribution_partial", name)
        rule = "the first training seed of each generator"
        if len(competitors(study.standings)) > len(tables):
            rule += f" (the best {len(tables)} overall)"
        first = min(MOST_COLUMNS, len(real.schema.columns))
        title = f"{name}: the first {first} of {len(real.schema.columns)} columns; {rule}, all rows"
        result.figures[path.name] = partial(figures_tables.overlays, path, real, tables, title, first)
        plan = _plan(real)
        if plan is None:
            continue
        keys = figures_tables.chosen_keys(plan, real)
        points = f"{rule}, at most {figures_tables.MOST_POINTS:,} evenly spaced rows; dots lie inside, crosses outside"
        shown = {"real (test)": real.test, **tables}
        path = folder / file_name("eval_state_geolocation", name)
        result.figures[path.name] = partial(
            figures_tables.geolocation, path, plan, keys, shown, f"{name} by {plan.key or 'area'}: {points}"
        )
        counts = real.train[plan.key].value_counts() if plan.key else None
        single = (
            [str(sorted(counts.index, key=lambda key: (-counts[key], str(key)))[0])]
            if counts is not None and len(counts)
            else keys[:1]
        )
        single = [key for key in single if key in plan.rings] or keys[:1]
        path = folder / file_name("intro_observation_single_class", name)
        result.figures[path.name] = partial(
            figures_tables.geolocation,
            path,
            plan,
            single,
            shown,
            f"{name}, the most frequent {plan.key or 'area'} of train: {points}",
        )
        by_key(study, folder, result, name, "intro_vio_state_bar", most=MOST_KEYS_DRAWN)
    if not drawn:
        result.answer.insert(-1, "No stored tables are in this store, so nothing is drawn of them.")
