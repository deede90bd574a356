"""Render the report: Jinja2 with autoescape, inline style and script, no network."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.standings import Standings
from harness.store import Problem, ResultStore
from harness.texttable import amount, bracket, number
from harness.units import FAMILIES


def page(board: Standings, store: ResultStore, problems: Sequence[Problem], said: Sequence[str]) -> str:
    """The whole page; equal standings and store give equal bytes."""
    environment = Environment(
        loader=PackageLoader("harness", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "amount": amount, "bracket": bracket}
    families = [family for family in FAMILIES if any(family.key in row.families for row in board.rows)]
    return environment.get_template("page.html.j2").render(board=board, families=families, said=said, problems=problems)
