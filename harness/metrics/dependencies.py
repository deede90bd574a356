"""Dependencies: what relations between columns of the real table become in the synthetic one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.dependencies.codes import Encoder, count_pairs, g3_error
from harness.dependencies.mining import mine
from harness.dependencies.values import FDViolation, FunctionalDependency, IntArray, MiningResult
from harness.dependencies.violations import any_violation, violations
from harness.metrics.base import Declared, EvalInput, Goal, Known, NotComputable, RealAnchor, Role, Value, with_mean
from harness.metrics.encoding import codes
from harness.metrics.encoding import encoder as shared_encoder

RATES = {
    "fd_violation_rate": ("rate", ""),
    "fd_violation_rate_seen": ("seen_rate", "no synthetic row has a left side that real rows have."),
    "fd_unseen_rate": ("unseen_rate", ""),
    "fd_g3": ("g3", ""),
}


@dataclass(frozen=True)
class FDViolations(Declared):
    """How synthetic rows treat the dataset's curated functional dependencies X→Y. All are shares; lower is better.

    With S the synthetic rows and m(x) the most frequent y beside x in real training rows (a missing cell is a value; floats are
    compared at the real column's decimals):

    - ``dependencies.fd_violation_rate``: #{x seen in training, y ≠ m(x)} / #S;
    - ``dependencies.fd_violation_rate_seen``: the same numerator / #{x seen in training};
    - ``dependencies.fd_unseen_rate``: #{x unseen} / #S;
    - ``dependencies.fd_failure_rate`` (the headline): the violation rate plus the share of unseen x beyond that of the test rows,
      so that a table whose left sides are all invented (which breaks nothing) is at 1, and one as new as real rows is not blamed;
    - ``dependencies.fd_g3``: least share of S to delete so that X→Y holds within S (Kivinen and Mannila, 1995);
    - ``dependencies.fd_inconsistent_rate``: #{rows whose x comes with more than one y within S} / #S, 1 − sdmetrics' ConstraintAdherence
      of a DenormalizedTable;
    - ``dependencies.fd_g3_gap``: ``|g3 of S − g3 of the training rows|``, for dependencies that hold approximately;
    - ``dependencies.fd_violation_rate_macro``: the share among rows with left side x, averaged over the x seen (where the
      headline averages over rows);
    - ``dependencies.fd_any_violation_rate``: rows that break at least one dependency.

    All but the last also come for each dependency, as ``….<X→Y>``; the plain name is the mean over those with a single-column
    left side (over all when there is none such). ``dependencies.fd_violation_rate_by_value.<X→Y>.<x>`` is the share among rows
    with left side x, for left sides of one column with at most ``max_values`` values in training.
    """

    max_values: int = 100
    name = "dependencies.fd"
    version = 4
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"
    reads: ClassVar[tuple[Known, ...]] = ("fds",)

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Measure every curated dependency."""
        if not data.dataset.fds:
            raise NotComputable(f"dataset '{data.dataset.name}' states no functional dependencies (fds).")
        encoder = shared_encoder(data, "train", "synthetic")
        fds = data.dataset.fds
        found = {fd: violations(fd, data.train, data.synthetic, data.schema, encoder=encoder) for fd in fds}
        values: list[Value] = []
        for rate, (attribute, reason) in RATES.items():
            values += _summary(rate, {fd: getattr(found[fd], attribute) for fd in fds}, reason)
        usual = _unseen_in_test(data)
        failing = {
            fd: None if (v := found[fd]).rate is None else v.rate + max((v.unseen_rate or 0.0) - usual[fd], 0.0)
            for fd in fds
        }
        values += _summary("fd_failure_rate", failing)
        gaps = {fd: abs((found[fd].g3 or 0.0) - _train_g3(fd, encoder)) for fd in fds}
        values += _summary("fd_g3_gap", gaps)
        values += _summary("fd_inconsistent_rate", {fd: _inconsistent(fd, encoder) for fd in fds})
        groups = {fd: _by_left_side(fd, found[fd], encoder) for fd in fds}
        macro = {fd: None if np.isnan(rates).all() else float(np.nanmean(rates)) for fd, (_, rates) in groups.items()}
        values += _summary("fd_violation_rate_macro", macro, RATES["fd_violation_rate_seen"][1])
        values.append(Value("dependencies.fd_any_violation_rate", float(any_violation(found.values()).mean()), "min"))
        for fd in fds:
            values += self._each_value(data, fd, *groups[fd])
        return values

    def _each_value(self, data: EvalInput, fd: FunctionalDependency, known: IntArray, rates: Any) -> list[Value]:
        if len(fd.lhs) > 1 or len(known) > self.max_values:
            return []
        labels = codes(data, fd.lhs[0]).labels
        texts = [str(labels[code]) if code < len(labels) else "missing" for code in known]
        names = [f"dependencies.fd_violation_rate_by_value.{fd}.{text}" for text in texts]
        reason = "no synthetic row has this left side."
        return [
            Value(name, None, "min", error=reason) if np.isnan(rate) else Value(name, float(rate), "min")
            for name, rate in zip(names, rates, strict=True)
        ]


def _summary(rate: str, each: Mapping[FunctionalDependency, float | None], reason: str = "") -> list[Value]:
    """The mean over single-column left sides, then every dependency."""
    name = f"dependencies.{rate}"
    values = {
        fd: Value(f"{name}.{fd}", number, "min", error=reason if number is None else None)
        for fd, number in each.items()
    }
    averaged = [value for fd, value in values.items() if len(fd.lhs) == 1] or list(values.values())
    return [with_mean(name, averaged)[0], *values.values()]


def _unseen_in_test(data: EvalInput) -> dict[FunctionalDependency, float]:
    """Per dependency the share of test rows whose left side no training row has."""
    encoder = shared_encoder(data, "train", "test")
    fds = data.dataset.fds
    found = {fd: violations(fd, data.train, data.test, data.schema, encoder=encoder) for fd in fds}
    return {fd: found[fd].unseen_rate or 0.0 for fd in fds}


def _inconsistent(fd: FunctionalDependency, encoder: Encoder) -> float:
    """Share of synthetic rows whose left side has several right sides there."""
    left, right, start = encoder.codes(fd.lhs), encoder.codes((fd.rhs,)), encoder.lengths[0]
    x, y = left.values[start:], right.values[start:]
    pairs, _ = count_pairs(x, y, left.size, right.size)
    answers = np.bincount(pairs // right.size, minlength=left.size)
    return float(np.mean(answers[x] > 1))


def _train_g3(fd: FunctionalDependency, encoder: Encoder) -> float:
    left, right, rows = encoder.codes(fd.lhs), encoder.codes((fd.rhs,)), encoder.lengths[0]
    return g3_error(left.values[:rows], right.values[:rows], left.size, right.size)


def _by_left_side(fd: FunctionalDependency, found: FDViolation, encoder: Encoder) -> tuple[IntArray, Any]:
    """The codes of left sides seen in training, ascending, and the share of violations among rows with each (NaN: no rows)."""
    left, rows = encoder.codes(fd.lhs), encoder.lengths[0]
    known = np.unique(left.values[:rows])
    synthetic = left.values[rows:]
    total = np.bincount(synthetic, minlength=left.size)[known]
    broken = np.bincount(synthetic[found.mask], minlength=left.size)[known]
    return known, np.where(total > 0, broken / np.maximum(total, 1), np.nan)


@dataclass(frozen=True)
class FDSet(Declared):
    """Whether mining the synthetic table finds the real table's dependencies. Both are shares; higher is better.

    - ``dependencies.fd_set_recall``: of the dependencies mined on training rows, those that follow (by Armstrong's axioms) from
      what holds in the synthetic table;
    - ``dependencies.fd_set_precision``: of those mined on the synthetic table, those that follow from what holds in training.

    Mining leaves out keys and accidents by the thresholds of :class:`harness.dependencies.values.MiningOptions`; a dependency left out on
    one side still counts as holding there.

    Args:
        max_lhs: most columns of a left side, 1 or 2.
    """

    max_lhs: int = 1
    name = "dependencies.fd_set"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "test"

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Mine both tables and compare."""
        roles: dict[str, Role] = {"training": "train", "synthetic": "synthetic"}
        mined = {
            name: mine(data.table(role), data.schema, max_lhs=self.max_lhs, encoder=shared_encoder(data, role))
            for name, role in roles.items()
        }
        for role, result in mined.items():
            if result.limit_hit:
                raise NotComputable(f"mining the {role} table did not end within its time limit.")
        holds = {name: _Theory.of(mined[name], _constants(data, role)) for name, role in roles.items()}
        return [
            _kept(f"{self.name}_recall", "training", mined["training"], holds["synthetic"]),
            _kept(f"{self.name}_precision", "synthetic", mined["synthetic"], holds["training"]),
        ]


def _constants(data: EvalInput, role: Role) -> frozenset[str]:
    """Columns of one value."""
    return frozenset(name for name in data.schema.names if (values := codes(data, name).of(role)).min() == values.max())


def _kept(name: str, role: str, mined: MiningResult, theory: _Theory) -> Value:
    if not mined.fds:
        return Value(name, None, "max", error=f"no functional dependency was found in the {role} table.")
    return Value(name, sum(theory.implies(fd) for fd in mined.fds) / len(mined.fds), "max")


@dataclass(frozen=True)
class _Theory:
    """Dependencies that hold, and columns of one value, which everything determines."""

    fds: tuple[FunctionalDependency, ...]
    constants: frozenset[str]

    @classmethod
    def of(cls, mined: MiningResult, constants: frozenset[str]) -> _Theory:
        return cls((*mined.fds, *(fd for fd, _ in mined.rejected)), constants)

    def implies(self, fd: FunctionalDependency) -> bool:
        """Whether the right side is in the closure of the left side."""
        closure = set(fd.lhs) | self.constants
        grown = True
        while grown and fd.rhs not in closure:
            new = {known.rhs for known in self.fds if closure.issuperset(known.lhs)} - closure
            closure |= new
            grown = bool(new)
        return fd.rhs in closure
