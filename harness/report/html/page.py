"""Render the report: Jinja2 with autoescape, inline style and script, no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.ranking.anchor_rows import anchor_rows
from harness.ranking.averages import rows_by_dataset
from harness.ranking.families import FAMILIES
from harness.ranking.grouping import group
from harness.ranking.numbers import amount, bracket, chance, number, percent
from harness.ranking.policy import Policy
from harness.ranking.remarks import budgets, provenance
from harness.ranking.standings import Standings
from harness.ranking.wording import clipped, plural
from harness.records.record import Record
from harness.records.store import Problem, ResultStore
from harness.report.html.charts import critical_difference, quality_cost, scale_of
from harness.report.html.section import MOST_COMMANDS, build_section, outline_id

MOST_PICTURED = 120
"""(dataset, generator) pairs with pictures; stores beyond that get tables only in their last datasets."""


def breakable(label: str) -> Markup:
    """A label that may be broken after underscores."""
    return Markup("_<wbr>").join(label.split("_"))


def cell_page(record: Record, store: ResultStore) -> str:
    """The page of one cell: its pictures, scores and failure, without anything that compares generators."""
    grouped = group([record], Policy())
    rows = rows_by_dataset(grouped)
    alone = Standings(
        **vars(grouped), rows=rows, by_dataset=rows, pairs=(), critical_difference=None, cliques=(), elo_anchor=None
    )
    return page(alone, store, [], [], [], alone=True)


def page(
    standings: Standings,
    store: ResultStore,
    problems: Sequence[Problem],
    short: Sequence[str],
    said: Sequence[str],
    alone: bool = False,
) -> str:
    """The whole page; equal standings and store give equal bytes. All text is escaped by Jinja2's autoescape.

    Args:
        standings: what is shown.
        store: where tables are.
        problems: files that could not be used.
        short: what the numbers say.
        said: what has to be said beside them.
        alone: leave out all that compares generators.
    """
    environment = Environment(
        loader=PackageLoader("harness.report", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "amount": amount,
        "bracket": bracket,
        "percent": percent,
        "chance": chance,
        "clipped": clipped,
        "plural": plural,
        "breakable": breakable,
    }
    families = [family for family in FAMILIES if any(family.key in row.families for row in standings.rows)]
    style, script = (
        files("harness.report.html").joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sections, pictured = [], 0
    for name in standings.datasets:
        count = sum(row.dataset == name for row in standings.by_dataset)
        pictures = pictured + count <= MOST_PICTURED
        pictured += count if pictures else 0
        sections.append(build_section(standings, store, name, pictures))
    return environment.get_template("page.html.j2").render(
        standings=standings,
        alone=alone,
        anchors=anchor_rows(standings),
        banner=budgets(standings),
        by_pair={(row.label, row.dataset): row for row in standings.by_dataset},
        families=families,
        short=short,
        said=said,
        problems=problems,
        sections=sections,
        style=Markup(style),  # our own files, not data
        script=Markup(script),
        digest=digest,
        difference=critical_difference(standings),
        cost=quality_cost(standings),
        scale_of=scale_of,
        outline_id=outline_id,
        most_commands=MOST_COMMANDS,
        on_gpu=any(row.cost.peak_gpu_memory_bytes is not None for row in standings.rows),
        made_with=provenance(standings),
        seeds=len({run.record.cell.seed for run in standings.runs}),
    )
