"""Plain values of functional dependencies: what one is, how mining is bounded, what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from harness.errors import TabOrderError, choices

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Backend = Literal["numpy", "hyfd"]


@dataclass(frozen=True)
class FunctionalDependency:
    """The rows' values of ``lhs`` determine the value of ``rhs``.

    Attributes:
        lhs: determinant columns, sorted as given.
        rhs: the dependent column.
        g3: the least share of the (training) rows to delete so that the dependency holds; 0 when exact.
    """

    lhs: tuple[str, ...]
    rhs: str
    g3: float = 0.0

    def __post_init__(self) -> None:
        if not self.lhs or self.rhs in self.lhs:
            raise TabOrderError(
                f"a functional dependency needs a left side without its right side, got {list(self.lhs)} → '{self.rhs}'."
            )

    def __str__(self) -> str:
        return f"{','.join(self.lhs)}→{self.rhs}"

    def to_json(self) -> dict[str, Any]:
        """``{lhs: [...], rhs: ..., g3: ...}``."""
        return {"lhs": list(self.lhs), "rhs": self.rhs, "g3": self.g3}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FunctionalDependency:
        """Read ``{lhs: name or [names], rhs: name, g3: share}``, as in a dataset's YAML."""
        lhs: Sequence[str] = [data["lhs"]] if isinstance(data["lhs"], str) else data["lhs"]
        return cls(tuple(lhs), str(data["rhs"]), float(data.get("g3", 0.0)))


@dataclass(frozen=True, eq=False)
class FDViolation:
    """How synthetic rows S treat a dependency X→Y of the real rows R; m(x) is the most frequent y beside x in R.

    All rates are shares in [0, 1], lower is better; ``None`` where the denominator has no rows.

    Attributes:
        rate: #{x seen in R, y ≠ m(x)} / #S, the headline.
        seen_rate: the same numerator / #{x seen in R}.
        unseen_rate: #{x not seen in R} / #S. Read it beside ``rate``: rows with unseen left sides cannot violate.
        g3: the least share of S to delete so that X→Y holds within S.
        mask: the rows that ``rate`` counts, in S's order.
    """

    rate: float | None
    seen_rate: float | None
    unseen_rate: float | None
    g3: float | None
    mask: Mask


@dataclass(frozen=True)
class MiningOptions:
    """What to look for, and what to leave out.

    Attributes:
        max_lhs: most columns on a left side: 1 or 2 for ``numpy``; for ``hyfd`` any bound.
        max_g3: greatest g3 error; 0 finds exact dependencies only. A right side that is constant up to this share is left out.
        max_distinct_share: greatest number of distinct left sides per row; above it the left side is a key or nearly one, and
            determines everything without telling anything. 1 keeps even keys.
        min_support: least number of disagreements that would be expected if the right side were independent of the left:
            (rows − distinct left sides) × (1 − Σ p(y)²). About exp(−20) is the probability that an exact dependency with support
            20 is an accident. 0 keeps all.
        min_gain: least value of 1 − g3 / (g3 after the right side is shuffled): how much of the error left by chance the left side
            removes. A left side of many values has a low g3 with anything; this asks for more. Exact dependencies have gain 1.
        time_limit_seconds: the search ends here, coding of the columns included, with what it has; the result says so. One left
            side is always checked to its end.
        backend: ``numpy``, or ``hyfd`` (complete HyFD from desbordante, exact dependencies only, an optional extra).
    """

    max_lhs: int = 2
    max_g3: float = 0.0
    max_distinct_share: float = 0.9
    min_support: float = 20.0
    min_gain: float = 0.5
    time_limit_seconds: float = 60.0
    backend: Backend = "numpy"

    def __post_init__(self) -> None:
        if self.backend not in get_args(Backend):
            raise TabOrderError(choices(self.backend, get_args(Backend), "mining backend"))
        if self.max_lhs < 1 or (self.backend == "numpy" and self.max_lhs > 2):
            raise TabOrderError(
                f"max_lhs={self.max_lhs} is not possible: the numpy backend takes 1 or 2; more needs backend=hyfd."
            )
        for name in ("max_g3", "max_distinct_share", "min_gain"):
            if not 0 <= getattr(self, name) <= 1:
                raise TabOrderError(f"{name}={getattr(self, name)} is a share: give a number between 0 and 1.")
        if self.min_support < 0 or self.time_limit_seconds <= 0:
            raise TabOrderError(
                f"min_support={self.min_support} must be at least 0 and time_limit_seconds={self.time_limit_seconds} positive."
            )
        if self.backend == "hyfd" and self.max_g3 > 0:
            raise TabOrderError(f"backend=hyfd finds exact dependencies only: set max_g3=0 (it is {self.max_g3}).")

    def changed(self, changes: Mapping[str, Any]) -> MiningOptions:
        """These options with some replaced by name; an unknown name is refused."""
        for name in changes:
            if name not in self.__dataclass_fields__:
                raise TabOrderError(choices(name, self.__dataclass_fields__, "mining option"))
        return replace(self, **changes)


@dataclass(frozen=True)
class MiningResult:
    """Minimal dependencies found, and what was left out.

    Attributes:
        fds: by size of the left side, then by the table positions of left and right side.
        rejected: dependencies that hold but were filtered, each with the reason.
        notes: sentences for the record: constants, keys, limits.
        limit_hit: whether the time limit ended the search, so that ``fds`` may lack some.
    """

    fds: tuple[FunctionalDependency, ...]
    rejected: tuple[tuple[FunctionalDependency, str], ...] = ()
    notes: tuple[str, ...] = ()
    limit_hit: bool = False
