"""``python -m harness.experiments store.root=DIR outputs=rq1,rq2 [output=DIR] [sweep=NAME]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from harness.commands import Command
from harness.experiments import OUTPUTS, write
from harness.records.store import ResultStore

COMMAND = Command(
    "harness.experiments",
    "Write the tables, figures and answers of research questions from stored results.",
    {
        "store.root=DIR": "the store, a folder that holds runs/",
        "outputs=NAME,NAME": f"one or more of\n{', '.join(OUTPUTS)}",
        "output=DIR": "parent folder of what is written (default: the store)",
        "sweep=NAME": "only records of this sweep (default: all)",
    },
    required=("store.root", "outputs"),
    examples=(f"python -m harness.experiments store.root=results outputs={','.join(list(OUTPUTS)[:2])}",),
)


def _act(words: Sequence[str]) -> int:
    given = COMMAND.parse(words)
    sweep = given.get("sweep")
    store = ResultStore(given["store.root"])
    keep = (lambda record: record.sweep == sweep) if sweep else None
    for name in given["outputs"].split(","):
        print(write(name, store, Path(given.get("output") or store.root), keep))
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return COMMAND.run(_act, words)


if __name__ == "__main__":
    sys.exit(main())
