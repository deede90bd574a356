"""Errors meant for the user: one sentence naming the culprit, its value, the legal choices and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TabOrderError(Exception):
    """A mistake the user can mend. The command line prints it without a traceback and exits with 2."""


class Incompatible(Exception):
    """Raised by a generator, before any work starts, when it cannot handle a table.

    Args:
        reason: one sentence saying what about the table or schema is not supported.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def choices(value: object, legal: Iterable[str], what: str) -> str:
    """Say that ``value`` is not a legal ``what``, list the legal ones and suggest the nearest."""
    options = sorted(map(str, legal))
    lowered = {option.lower(): option for option in options}
    near = get_close_matches(str(value).lower(), lowered, n=1)
    hint = f" Did you mean '{lowered[near[0]]}'?" if near else ""
    return f"unknown {what} '{value}': the choices are {', '.join(options)}.{hint}"
