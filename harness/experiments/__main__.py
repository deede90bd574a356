"""``python -m harness.experiments store.root=DIR outputs=rq1,rq2 [output=DIR] [sweep=NAME]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import TabOrderError, choices
from harness.experiments import OUTPUTS, write
from harness.store import ResultStore

KEYS = ("store.root", "output", "outputs", "sweep")
USAGE = f"""python -m harness.experiments store.root=DIR outputs=NAME,NAME [output=DIR] [sweep=NAME]

Write the tables, figures and answers of research questions from stored results.
  store.root  the store (required)
  outputs     one or more of {", ".join(OUTPUTS)} (required)
  output      parent folder (default: the store)
  sweep       only records of this sweep (default: all)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry; returns the exit code (2 for the user's mistakes)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if any(word in ("-h", "--help") for word in words):
        print(USAGE, end="")
        return 0
    try:
        given = _parse(words)
        sweep = given.get("sweep")
        store = ResultStore(given["store.root"])
        for name in given["outputs"].split(","):
            keep = (lambda record: record.sweep == sweep) if sweep else None
            print(write(name, store, Path(given.get("output") or store.root), keep))
    except TabOrderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(words: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS:
            raise TabOrderError(f"{choices(key, KEYS, 'key')} Write them as key=value.")
        given[key] = value
    for key in ("store.root", "outputs"):
        if not given.get(key):
            raise TabOrderError(
                f"give {key}=…: python -m harness.experiments store.root=DIR outputs={','.join(OUTPUTS)}."
            )
    return given


if __name__ == "__main__":
    sys.exit(main())
