"""A table's functional dependencies: as a user writes them, or mined on train and kept where they hold in test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.dependencies import FunctionalDependency, mine, violations
from harness.dependencies.codes import Encoder
from harness.errors import TabOrderError, choices
from harness.table import Schema

AUTO = "auto"
MAX_UNSEEN = 0.05
"""A mined dependency is used when it holds in the test rows too and at most this share of their left sides is new."""
ARROW = re.compile(r"\s*(?:->|→|=>)\s*")
KEYS = ("lhs", "rhs", "g3")
MOST_MINED = 100
"""Mined dependencies that are scored. A wide table has thousands, which say the same many times and cost minutes a table."""

Given = Sequence[Mapping[str, Any] | str] | str | None


def parse_fds(name: str, schema: Schema, fds: Given) -> tuple[FunctionalDependency, ...]:
    """Dependencies from ``{lhs, rhs, g3}`` mappings or texts such as ``City->Country`` and ``A,B->C``.

    Raises:
        TabOrderError: for another form, or columns that do not exist.
    """
    given: Sequence[Any] = [fds] if isinstance(fds, (str, Mapping)) else list(fds or ())
    found = []
    for data in given:
        if isinstance(data, str):
            data = _from_text(name, schema, data)
        if not isinstance(data, Mapping) or not {"lhs", "rhs"} <= set(data):
            raise TabOrderError(
                f"dataset '{name}': fd {data!r} needs the keys lhs and rhs (and optionally g3), or the form City->Country."
            )
        for key in data:
            if key not in KEYS:
                raise TabOrderError(f"dataset '{name}', fd {data!r}: {choices(key, KEYS, 'key')}")
        fd = FunctionalDependency.from_json(data)
        for column in (*fd.lhs, fd.rhs):
            schema[column]  # raises with the column names when there is none
        found.append(fd)
    return tuple(found)


def _from_text(name: str, schema: Schema, text: str) -> dict[str, Any]:
    sides = ARROW.split(text.strip())
    if len(sides) != 2 or not all(sides):
        raise TabOrderError(
            f"dataset '{name}': {text!r} is no dependency: write City->Country, or A,B->C, or {AUTO} alone to mine them."
        )
    left, right = sides
    if left not in schema.names:
        left = left.removeprefix("[").removesuffix("]").removeprefix("{").removesuffix("}")
    lhs = [left] if left in schema.names else [part.strip() for part in left.split(",")]
    return {"lhs": lhs, "rhs": right}


def confirmed(
    schema: Schema, train: pd.DataFrame, test: pd.DataFrame, prefix: str = "dataset."
) -> tuple[tuple[FunctionalDependency, ...], list[str]]:
    """Exact dependencies on one column, mined on train and kept where they hold in test; and a sentence about them.

    Kept are those that no test row breaks and of whose left sides at most ``MAX_UNSEEN`` of the test rows hold new ones.
    """
    encoder, kept = Encoder(schema, train, test), []
    mined = mine(train, schema, max_lhs=1)
    for fd in mined.fds:
        found = violations(fd, train, test, schema, encoder=encoder)
        if found.rate == 0 and (found.unseen_rate or 0.0) <= MAX_UNSEEN:
            kept.append(fd)
    holding, kept = len(kept), _spread(kept)
    names = ", ".join(map(str, kept[:20])) + (f" and {len(kept) - 20} more" if len(kept) > 20 else "")
    lost = len(mined.fds) - holding
    note = f"dependencies mined on train and kept because they hold in test ({prefix}fds=auto; {prefix}fds=[] turns it off): {names or 'none'}."
    if holding > len(kept):
        note = f"{note[:-1]}; {holding - len(kept)} more hold in both and are not scored (at most {MOST_MINED} are, every dependent column first)."
    if lost:
        note = f"{note[:-1]}; {lost} more hold in train alone."
    if mined.limit_hit:
        note += " The search was cut off by its time limit."
    return tuple(kept), [note]


def _spread(fds: list[FunctionalDependency]) -> list[FunctionalDependency]:
    """At most :data:`MOST_MINED` of them, in their order: one for each dependent column, then a second, and so on."""
    turns: dict[str, int] = {}
    ranked = []
    for place, fd in enumerate(fds):
        turns[fd.rhs] = turns.get(fd.rhs, 0) + 1
        ranked.append((turns[fd.rhs], place))
    return [fds[place] for place in sorted(place for _, place in sorted(ranked)[:MOST_MINED])]
