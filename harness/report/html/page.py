"""Render the report: Jinja2 with autoescape, inline style and script, no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.ranking.anchor_rows import anchor_rows
from harness.ranking.families import FAMILIES
from harness.ranking.numbers import amount, bracket, chance, number, percent
from harness.ranking.remarks import provenance, scales
from harness.ranking.standings import Standings
from harness.ranking.wording import clipped, plural
from harness.records.store import Problem, ResultStore
from harness.report.html.charts import critical_difference, quality_cost, scale_of
from harness.report.html.section import MOST_COMMANDS, build_section, outline_id

MOST_PICTURED = 120
"""(dataset, generator) pairs with pictures; stores beyond that get tables only in their last datasets."""


def breakable(label: str) -> Markup:
    """A label that may be broken after underscores."""
    return Markup("_<wbr>").join(label.split("_"))


def page(
    board: Standings, store: ResultStore, problems: Sequence[Problem], short: Sequence[str], said: Sequence[str]
) -> str:
    """The whole page; equal standings and store give equal bytes. All text is escaped by Jinja2's autoescape."""
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
    families = [family for family in FAMILIES if any(family.key in row.families for row in board.rows)]
    style, script = (
        files("harness.report.html").joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sections, pictured = [], 0
    for name in board.datasets:
        count = sum(row.dataset == name for row in board.by_dataset)
        pictures = pictured + count <= MOST_PICTURED
        pictured += count if pictures else 0
        sections.append(build_section(board, store, name, pictures))
    return environment.get_template("page.html.j2").render(
        board=board,
        anchors=anchor_rows(board),
        families=families,
        short=short,
        said=said,
        problems=problems,
        sections=sections,
        small=scales(board),
        style=Markup(style),  # our own files, not data
        script=Markup(script),
        digest=digest,
        difference=critical_difference(board),
        cost=quality_cost(board),
        scale_of=scale_of,
        outline_id=outline_id,
        most_commands=MOST_COMMANDS,
        on_gpu=any(row.cost.peak_gpu_memory_bytes is not None for row in board.rows),
        made_with=provenance(board),
        seeds=len({unit.record.cell.seed for unit in board.units}),
    )
