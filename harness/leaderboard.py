"""The leaderboard: records in, tables out. ``python -m harness.leaderboard store.root=DIR output=DIR``.

Writes ``leaderboard.csv`` (a row per generator), ``leaderboard_by_dataset.csv``, ``leaderboard_pairs.csv``,
``leaderboard.json`` (everything, strict JSON) and ``index.html`` (:mod:`harness.report`), and returns the printable table.
"""

from __future__ import annotations

import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.commands import Command
from harness.errors import TabOrderError
from harness.ranking.families import FAMILIES, chosen_families
from harness.ranking.load import load
from harness.ranking.policy import Policy
from harness.ranking.selection import JoinedStores, Selection
from harness.ranking.standings import Standings
from harness.records.store import ResultStore
from harness.report.leaderboard_files import write

COMMAND = Command(
    "harness.leaderboard",
    "Rebuild the leaderboard from the records of a store.",
    {
        "store.root=DIR": "the store, a folder that holds runs/; several are joined: store.root=DIR,DIR",
        "archive=FILE": "an archive (harness.archive) in place of a store",
        "output=DIR": """where leaderboard.csv, leaderboard_by_dataset.csv, leaderboard_pairs.csv, leaderboard.json and
            scores.csv, index.html go (default: the store, or the first of several)""",
        "sweep=NAME": "only records of this sweep (default: all)",
        "dataset=NAME,NAME": "only these datasets (default: all)",
        "generator=NAME,NAME": "only these generators (default: all)",
        "without=NAME,NAME": "all but these generators",
        "family=KEY,KEY": f"only these families make the overall score: {', '.join(family.key for family in FAMILIES)}",
        "columns=SCORE,SCORE": "further scores in the printed table, as they are, e.g. columns=distribution.column_shapes",
        "missing=floor|drop|worst": """floor: each failed or absent cell counts as the floor, 0; drop: a dataset that some generator
            did not finish is left out for all, which hides that it could not; worst: as the worst score, also 0 (default: floor)""",
        "anchor=NAME": "the generator whose Elo rating is 1000 (default: independent where there is one, else the mean of all)",
        "rope=X": "differences below this count as practically equal (default: 0.01)",
    },
    examples=(
        "python -m harness.leaderboard store.root=results",
        "python -m harness.leaderboard store.root=results output=tables sweep=paper missing=drop",
        "python -m harness.leaderboard archive=results.archive output=tables",
    ),
)


def _policy(given: dict[str, str]) -> Policy:
    numbers: dict[str, Any] = {}
    if "rope" in given:
        try:
            numbers["rope"] = float(given["rope"])
        except ValueError:
            raise TabOrderError(f"rope={given['rope']} is not a number: write e.g. rope={Policy.rope}.") from None
    words: dict[str, Any] = {key: given[key] for key in ("missing", "anchor") if key in given}
    chosen_families(_names(given, "family"))
    return Policy(**words, **numbers, families=_names(given, "family"), columns=_names(given, "columns"))


def _names(given: dict[str, str], key: str) -> tuple[str, ...]:
    return tuple(name for name in given.get(key, "").split(",") if name)


def _act(words: Sequence[str]) -> int:
    given = COMMAND.parse(words)
    policy = _policy(given)
    if given.get("archive"):
        return _of_archive(Path(given["archive"]), given, policy)
    if not given.get("store.root"):
        raise TabOrderError(
            "give store.root=DIR (or archive=FILE): it is required; python -m harness.leaderboard --help explains the keys."
        )
    stores = [ResultStore(place) for place in _names(given, "store.root")]
    for store in stores:
        if not store.runs.is_dir():
            raise TabOrderError(
                f"there is no result store at {store.root} (no runs/ folder): give store.root=DIR of a finished run."
            )
    store = stores[0] if len(stores) == 1 else JoinedStores(stores)
    output = Path(given.get("output") or store.root)
    print(write(store, output, policy, selection=_selection(given)), end="")
    return 0


def _selection(given: dict[str, str]) -> Selection:
    return Selection(
        given.get("sweep") or None, _names(given, "dataset"), _names(given, "generator"), _names(given, "without")
    )


def _of_archive(file: Path, given: dict[str, str], policy: Policy) -> int:
    """The leaderboard of an archive's records, unpacked for as long as that takes."""
    from harness.records import archive

    if given.get("store.root"):
        raise TabOrderError("archive= and store.root= are both given: give one of them.")
    cells = archive.read(file)
    output = Path(given.get("output") or file.parent / f"{file.stem}_leaderboard")
    with tempfile.TemporaryDirectory(prefix="taborder-archive-") as folder:
        store = ResultStore(folder)
        archive.unpack(cells, store)
        print(write(store, output, policy, selection=_selection(given)), end="")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return COMMAND.run(_act, words)


class _Leaderboard(types.ModuleType):
    """This module, which is also a function: ``harness.leaderboard(store)`` beside ``python -m harness.leaderboard``."""

    def __call__(self, store: ResultStore | str | Path, *, sweep: str | None = None, **policy: Any) -> Standings:
        """The standings of a store's records.

        Args:
            store: the store, or its folder (the one that holds ``runs``).
            sweep: only records of this sweep.
            policy: how to aggregate: the arguments of :class:`harness.ranking.policy.Policy`.

        Raises:
            TabOrderError: when there is no such store or no usable record in it.
        """
        keep = (lambda record: record.sweep == sweep) if sweep else None
        return load(store if isinstance(store, ResultStore) else ResultStore(store), Policy(**policy), keep)[0]


sys.modules[__name__].__class__ = _Leaderboard

if __name__ == "__main__":
    sys.exit(main())
