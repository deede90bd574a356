"""Score tables that no generator of this project made: read them, infer a schema, evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources as package_resources
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from harness.datasets.assemble import assemble
from harness.datasets.base import Dataset
from harness.datasets.reading import canonical, infer_schema, read_text
from harness.datasets.rules import parse_rules
from harness.dependencies.codes import Encoder
from harness.dependencies.mining import mine
from harness.dependencies.violations import violations
from harness.errors import TabOrderError, choices
from harness.metrics.base import Metric
from harness.records.record import Score
from harness.table import Column, Schema, Task, conform, infer_column, infer_task

Table = pd.DataFrame | str | Path
MAX_UNSEEN = 0.05
"""A mined dependency is used when it holds in the test rows too and at most this share of their left sides is new."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores, and what they were computed with.

    Attributes:
        scores: all of them.
        dataset: the real tables with rules and dependencies.
        synthetic: the table that was judged, canonical.
        invalid: invalid cells of the synthetic table by column.
    """

    scores: tuple[Score, ...]
    dataset: Dataset
    synthetic: pd.DataFrame
    invalid: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Of the synthetic table."""
        return len(self.synthetic)


def score_tables(
    train: Table,
    test: Table,
    synthetic: Table,
    *,
    target: str | None = None,
    task: Task | None = None,
    condition: str | None = None,
    rules: Sequence[Mapping[str, Any]] = (),
    fds: Sequence[Mapping[str, Any]] | None = None,
    resources: Mapping[str, str] | None = None,
    metrics: Mapping[str, Metric] | Sequence[Metric] | None = None,
    missing: Sequence[str] = (),
    seed: int = 0,
    anchors: str | Path | None = None,
    jobs: int = 1,
) -> Scored:
    """Score a synthetic table made elsewhere.

    Args:
        train: real rows the generator saw; kinds of columns are inferred from them.
        test: real rows it did not see.
        synthetic: the table to judge; it may have its columns in any order and cells that are no values (they are counted).
        target: column to predict downstream, or ``None``.
        task: ``classification`` or ``regression``; by default inferred.
        condition: column within whose categories distributions are compared; by default a categorical target.
        rules: domain rules (:mod:`harness.datasets.rules`).
        fds: ``{lhs, rhs, g3}`` mappings; ``None`` mines exact single-column dependencies of train that hold on test.
        resources: files that rules need, by name.
        metrics: what to compute; by default all of ``conf/evaluation/default.yaml``.
        missing: texts that stand for missing cells in files, beside the empty one.
        seed: of the evaluation.
        anchors: folder in which anchors are kept.
        jobs: threads.

    Raises:
        TabOrderError: for tables that cannot be read or do not match, and ill-formed rules.
    """
    from harness.metrics.evaluate import evaluate as evaluate_dataset

    dataset = _dataset(train, test, target, task, ("", *missing))
    if condition is None and target is not None and not dataset.schema[target].numeric:
        condition = target
    dataset = assemble(
        "scored", dataset.schema, dataset.train, dataset.test,
        rules=rules, fds=_mined(dataset) if fds is None else fds, condition=condition, resources=resources,
    )  # fmt: skip
    parse_rules(dataset.rules, dataset.schema, dataset.resources)  # an ill-formed rule should not cost minutes
    made = synthetic if isinstance(synthetic, pd.DataFrame) else read_text(synthetic, missing=("", *missing)).frame()
    try:
        table, invalid = conform(made, dataset.schema)
    except TabOrderError as error:
        raise TabOrderError(f"synthetic: {error}") from None
    scores = evaluate_dataset(
        dataset,
        table,
        metrics=load_metrics("default") if metrics is None else metrics,
        seed=seed,
        invalid=invalid,
        anchors=None if anchors is None else Path(anchors),
        jobs=jobs,
    )
    return Scored(scores, dataset, table, invalid)


def _dataset(train: Table, test: Table, target: str | None, task: Task | None, missing: Sequence[str]) -> Dataset:
    """The two real tables, canonical."""
    if isinstance(train, pd.DataFrame):
        schema = _infer_frame_schema(train)
        rows = _strict(train, schema, "train")
    else:
        text = read_text(train, missing=missing)
        schema = infer_schema(text)
        rows = canonical(text, schema)
    if target is not None:
        column = schema[target]
        schema = Schema(schema.columns, target, task or infer_task(column, rows[target].dropna().tolist()))
    elif task is not None:
        raise TabOrderError(f"task={task} needs a target: give target=COLUMN.")
    held_out = (
        _strict(test, schema, "test")
        if isinstance(test, pd.DataFrame)
        else canonical(read_text(test, missing=missing), schema)
    )
    return Dataset("scored", schema, rows, held_out, checksum="")


def _infer_frame_schema(frame: pd.DataFrame) -> Schema:
    """Kinds of a frame's columns from their cells as text, so that 1, 1.0 and "1" are inferred alike."""
    names = [str(name) for name in frame.columns]
    text, _ = conform(frame, Schema(tuple(Column(name, "categorical") for name in names)))
    return Schema(tuple(infer_column(name, text[name]) for name in names))


def _strict(frame: pd.DataFrame, schema: Schema, label: str) -> pd.DataFrame:
    try:
        table, invalid = conform(frame, schema)
    except TabOrderError as error:
        raise TabOrderError(f"{label}: {error}") from None
    if invalid:
        name, cells = next(iter(invalid.items()))
        raise TabOrderError(
            f"{label}: {cells} cells of column '{name}' are no {schema[name].kind}, as in train: mend them or make the column text."
        )
    return table


def _mined(dataset: Dataset) -> list[dict[str, Any]]:
    """Exact single-column dependencies of the training rows that test rows confirm."""
    encoder, kept = Encoder(dataset.schema, dataset.train, dataset.test), []
    for fd in mine(dataset.train, dataset.schema, max_lhs=1).fds:
        found = violations(fd, dataset.train, dataset.test, dataset.schema, encoder=encoder)
        if found.rate == 0 and (found.unseen_rate or 0.0) <= MAX_UNSEEN:
            kept.append(fd.to_json())
    return kept


def load_metrics(evaluation: str) -> list[Metric]:
    """The metrics of ``conf/evaluation/<name>.yaml``, or of a YAML file of that form.

    Raises:
        TabOrderError: for an unknown name, or a file that is not of that form.
    """
    from harness.targets import build

    folder = package_resources.files("conf") / "evaluation"
    known = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    if evaluation in known:
        text = (folder / f"{evaluation}.yaml").read_text(encoding="utf-8")
    elif evaluation.endswith((".yaml", ".yml")):
        text = _read(evaluation, "evaluation")
    else:
        raise TabOrderError(f"{choices(evaluation, known, 'evaluation')} Or give a YAML file.")
    content = _yaml(text, evaluation)
    specs = content.get("metrics") if isinstance(content, Mapping) else None
    if not isinstance(specs, Mapping) or not specs:
        raise TabOrderError(
            f"evaluation {evaluation} has no mapping 'metrics': write it like conf/evaluation/default.yaml."
        )
    return [build(spec) for spec in specs.values()]


def load_rules(path: str) -> dict[str, Any]:
    """What a rules file says, as options of :func:`score_tables`; paths of resources count from the file's folder.

    Raises:
        TabOrderError: when it cannot be read or is not of the form.
    """
    content = _yaml(_read(path, "rules"), path)
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = {"rules": content}
    legal = ("rules", "fds", "condition", "resources")
    if not isinstance(content, Mapping):
        raise TabOrderError(f"rules {path} must be a list of rules, or a mapping with {', '.join(legal)}.")
    for key in content:
        if key not in legal:
            raise TabOrderError(f"rules {path}: {choices(key, legal, 'key')}")
    given = {key: value for key, value in content.items() if value is not None}
    for key, kind in (("rules", list), ("fds", list), ("resources", dict)):
        if not isinstance(given.get(key, kind()), kind):
            raise TabOrderError(f"rules {path}: '{key}' must be a {'mapping' if kind is dict else 'list'}.")
    if "resources" in given:
        given["resources"] = {name: str(Path(path).parent / str(file)) for name, file in given["resources"].items()}
    return given


def _read(path: str, what: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TabOrderError(f"{what} {path} cannot be read ({error}): give the path of a YAML file.") from None


def _yaml(text: str, path: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TabOrderError(f"{path} is not valid YAML ({' '.join(str(error).split())}).") from None
