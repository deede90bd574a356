"""Records → units: one (dataset, generator label, training seed) each, with normalised scores per metric family.

Reads records only: the runner, torch and sdv are never imported here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from harness.record import SCORED, Record, Score

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


@dataclass(frozen=True)
class Unit:
    """One record seen by the leaderboard.

    Attributes:
        dataset: dataset label (the name, with what distinguishes it when one name holds several tables).
        generator: generator label.
        record: the record itself.
        scores: its scores by name.
        families: normalised headline score in [0, 1] per family, where it is defined; higher is better.
        overall: mean of the quality families that any unit of its dataset has; ``None`` when this one lacks some or all.
    """

    dataset: str
    generator: str
    record: Record
    scores: Mapping[str, Score]
    families: Mapping[str, float]
    overall: float | None

    @property
    def scored(self) -> bool:
        """Whether the cell delivered a table and scores."""
        return self.record.status in SCORED

    def value(self, metric: str) -> float | None:
        """The raw value of a score, or ``None``."""
        score = self.scores.get(metric)
        return None if score is None else score.value


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


def units(records: Iterable[Record]) -> list[Unit]:
    """Turn records into units, in the records' order. See :func:`labels` for how they are named."""
    records = list(records)
    datasets = labels(
        [(r.cell.dataset, r.cell.dataset_checksum, "", r) for r in records],
        _dataset_identity,
    )
    generators = labels(
        [
            (c.generator, f"{c.target} {c.version} {c.n_rows} {c.params}", c.dataset_checksum, record)
            for record in records
            for c in (record.cell,)
        ],
        _generator_identity,
    )
    scores = [{score.metric: score for score in record.scores} for record in records]
    families = [
        _families(found) if record.status in SCORED else {} for record, found in zip(records, scores, strict=True)
    ]
    quality: dict[str, set[str]] = defaultdict(set)
    for dataset, found in zip(datasets, families, strict=True):
        quality[dataset] |= {family.key for family in FAMILIES if family.quality and family.key in found}
    return [
        Unit(dataset, generator, record, score, found, _overall(found, quality[dataset]))
        for record, dataset, generator, score, found in zip(
            records, datasets, generators, scores, families, strict=True
        )
    ]


def _overall(families: Mapping[str, float], expected: set[str]) -> float | None:
    """Mean over the dataset's quality families; ``None`` when one is lacking, for the mean of others is another quantity."""
    return fmean(families[key] for key in sorted(expected)) if expected and expected <= set(families) else None


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as ``{"a.b": text}``."""
    flat: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return flat


def _generator_identity(record: Record) -> dict[str, str]:
    cell = record.cell
    return {
        **flatten(cell.params),
        "target": cell.target,
        "version": cell.version,
        "n_rows": str(cell.n_rows),
    }


def _dataset_identity(record: Record) -> dict[str, str]:
    return {**flatten(record.cell.dataset_params), "checksum": record.cell.dataset_checksum[:8]}


def labels(
    things: Sequence[tuple[str, str, str, Record]], identity: Callable[[Record], Mapping[str, str]]
) -> list[str]:
    """Name each thing so that two different ones never share a name.

    A name that occurs with several identities *within one context* (a generator with several parameter sets on one table)
    gets the parameters that differ there, as in ``permutation_aware_llm [order=fd_reversed]``. A checksum is shown only
    where no parameter tells the identities apart.

    Args:
        things: (name, key, context, record) each; equal keys mean equal identities.
        identity: the parameters of a record that may tell it apart; called once per key.
    """
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    groups: dict[str, dict[str, dict[str, Mapping[str, str]]]] = defaultdict(lambda: defaultdict(dict))
    for name, key, context, record in things:
        if (name, key) not in found:
            found[name, key] = identity(record)
        groups[name][context][key] = found[name, key]
    shown = {name: _distinguishing(contexts.values()) for name, contexts in groups.items()}
    made = {}
    for (name, key), known in found.items():
        parts = ", ".join(f"{part.split('.')[-1]}={known.get(part, 'default')}" for part in shown[name])
        made[name, key] = f"{name} [{parts}]" if parts else name
    return [made[name, key] for name, key, _, _ in things]


def _distinguishing(contexts: Iterable[Mapping[str, Mapping[str, str]]]) -> list[str]:
    differing: set[str] = set()
    for by_key in contexts:
        found = list(by_key.values())
        parts = sorted({part for one in found for part in one})
        differ = {part for part in parts if len({one.get(part) for one in found}) > 1}
        if differ != {"checksum"}:
            told = {tuple(one.get(part) for part in sorted(differ - {"checksum"})) for one in found}
            if len(told) == len({json.dumps(one, sort_keys=True) for one in found}):
                differ -= {"checksum"}
        differing |= differ
    return sorted(differing)
