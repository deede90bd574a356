"""The grammar of a number column, character by character: sign, whole digits and decimals as training has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.table import Column, format_cell

NUMBER_CHARACTERS = "0123456789.e+-"
"""What numbers are written with."""

CharStates = dict[Any, dict[str, Any]]


@dataclass(frozen=True)
class NumberGrammar:
    """What the texts of a number column look like.

    Attributes:
        negative: whether values below zero occur.
        whole: greatest number of digits before the point; 0 for a column without values, which has no texts.
        decimals: digits after the point; ``None`` for floats in their shortest text, with any digits and an exponent.
        length: characters of the longest text.
    """

    negative: bool
    whole: int
    decimals: int | None
    length: int

    @classmethod
    def fit(cls, column: Column, values: pd.Series[Any]) -> NumberGrammar:
        """Learn from the present training values."""
        texts = [str(format_cell(column, value)) for value in values.dropna().unique()]
        whole = max((len(text.lstrip("-").partition(".")[0].partition("e")[0]) for text in texts), default=0)
        decimals = 0 if column.kind == "integer" else column.decimals
        return cls(any(t.startswith("-") for t in texts), whole, decimals, max(map(len, texts), default=1))

    def states(self) -> tuple[CharStates, set[Any]]:
        """States with their edges by character, and those where a number may end; the first state is ``("start", 0)``.

        The second part of a state is the number of characters read: no number is longer than ``length``.
        """
        if not self.whole:
            return {("start", 0): {}}, set()
        states, accept = _shortest(self.negative) if self.decimals is None else self._fixed(self.decimals)
        return _limited(states, accept, self.length)

    def _fixed(self, decimals: int) -> tuple[CharStates, set[Any]]:
        states: CharStates = {"start": {"-": "signed"} if self.negative else {}, "signed": {}}
        for state in ("start", "signed"):
            states[state] |= {"0": ("zero", 0)} | dict.fromkeys("123456789", ("whole", 1))
        ends = [("zero", 0), *(("whole", used) for used in range(1, self.whole + 1))]
        for used in range(1, self.whole + 1):
            states["whole", used] = dict.fromkeys("0123456789", ("whole", used + 1)) if used < self.whole else {}
        states["zero", 0] = {}
        if not decimals:
            return states, set(ends)
        for end in ends:
            states[end]["."] = ("decimal", 0)
        for used in range(decimals):
            states["decimal", used] = dict.fromkeys("0123456789", ("decimal", used + 1))
        states["decimal", decimals] = {}
        return states, {("decimal", decimals)}


def _shortest(negative: bool) -> tuple[CharStates, set[Any]]:
    """Digits, point and exponent as Python writes floats."""
    digits = "0123456789"
    states: CharStates = {
        "start": dict.fromkeys(digits, "whole") | ({"-": "signed"} if negative else {}),
        "signed": dict.fromkeys(digits, "whole"),
        "whole": {".": "point", "e": "exponent"} | dict.fromkeys(digits, "whole"),
        "point": dict.fromkeys(digits, "decimal"),
        "decimal": {"e": "exponent"} | dict.fromkeys(digits, "decimal"),
        "exponent": {"+": "power sign", "-": "power sign"},
        "power sign": dict.fromkeys(digits, "power 1"),
        "power 1": dict.fromkeys(digits, "power 2"),
        "power 2": dict.fromkeys(digits, "power 3"),
        "power 3": {},
    }
    return states, {"decimal", "power 2", "power 3"}


def with_literals(states: CharStates, accept: set[Any], literals: Iterable[str]) -> tuple[CharStates, set[Any]]:
    """Also accept these texts, whose first character begins no number."""
    states, accept = {state: dict(edges) for state, edges in states.items()}, set(accept)
    for literal in literals:
        state: Any = ("start", 0)
        for used, character in enumerate(literal, 1):
            states[state].setdefault(character, ("literal", literal[:used]))
            state = states[state][character]
            states.setdefault(state, {})
        accept.add(state)
    return states, accept


def _limited(states: CharStates, accept: set[Any], length: int) -> tuple[CharStates, set[Any]]:
    """Count characters, and keep only edges from which a number can still end within ``length`` characters."""
    live = {(state, used) for state in accept for used in range(length + 1)}
    for used in range(length - 1, -1, -1):
        live |= {
            (state, used) for state, edges in states.items() if any((to, used + 1) in live for to in edges.values())
        }
    counted: CharStates = {
        (state, used): {char: (to, used + 1) for char, to in edges.items() if (to, used + 1) in live and used < length}
        for state, edges in states.items()
        for used in range(length + 1)
    }
    return counted, {(state, used) for state in accept for used in range(length + 1)}
