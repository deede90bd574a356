"""Score tables that no generator of this project made: read them, infer a schema, evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources as package_resources
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from harness.datasets.asked import Asked
from harness.datasets.assemble import assemble
from harness.datasets.base import Dataset
from harness.datasets.fds import AUTO, Given
from harness.datasets.files import named_columns, one_of
from harness.datasets.reading import name_list
from harness.datasets.reconcile import reconcile, unseen_notes
from harness.datasets.tables import Reading, Source, read_real
from harness.datasets.understanding import kinds_of
from harness.errors import TabOrderError, choices
from harness.metrics.base import Metric
from harness.metrics.overlap import overlaps
from harness.records.record import Score
from harness.table import Task, conform

Table = Source


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores, and what they were computed with.

    Attributes:
        scores: all of them.
        dataset: the real tables with rules and dependencies.
        synthetic: the table that was judged, canonical.
        invalid: invalid cells of the synthetic table by column.
        notes: one sentence for each decision on the synthetic table; those on the real tables are the dataset's.
    """

    scores: tuple[Score, ...]
    dataset: Dataset
    synthetic: pd.DataFrame
    invalid: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of the real tables ``train`` and ``test``."""
        return self.dataset.sizes

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
    fds: Given = None,
    resources: Mapping[str, str] | None = None,
    metrics: Mapping[str, Metric] | Sequence[Metric] | None = None,
    missing: Sequence[str] | str = (),
    delimiter: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    columns: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
    drop_columns: Sequence[str] | str = (),
    ids: str = "drop",
    drop_text: bool = False,
    strip: bool = False,
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
        fds: dependencies; ``None`` or ``auto`` mines exact single-column ones of train that hold on test, as ``dataset=csv`` does.
        resources: files that rules need, by name.
        metrics: what to compute; by default all of ``conf/evaluation/default.yaml``.
        missing: texts that stand for missing cells, beside the empty one.
        delimiter: between CSV cells; like all that follows up to ``strip`` as in :func:`harness.datasets.files.csv_table`.
        header: whether a CSV file's first row has names.
        decimal: the decimal mark where cells leave it open.
        columns: kinds that override the inferred ones.
        drop_columns: left out of all three tables.
        ids: whether text that differs in every row is left out.
        drop_text: leave out free text.
        strip: take blanks around text away.
        seed: of the evaluation.
        anchors: folder in which anchors are kept.
        jobs: threads.

    Raises:
        TabOrderError: for tables that cannot be read or do not match, and ill-formed rules.
    """
    from harness.metrics.evaluate import evaluate as evaluate_dataset

    asked = Asked(
        columns=kinds_of(columns),
        target=target,
        task=task,
        keep=named_columns(target, condition, rules, fds),
        ids=one_of(ids, ("drop", "keep"), "ids"),
        drop_text=drop_text,
        strip=strip,
        decimal=None if decimal is None else one_of(decimal, (".", ","), "decimal"),
        prefix="",
    )
    if target is None and task is not None:
        raise TabOrderError(f"task={task} needs a target: give target=COLUMN.")
    reading = Reading(
        name_list(missing, "missing"), delimiter=delimiter, header=header, drop=name_list(drop_columns, "drop_columns")
    )
    real = read_real(train, test, asked, reading, [synthetic])
    schema, held_out = real.understood.schema, real.test
    assert held_out is not None
    dataset = assemble(
        "scored", schema, real.train, held_out,
        rules=rules, fds=AUTO if fds is None else fds, condition=condition or AUTO, resources=resources, notes=real.notes,
        prefix="",
    )  # fmt: skip
    made = reconcile(reading.read(synthetic, "synthetic"), real.understood.table, schema, real.understood.dropped)
    try:
        table, invalid = conform(made.frame(), schema)
    except TabOrderError as error:
        extra = [name for name in made.names if name not in schema.names]
        repair = f" {asked.advice('drop_columns', extra)} leaves the unexpected out." if extra else ""
        raise TabOrderError(f"synthetic: {error}{repair}") from None
    scores = evaluate_dataset(
        dataset,
        table,
        metrics=load_metrics("default") if metrics is None else metrics,
        seed=seed,
        invalid=invalid,
        anchors=None if anchors is None else Path(anchors),
        jobs=jobs,
    )
    notes = (*made.notes, *unseen_notes(made, real.understood.table, schema), *overlaps(dataset))
    return Scored(scores, dataset, table, invalid, notes)


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
    specs = _specs(content, folder)
    if not specs:
        raise TabOrderError(
            f"evaluation {evaluation} has no mapping 'metrics': write it like conf/evaluation/default.yaml."
        )
    return [build(spec) for spec in specs.values()]


def _specs(content: Any, folder: Any) -> dict[str, Any]:
    """The metrics of an evaluation, after those of the evaluations it has as ``defaults``; empty where it has none."""
    if not isinstance(content, Mapping):
        return {}
    found: dict[str, Any] = {}
    for name in content.get("defaults") or ():
        if name != "_self_":
            found |= _specs(_yaml((folder / f"{name}.yaml").read_text(encoding="utf-8"), str(name)), folder)
    own = content.get("metrics")
    return found | dict(own) if isinstance(own, Mapping) else found


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
