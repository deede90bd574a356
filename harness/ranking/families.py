"""Metric families: which scores are a family's headline, and how they are normalised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from harness.records.record import Score

LEAST_GAP = 0.01
"""Anchors closer together than this cannot tell a good table from a bad one; the metric is then left out for that dataset."""


@dataclass(frozen=True)
class Component:
    """One metric inside a family's headline.

    Attributes:
        metrics: score names in order of preference; the first one the record has is used.
        zero: what scores 0: the ``floor`` anchor (independent columns), or the metric's worst possible value (``bound``),
            for metrics that independent columns already satisfy.
    """

    metrics: tuple[str, ...]
    zero: Literal["floor", "bound"]


@dataclass(frozen=True)
class Family:
    """A family of metrics and the headline that stands for it (the mean of its components).

    Attributes:
        key: first part of the score names.
        title: for people.
        short: column heading of at most five characters.
        components: averaged after normalising.
        quality: whether it enters the overall score (privacy is a cost, shown beside it).
    """

    key: str
    title: str
    short: str
    components: tuple[Component, ...]
    quality: bool = True


MODELS = ("hgb", "random_forest", "linear", "mlp")


MEASURES = ("roc_auc", "r2")


FAMILIES: tuple[Family, ...] = (
    Family(
        "ml_efficacy",
        "ML efficacy",
        "ML",
        (Component(tuple(f"ml_efficacy.{model}.{measure}" for model in MODELS for measure in MEASURES), "floor"),),
    ),
    Family(
        "distribution",
        "Distribution",
        "dist",
        (
            Component(("distribution.column_shapes",), "bound"),
            Component(("distribution.pair_distance", "distribution.pair_trends"), "floor"),
        ),
    ),
    Family("conditional", "Conditional", "cond", (Component(("conditional.distance",), "floor"),)),
    Family("dependencies", "Dependencies", "FD", (Component(("dependencies.fd_violation_rate",), "floor"),)),
    Family("rules", "Rules", "rules", (Component(("rules.violation_rate",), "floor"),)),
    Family("detection", "Detection", "det", (Component(("detection.roc_auc", "detection.sniff_accuracy"), "floor"),)),
    Family("coverage", "Coverage", "cover", (Component(("coverage.missing_categories",), "bound"),)),
    Family("privacy", "Privacy", "priv", (Component(("privacy.dcr_share",), "bound"),), quality=False),
)


def normalised(score: Score, zero: str) -> float | None:
    """Place a value between 0 (the ``floor`` anchor, or the worst bound) and 1 (held-out real rows), clipped to [0, 1].

    Clipping keeps one unbounded value (say, a relative error of 40) from deciding an average. ``None`` when the value or an
    anchor is missing or the two anchors are closer than :data:`LEAST_GAP`.
    """
    low = score.floor if zero == "floor" else score.bounds[0 if score.goal == "max" else 1]
    if score.value is None or score.real is None or low is None or abs(score.real - low) < LEAST_GAP:
        return None
    return min(1.0, max(0.0, (score.value - low) / (score.real - low)))


def headline(scores: Mapping[str, Score], component: Component) -> Score | None:
    """The score that stands for a component in this record: the first preferred name it has, unless that has no value.

    A score without value is not replaced by the next name's: averages would then mix measures.
    """
    found = next((scores[name] for name in component.metrics if name in scores), None)
    return None if found is None or found.value is None else found


def _families(scores: Mapping[str, Score]) -> dict[str, float]:
    result = {}
    for family in FAMILIES:
        chosen = [(headline(scores, component), component.zero) for component in family.components]
        values = [normalised(score, zero) for score, zero in chosen if score is not None]
        present = [value for value in values if value is not None]
        if present:
            result[family.key] = fmean(present)
    return result
