"""Labels that tell apart what differs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.records.record import Record


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
