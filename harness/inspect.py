"""A look at a table before the run: ``python -m harness.inspect a.csv [test=b.csv] [target=y]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from harness.commands import Command
from harness.datasets.words import READING, reading_options
from harness.errors import TabOrderError

COMMAND = Command(
    "harness.inspect",
    "Say what a table's columns are taken for, what about them will matter, and which dependencies hold in it.",
    {
        "test=FILE": "test rows (default: a seeded share of the table)",
        "target=COLUMN": "the column to predict downstream",
        "task=NAME": "classification or regression (default: inferred from the target)",
        **READING,
    },
    examples=(
        "python -m harness.inspect a.csv",
        "python -m harness.inspect a.csv test=b.csv target=y missing=[NA,?]",
    ),
    names="FILE",
)


def run(words: Sequence[str]) -> str:
    """Do what the words say; returns the text to print.

    Raises:
        TabOrderError: for anything the user can mend.
    """
    from harness.datasets.files import csv_table
    from harness.datasets.inspection import inspection

    files = [word for word in words if "=" not in word]
    given = COMMAND.parse([word.removeprefix("dataset.") for word in words if "=" in word])
    if len(files) != 1:
        raise TabOrderError(f"{len(files)} files are named: python -m harness.inspect FILE [key=VALUE …] looks at one.")
    options = {key: given[key] for key in ("test", "target", "task") if given.get(key)}
    return inspection(csv_table(files[0], **options, **reading_options(given)))  # type: ignore[arg-type]


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""

    def act(given: Sequence[str]) -> int:
        print(run(given))
        return 0

    return COMMAND.run(act, words)


if __name__ == "__main__":
    sys.exit(main())
