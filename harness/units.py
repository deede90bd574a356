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
        (Component(("distribution.column_shapes",), "bound"), Component(("distribution.pair_trends",), "floor")),
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
    known: dict[str, dict[str, str]] = {}
    datasets = labels(
        records,
        lambda r: r.cell.dataset,
        lambda r: known.setdefault(r.cell.dataset_checksum, _dataset_identity(r)),
        lambda r: "",
    )
    generators = labels(records, lambda r: r.cell.generator, _generator_identity, lambda r: r.cell.dataset_checksum)
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
    records: Sequence[Record],
    name: Callable[[Record], str],
    identity: Callable[[Record], Mapping[str, str]],
    context: Callable[[Record], str],
) -> list[str]:
    """Name each record so that two different things never share a name.

    A name that occurs with several identities *within one context* (a generator with several parameter sets on one table)
    gets the parameters that differ there, as in ``permutation_aware_llm [order=fd_reversed]``. A checksum is shown only
    where no parameter tells the identities apart.
    """
    groups: dict[str, dict[str, dict[str, dict[str, str]]]] = defaultdict(lambda: defaultdict(dict))
    identities = [dict(identity(record)) for record in records]
    keys = [json.dumps(found, sort_keys=True) for found in identities]
    for record, found, key in zip(records, identities, keys, strict=True):
        groups[name(record)][context(record)][key] = found
    shown = {title: _distinguishing(contexts.values()) for title, contexts in groups.items()}
    made: dict[tuple[str, str], str] = {}
    for record, found, key in zip(records, identities, keys, strict=True):
        title = name(record)
        if (title, key) not in made:
            parts = ", ".join(f"{part.split('.')[-1]}={found.get(part, 'default')}" for part in shown[title])
            made[title, key] = f"{title} [{parts}]" if parts else title
    return [made[name(record), key] for record, key in zip(records, keys, strict=True)]


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
