"""The record of one cell: a self-explaining, strict-JSON account of what was run and what came out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from operator import itemgetter
from sys import intern
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

import orjson

from harness.errors import TabOrderError, choices
from harness.generator import Yield
from harness.records.validation import UNSEALED, check_shape, is_intact, seal

SCHEMA_VERSION = 1

Status = Literal["ok", "failed", "timeout", "out_of_memory", "crashed", "incompatible", "short_yield"]
STATUSES: tuple[str, ...] = get_args(Status)
SCORED: tuple[str, ...] = ("ok", "short_yield")
"""Statuses that come with a synthetic table and scores."""


@dataclass(frozen=True)
class Cell:
    """The identity of one unit of work: dataset × generator × seed, with resolved parameters.

    Attributes:
        dataset: dataset name.
        generator: generator name, as configured.
        seed: base seed from which all others are derived.
        n_rows: synthetic rows asked for.
        params: resolved generator parameters (JSON-able), ``_target_`` excluded.
        target: the generator's class path.
        version: the generator's version.
        dataset_checksum: content hash of the rows trained and tested on.
        dataset_params: what was asked of the dataset (e.g. ``max_train_rows``).
        key: first 8 hex digits of the hash over all of the above but ``dataset_params``.
    """

    dataset: str
    generator: str
    seed: int
    n_rows: int
    params: Mapping[str, Any]
    target: str
    version: str
    dataset_checksum: str
    key: str
    dataset_params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where it lies below ``runs/``, and what tells it from every other cell of a store."""
        return f"{self.dataset}/{self.generator}/{self.seed}-{self.key}"

    @property
    def label(self) -> str:
        """For people: dataset, generator and seed."""
        return f"{self.dataset} · {self.generator} · seed {self.seed}"


class Score(NamedTuple):
    """One number with its anchors. (A named tuple, for a leaderboard makes a million of them.)

    Attributes:
        metric: ``family.metric[.detail]``.
        version: of the metric's definition.
        params: the metric's parameters.
        goal: ``max`` or ``min``: which direction is better.
        bounds: least and greatest possible value (``None`` where unbounded).
        value: on the synthetic table; ``None`` with ``error`` set when it could not be computed.
        real: the same metric on held-out real rows as if synthetic (ML efficacy: trained on real).
        floor: the same metric on independently resampled columns.
        seconds: spent on the metric this value came from (shared by all its values).
        error: why a value is missing, else ``None``.
    """

    metric: str
    version: int
    value: float | None
    goal: str
    bounds: tuple[float | None, float | None] = (None, None)
    params: Mapping[str, Any] = MappingProxyType({})
    real: float | None = None
    floor: float | None = None
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class Cost:
    """Seconds (wall clock) and memory of a cell; ``None`` where a stage did not end."""

    fit_seconds: float | None = None
    sample_seconds: float | None = None
    evaluate_seconds: float | None = None
    peak_memory_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None


@dataclass(frozen=True)
class Record:
    """Everything known about one cell. See ``results/README.md`` for the schema in words.

    ``evaluation`` lists the metrics computed, as ``{name, version, params, seed, evaluator, reads}``: one not listed is scored on the
    stored table by the next run, without refitting. ``rows`` counts those of the tables ``train`` and ``test``: what sampling noise the
    anchors have.
    """

    cell: Cell
    status: Status
    scores: tuple[Score, ...] = ()
    cost: Cost = field(default_factory=Cost)
    yield_: Yield | None = None
    evaluation: tuple[Mapping[str, Any], ...] = ()
    generator_info: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    log_tail: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    command: str | None = None
    sweep: str | None = None
    started: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise TabOrderError(choices(self.status, STATUSES, "status"))

    def score(self, metric: str) -> Score | None:
        """The score of that name, or ``None``."""
        return next((score for score in self.scores if score.metric == metric), None)

    def to_json(self) -> str:
        """Strict JSON (RFC 8259): no NaN or Infinity, sorted keys, a final newline; ``checksum`` tells later changes."""
        data = {("yield" if f.name == "yield_" else f.name): getattr(self, f.name) for f in fields(self)}
        data["cell"], data["cost"] = asdict(self.cell), asdict(self.cost)
        data["yield"] = None if self.yield_ is None else asdict(self.yield_)
        data["scores"] = [score._asdict() for score in self.scores]
        data["checksum"] = UNSEALED
        return seal(json.dumps(finite(data), allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True) + "\n")

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "record") -> Record:
        """Read and validate text or UTF-8 bytes; ``source`` names the file in errors.

        Raises:
            TabOrderError: not JSON, another schema version, changed since it was written, or fields missing, unknown or of
                another type.
        """
        try:
            data = _loads(text, source)
        except ValueError as error:
            raise TabOrderError(
                f"{source} is not valid JSON ({error}): delete it so that its cell is run again."
            ) from None
        if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
            version = data.get("schema_version") if isinstance(data, dict) else None
            raise TabOrderError(
                f"{source} has schema version {version!r}, this harness reads {SCHEMA_VERSION}: re-run its cell or use another version."
            )
        if data.pop("checksum", None) is None:
            _check(data, source)
        elif not is_intact(text if isinstance(text, bytes) else text.encode()):
            raise TabOrderError(
                f"{source} was changed after it was written (its checksum differs): delete it so that its cell is run again, "
                "or remove its key 'checksum' if the change is meant."
            )
        try:
            cell = Cell(**data.pop("cell"))
            scores = tuple(_score(score) for score in data.pop("scores"))
            cost = Cost(**data.pop("cost"))
            produced = data.pop("yield")
            rows = None if produced is None else Yield(**produced)
            log_tail, notes, metrics = (tuple(data.pop(name)) for name in ("log_tail", "notes", "evaluation"))
            return cls(
                cell=cell,
                scores=scores,
                cost=cost,
                yield_=rows,
                log_tail=log_tail,
                notes=notes,
                evaluation=metrics,
                **data,
            )
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise TabOrderError(
                f"{source} is not a complete record ({error}): delete it so that its cell is run again."
            ) from None


def _loads(text: str | bytes, source: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:  # again with Python's reader, which says what is wrong and takes integers of any size
        try:
            data = json.loads(text, parse_constant=lambda name: _refuse(name, source))
            json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair could be written nowhere
        except RecursionError:
            raise ValueError("nested too deeply") from None
        return data


def _check(data: Mapping[str, Any], source: str) -> None:
    try:
        check_shape(data)
    except ValueError as error:
        raise TabOrderError(
            f"{source} is not a record as this harness writes them ({error}): delete it so that its cell is run again."
        ) from None


_VALUES = itemgetter(*Score._fields)


def _score(data: dict[str, Any]) -> Score:
    data["metric"], data["goal"] = intern(data["metric"]), intern(data["goal"])
    low, high = data["bounds"]
    data["bounds"] = low, high
    if len(data) == len(Score._fields):
        with suppress(KeyError):
            return tuple.__new__(Score, _VALUES(data))
    return Score(**data)  # fills defaults, refuses what is unknown


def _refuse(name: str, source: str) -> None:
    raise TabOrderError(
        f"{source} contains {name}, which strict JSON does not allow: delete it so that its cell is run again."
    )


def finite(value: Any) -> Any:
    """Copy a JSON-able structure, with numpy scalars as Python numbers and non-finite floats as ``None``."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    if hasattr(value, "item"):
        return finite(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise TabOrderError(
        f"cannot write a {type(value).__name__} ({value!r}) into a record: give numbers, text, lists or mappings."
    )
