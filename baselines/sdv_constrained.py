"""CTGAN told the dependencies in SDV's own way: ``sdv.cag.FixedCombinations`` on the dependencies mined on train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from baselines.sdv import CTGAN
from baselines.signatures import extended
from harness.dependencies import Encoder, FunctionalDependency, MiningOptions, mine
from harness.errors import TabOrderError
from harness.table import Schema


class ConstrainedCTGAN(CTGAN):
    """CTGAN with the columns of each dependency joined into one, whose values are train's combinations.

    Dependencies that share columns share a joined column, so a chain or a composite holds as a whole. No row breaks a
    dependency thus joined, but the joined column is a category of as many values as train has combinations, each
    learnt on its own. Numbers in it are categories to the GAN. *Missing values* in it are values; *rare* combinations
    are as rare as in train; all else is CTGAN's: missing numbers by a flag, numbers clipped to train's range, *dates*
    as categories.

    Args:
        mining: options of the dependency mining, as for the ``fd`` orders.
        max_combinations: a dependency is left to the GAN, and named in the record, where it would join more
            combinations.
        **options: those of :class:`baselines.sdv.CTGAN`.

    Attributes:
        version: as CTGAN's.
    """

    version = f"1+{CTGAN.version}"

    def __init__(
        self, *, mining: Mapping[str, Any] | None = None, max_combinations: int = 1000, **options: Any
    ) -> None:
        super().__init__(**options)
        if isinstance(max_combinations, bool) or not isinstance(max_combinations, int) or max_combinations < 1:
            raise TabOrderError(f"max_combinations is {max_combinations!r}: give a whole number of at least 1.")
        self.mining = MiningOptions().changed(mining or {})
        self.max_combinations = max_combinations
        self._info: dict[str, Any] = {}

    def _fixed(self, train: pd.DataFrame, schema: Schema, names: Sequence[str]) -> list[list[str]]:
        """The columns of each group of dependencies, in the order of ``names``."""
        self._info = {}
        mined = mine(train, schema, self.mining)
        encoder = Encoder(schema, train)
        groups, left = join_dependencies([fd for fd in mined.fds if fd.g3 == 0], names, encoder, self.max_combinations)
        self._info["fds"] = [fd.to_json() for fd in mined.fds]
        self._info["fixed_combinations"] = groups
        self._notes += mined.notes
        if left:
            self._notes.append(
                f"left to the GAN, for they would join more than max_combinations={self.max_combinations} combinations: "
                f"{', '.join(map(str, left))}."
            )
        if not groups:
            self._notes.append("no dependency to fix was found in train: this is CTGAN as it is.")
        return groups

    def describe(self) -> Mapping[str, Any]:
        """Loss curve, notes, the dependencies mined and the columns joined (``fixed_combinations``)."""
        return {**super().describe(), **self._info}


ConstrainedCTGAN.__signature__ = extended(ConstrainedCTGAN.__init__, CTGAN)  # type: ignore[attr-defined]


def join_dependencies(
    fds: Sequence[FunctionalDependency], names: Sequence[str], encoder: Encoder, most: int
) -> tuple[list[list[str]], list[FunctionalDependency]]:
    """Group columns by the dependencies that tie them together, those of fewest combinations first.

    Args:
        fds: exact dependencies.
        names: the columns that are modelled, in table order.
        encoder: of train.
        most: combinations a group may have in train.

    Returns:
        The groups, each in the order of ``names``, and the dependencies that did not fit.
    """
    place = {name: i for i, name in enumerate(names)}
    groups: list[set[str]] = []
    left: list[FunctionalDependency] = []

    def combinations(columns: set[str]) -> int:
        return len(pd.unique(encoder.codes(sorted(columns, key=place.__getitem__)).values))

    usable = [fd for fd in fds if {*fd.lhs, fd.rhs} <= set(place)]
    for fd in sorted(usable, key=lambda fd: (combinations({*fd.lhs, fd.rhs}), len(fd.lhs))):
        columns = {*fd.lhs, fd.rhs}
        touched = [group for group in groups if group & columns]
        joined = columns.union(*touched)
        if combinations(joined) > most:
            left.append(fd)
        else:
            groups = [group for group in groups if not group & columns] + [joined]
    ordered = sorted((sorted(group, key=place.__getitem__) for group in groups), key=lambda group: place[group[0]])
    return ordered, left
