"""Functional dependencies X→Y: values, mining and the measurement of violations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import TabOrderError


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
