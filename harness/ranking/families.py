"""Metric families: which scores are a family's headline, and how they are normalised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from harness.errors import TabOrderError, choices
from harness.records.record import Score

LEAST_GAP = 0.01
"""Anchors closer together than this cannot tell a good table from a bad one, however many rows they were measured on."""

ANCHOR_ERRORS = 3.0
"""Standard errors by which *real* has to be better than *floor*: with fewer, sampling noise alone puts a table half way up."""

FOLDED = "detection.two_sided"

DUPLICATES = "coverage.duplicate_rows"

RESAMPLED = 1 - math.exp(-1)
"""Share of distinct rows that train keeps when it is resampled: no fewer are asked of a table."""


@dataclass(frozen=True)
class Component:
    """One metric inside a family's headline.

    Attributes:
        metrics: score names in order of preference; the first one the record has is used.
        zero: what scores 0: the ``floor`` anchor (independent columns), as everywhere in the overall score, or the metric's worst
            possible value (``bound``), for what is shown beside it.
        distinct: whether one good row repeated would satisfy the metric; its normalised value then shrinks with the share of distinct
            rows, once fewer are distinct than in a resample of train (:data:`DUPLICATES`, :data:`RESAMPLED`).
    """

    metrics: tuple[str, ...]
    zero: Literal["floor", "bound"] = "floor"
    distinct: bool = False


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


MODELS = ("headline", "hgb", "random_forest", "linear", "mlp")


MEASURES = ("roc_auc", "r2")


FAMILIES: tuple[Family, ...] = (
    Family(
        "ml_efficacy",
        "ML efficacy",
        "ML",
        (
            Component(
                (
                    *(f"ml_efficacy.{model}.{measure}" for model in MODELS for measure in MEASURES),
                    "ml_efficacy.headline",
                )
            ),
        ),
    ),
    Family(
        "distribution",
        "Distribution",
        "dist",
        (Component(("distribution.pair_distance", "distribution.pair_trends")),),
    ),
    Family("conditional", "Conditional", "cond", (Component(("conditional.distance",)),)),
    Family(
        "dependencies",
        "Dependencies",
        "FD",
        (
            Component(
                ("dependencies.fd_failure_rate", "dependencies.fd_violation_rate", "dependencies.fd"), distinct=True
            ),
        ),
    ),
    Family(
        "rules", "Rules", "rules", (Component(("rules.violation_rate_own", "rules.violation_rate"), distinct=True),)
    ),
    Family("detection", "Detection", "det", (Component((FOLDED,)),)),
    Family("privacy", "Privacy", "priv", (Component(("privacy.dcr_share",), "bound"),), quality=False),
)
"""Column shapes and coverage are in no headline: independent columns satisfy them as real rows do."""


@dataclass(frozen=True)
class Placed:
    """Where a value lies between the anchors.

    Attributes:
        value: 0 at the floor (independent columns), 1 at *real* (held-out rows), clipped to [0, 1]; ``None`` with ``reason``.
        reason: why there is none.
    """

    value: float | None
    reason: str | None = None


def place(score: Score, rows: Mapping[str, int] | None = None, zero: Literal["floor", "bound"] = "floor") -> Placed:
    """The one normalised score: leaderboard, report, ``harness.score`` and W&B show what is computed here.

    Clipping keeps one unbounded value (say, a relative error of 40) from deciding an average. Where *real* is not better than *floor*
    by more than :data:`LEAST_GAP` and :data:`ANCHOR_ERRORS` standard errors, the scale would measure noise or stand on its head,
    and nothing is placed on it.

    Args:
        score: a value with its anchors.
        rows: ``train`` and ``test`` rows behind the anchors; without them only :data:`LEAST_GAP` is asked for.
        zero: what scores 0.
    """
    low = score.floor if zero == "floor" else score.bounds[0 if score.goal == "max" else 1]
    if score.value is None:
        return Placed(None, score.error or "there is no value.")
    if score.real is None or low is None:
        return Placed(None, "an anchor is missing.")
    gap = (score.real - low) * (1 if score.goal == "max" else -1)
    least = LEAST_GAP if zero == "bound" else max(LEAST_GAP, ANCHOR_ERRORS * _standard_error(score, rows or {}))
    if gap < least:
        return Placed(
            None,
            f"real rows ({score.real:.3g}) are not better than independent columns ({low:.3g}) by more than {least:.2g}, the noise of "
            "these anchors, so that the scale between them says nothing.",
        )
    return Placed(min(1.0, max(0.0, (score.value - low) / (score.real - low))))


def _standard_error(score: Score, rows: Mapping[str, int]) -> float:
    """Of real − floor, at most: a mean of values in [0, 1], or an AUC, has no greater variance than p(1 − p) over its rows.

    The floor's table is taken to have as many rows as train. Measures without two bounds are given the greatest variance, 1/4.
    """
    error = 0.0
    for anchor, table in ((score.real, "test"), (score.floor, "train")):
        if rows.get(table) and anchor is not None:
            error += _variance(score, anchor) / rows[table]
    return float(error**0.5)


def _variance(score: Score, anchor: float) -> float:
    if score.metric == FOLDED:  # 1 − 2·|AUC − ½|: four times AUC·(1 − AUC)
        return max(0.0, 1 - (1 - anchor) ** 2)
    return max(0.0, anchor * (1 - anchor)) if score.bounds == (0.0, 1.0) else 0.25


def headline(scores: Mapping[str, Score], component: Component) -> Score | None:
    """The score that stands for a component in this record: the first preferred name it has.

    A score without value is not replaced by the next name's: averages would then mix measures.
    """
    return next((scores[name] for name in component.metrics if name in scores), None)


def chosen_families(only: Sequence[str] = ()) -> list[Family]:
    """The families of these keys; empty: all.

    Raises:
        TabOrderError: for a key that is none.
    """
    known = {family.key: family for family in FAMILIES}
    for key in only:
        if key not in known:
            raise TabOrderError(choices(key, known, "family"))
    return [family for family in FAMILIES if not only or family.key in only]


def family_values(
    scores: Mapping[str, Score], rows: Mapping[str, int], only: Sequence[str] = ()
) -> tuple[dict[str, float], dict[str, str]]:
    """Normalised value by family key, and the reason why there is none for each family that has a headline score without one.

    Args:
        scores: of one record, by name.
        rows: ``train`` and ``test`` rows.
        only: keys of the families to look at; empty: all.
    """
    values, reasons = {}, {}
    for family in chosen_families(only):
        chosen = [(component, score) for component in family.components if (score := headline(scores, component))]
        placed = [_placed(scores, component, score, rows) for component, score in chosen]
        known = [one.value for one in placed if one.value is not None]
        if known:
            values[family.key] = fmean(known)
        elif chosen:
            reasons[family.key] = f"{chosen[0][1].metric}: {placed[0].reason}"
    return values, reasons


def _placed(scores: Mapping[str, Score], component: Component, score: Score, rows: Mapping[str, int]) -> Placed:
    found = place(score, rows, component.zero)
    repeated = scores.get(DUPLICATES)
    if found.value is None or not component.distinct or repeated is None or repeated.value is None:
        return found
    usual = RESAMPLED * (1 - (repeated.real or 0.0))
    return Placed(found.value * min(1.0, (1 - repeated.value) / usual) if usual > 0 else found.value)
