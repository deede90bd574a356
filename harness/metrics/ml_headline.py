"""The headline of ML efficacy: the median over models of different kinds, so that none of them decides alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

from harness.errors import TabOrderError
from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Value
from harness.metrics.ml_efficacy import MLEfficacy, named
from harness.metrics.models import Model


@dataclass(frozen=True)
class MLHeadline(Declared):
    """``ml_efficacy.headline.<measure>``: the median of a measure over models, which are trained as :class:`MLEfficacy` says.

    Measures, directions, bounds and anchors are those of :class:`MLEfficacy`. A model without a value (it did not learn, say) is
    left out; its own score says why. With fewer than two models left there is no headline.

    Args:
        models: at least two; by default boosting, a forest and a linear model.
    """

    models: Sequence[Model] = ("hgb", "random_forest", "linear")
    name = "ml_efficacy.headline"
    version = 1
    goal: ClassVar[Goal] = "max"
    real_anchor: ClassVar[RealAnchor] = "train"
    slow: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(self.models))
        if len(set(self.models)) < 2:
            raise TabOrderError(
                f"models={list(self.models)}: the headline is a median, give at least two different models."
            )
        self._each()

    def _each(self) -> list[MLEfficacy]:
        return [MLEfficacy(model) for model in self.models]

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Train every model (once per evaluation) and take the median of each measure."""
        found: list[Mapping[str, float | str]] = []
        failed: list[str] = []
        for model in self._each():
            try:
                found.append(model.measures(data))
            except NotComputable as reason:
                failed.append(str(reason))
        if len(found) < 2:
            reasons = " ".join(dict.fromkeys(failed))
            raise NotComputable(
                reasons if not found else f"only one of {len(self.models)} models has a value: {reasons}"
            )
        return named(self.name, {measure: _median([each[measure] for each in found]) for measure in found[0]})

    def floor(self, data: EvalInput) -> Sequence[Value]:
        """The majority class, or the median, of real training rows for everyone."""
        own = MLEfficacy(self.models[0])
        return [
            Value(v.name.replace(own.name, self.name, 1), v.value, v.goal, v.bounds, v.error) for v in own.floor(data)
        ]


def _median(numbers: Sequence[float | str]) -> float | str:
    """The median, or the reason (a measure is missing for all models or for none)."""
    present = [number for number in numbers if not isinstance(number, str)]
    return median(present) if present else numbers[0]
