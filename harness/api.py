"""The Python interface, for scripts and notebooks: ``import harness`` offers what is listed here and loads it when first used.

The words are those of the command line: a dataset, generator or evaluation is named as in ``conf/``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self, cast

import pandas as pd
from omegaconf import OmegaConf

from harness.cli.composition import composed, words_of
from harness.cli.settings import job_of
from harness.datasets.asked import Asked
from harness.datasets.assemble import assemble
from harness.datasets.base import Dataset
from harness.datasets.fds import AUTO, Given
from harness.datasets.files import named_columns, one_of
from harness.datasets.tables import Reading, Real, read_real
from harness.errors import TabOrderError, choices
from harness.execution.cell import run_cell
from harness.execution.progress import CellProgress
from harness.generator import Generator, Yield
from harness.metrics.external import Scored, Table, load_metrics, score_tables
from harness.ranking.families import place
from harness.records.record import Record, Score
from harness.report.score_text import headlines
from harness.score import format_text
from harness.seeding import global_seed
from harness.table import Schema, Task, conform
from harness.targets import wrapped

__all__ = ["HandGenerator", "Scores", "evaluate", "infer_schema", "make_dataset", "make_generator", "run"]


class Scores(Sequence[Score]):
    """Scores of one synthetic table; printed, the text of ``python -m harness.score``; in a notebook, a table.

    Attributes:
        dataset: the real tables, with the rules and dependencies that were judged.
        synthetic: the judged table in canonical form.
        invalid: cells of each column that were no value of its kind (they count as missing).
    """

    def __init__(self, scored: Scored) -> None:
        self._scored = scored
        self.dataset = scored.dataset
        self.synthetic = scored.synthetic
        self.invalid = dict(scored.invalid)

    def __len__(self) -> int:
        return len(self._scored.scores)

    def __iter__(self) -> Iterator[Score]:
        return iter(self._scored.scores)

    def __getitem__(self, key: Any) -> Any:
        """A score by position or by name.

        Raises:
            TabOrderError: for a name that was not computed, with the nearest one.
        """
        if not isinstance(key, str):
            return self._scored.scores[key]
        named = {score.metric: score for score in self}
        if key not in named:
            raise TabOrderError(choices(key, named, "score"))
        return named[key]

    def to_frame(self, *, details: bool = True) -> pd.DataFrame:
        """One row a score, indexed by its name.

        Args:
            details: also scores that detail another one (by column, dependency, rule or category).

        Returns:
            Columns ``value``, ``real`` and ``floor`` (the anchors), ``normalised`` (0 at floor, 1 at real), ``goal`` (``max`` or
            ``min``), ``version``, ``seconds``, ``error`` (why there is no value).
        """
        shown = self if details else headlines(self)
        rows = [
            {
                "metric": score.metric,
                "value": score.value,
                "real": score.real,
                "floor": score.floor,
                "normalised": place(score, self._scored.sizes).value,
                "goal": score.goal,
                "version": score.version,
                "seconds": score.seconds,
                "error": score.error,
            }
            for score in shown
        ]
        frame = pd.DataFrame(rows).set_index("metric")
        return frame.astype(dict.fromkeys(("value", "real", "floor", "normalised", "seconds"), float))

    def __repr__(self) -> str:
        return format_text(self._scored)

    def _repr_html_(self) -> str:
        frame = self.to_frame(details=False)[["value", "real", "floor", "normalised", "goal"]]
        return str(frame.to_html(na_rep="–", float_format="{:.4g}".format))


def evaluate(
    train: Table,
    test: Table,
    synthetic: Table,
    *,
    target: str | None = None,
    evaluation: str = "default",
    **options: Any,
) -> Scores:
    """Judge a synthetic table made with any tool.

    Args:
        train: the real rows its generator saw: a frame, or the path of a CSV or Parquet file.
        test: real rows it did not see.
        synthetic: the table to judge, with the same columns in any order.
        target: the column to predict downstream; without it there is no ML efficacy.
        evaluation: which metrics: a file of ``conf/evaluation`` (``default``, ``quick``), or a YAML file like those.
        options: further ones of :func:`harness.metrics.external.score_tables` (``task``, ``condition``, ``rules``, ``fds``, ``seed``,
            ``anchors``, ``jobs``, …).

    Raises:
        TabOrderError: for tables that cannot be read or do not match, and ill-formed rules.
    """
    options.setdefault("metrics", load_metrics(evaluation))
    return Scores(score_tables(train, test, synthetic, target=target, **options))


def infer_schema(frame: pd.DataFrame, *, target: str | None = None, task: Task | None = None) -> Schema:
    """Kinds of a frame's columns, as a cell would infer them.

    Args:
        frame: rows, e.g. of train.
        target: the column to predict downstream.
        task: ``classification`` or ``regression``; by default inferred from the target.

    Raises:
        TabOrderError: when there is no such column.
    """
    return _read(frame, target, task).understood.schema


def _read(frame: pd.DataFrame, target: str | None, task: Task | None) -> Real:
    """A frame as every command reads tables; no column is left out."""
    if target is None and task is not None:
        raise TabOrderError(f"task={task} needs a target: give target=COLUMN.")
    return read_real(frame, None, Asked({}, target=target, task=task, ids="keep", prefix=""), Reading())


def make_dataset(
    train: Table,
    test: Table,
    *,
    target: str | None = None,
    task: Task | None = None,
    name: str = "table",
    rules: Sequence[Mapping[str, Any]] = (),
    fds: Given = AUTO,
    condition: str | None = AUTO,
    ids: str = "drop",
) -> Dataset:
    """A dataset from two tables, for :func:`run`.

    Args:
        train: rows generators may see: a frame, or the path of a file.
        test: held-out rows.
        target: the column to predict downstream; without it there is no ML efficacy.
        task: ``classification`` or ``regression``; by default inferred.
        name: what results call it.
        rules: domain rules (:mod:`harness.datasets.rules`).
        fds: dependencies, ``{lhs, rhs, g3}`` mappings or texts such as ``City->Country``; ``auto`` mines them on train and keeps those
            that hold on test.
        condition: the column within whose categories distributions are compared; ``auto``: a categorical target.
        ids: ``drop`` leaves out text that differs in every row, with a note; ``keep`` models it as categories.

    Returns:
        A dataset whose ``notes`` say, one sentence each, what was parsed, guessed or left out.

    Raises:
        TabOrderError: for tables that do not match, and names that do not exist.
    """
    keep = named_columns(target, condition, rules, fds)
    asked = Asked({}, target=target, task=task, keep=keep, ids=one_of(ids, ("drop", "keep"), "ids"), prefix="")
    real = read_real(train, test, asked, Reading())
    assert real.test is not None
    return assemble(
        name, real.understood.schema, real.train, real.test,
        rules=rules, fds=fds, condition=condition, notes=real.notes, prefix="",
    )  # fmt: skip


class HandGenerator:
    """A configured generator used by hand in this very process: no limits, no record, frames in and frames out.

    Attributes:
        generator: the object behind it, with ``fit`` and ``sample`` of :class:`harness.generator.Generator`.
        schema: columns of the table it was fitted to.
        yield_: rows attempted, accepted and rejected by the last ``sample``, where the generator tells.
        invalid: cells of each column of the last sample that were no value of its kind (they became missing).
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.schema: Schema | None = None
        self.yield_: Yield | None = None
        self.invalid: dict[str, int] = {}

    def fit(
        self, train: pd.DataFrame, schema: Schema | None = None, *, target: str | None = None, seed: int = 0
    ) -> Self:
        """Learn from a frame, which is not changed.

        Args:
            train: rows to learn from.
            schema: kinds of its columns; by default :func:`infer_schema`'s.
            target: the column to predict downstream, for generators that use it.
            seed: equal seeds give equal generators.

        Raises:
            TabOrderError: for cells that do not fit the schema.
            Incompatible: when the generator cannot handle the table.
        """
        if schema is None:
            real = _read(train, target, None)
            schema, rows = real.understood.schema, real.train
            invalid: dict[str, int] = {}
        else:
            rows, invalid = conform(train, schema)
        if invalid:
            name, count = next(iter(invalid.items()))
            raise TabOrderError(
                f"{count} cells of column '{name}' are no {schema[name].kind}: mend them, or give another schema."
            )
        with global_seed(seed):
            self.generator.fit(rows, schema, seed=seed)
        self.schema = schema
        return self

    def sample(self, n: int, *, seed: int = 0) -> pd.DataFrame:
        """Draw ``n`` rows (fewer where the generator cannot deliver them: see ``yield_``), in the schema's columns and kinds.

        Raises:
            TabOrderError: before ``fit``.
        """
        if self.schema is None:
            raise TabOrderError("nothing was learnt yet: call fit(train) before sample(n).")
        with global_seed(seed):
            made = self.generator.sample(n, seed=seed)
        frame = made if isinstance(made, pd.DataFrame) else made.frame
        self.yield_ = None if isinstance(made, pd.DataFrame) else made.yield_
        rows, self.invalid = conform(frame, self.schema)
        return rows


def make_generator(generator: str | Mapping[str, Any] | type | Generator, **parameters: Any) -> HandGenerator:
    """A generator to be used by hand.

    Args:
        generator: a file of ``conf/generator``, a mapping with ``_target_``, a class, or an object with ``fit`` and ``sample``.
        parameters: arguments of its constructor; those of the configuration file that are not named keep their values.

    Raises:
        TabOrderError: for an unknown generator or parameter.
    """
    from harness.execution.stages import build_generator

    if isinstance(generator, str | Mapping):
        return HandGenerator(build_generator(_generator_spec(generator, parameters), None))
    made = generator(**parameters) if isinstance(generator, type) else generator
    if not isinstance(made, Generator):
        raise TabOrderError(f"{type(made).__name__} has no methods fit and sample: see docs/guides/generators.md.")
    return HandGenerator(made)


def _generator_spec(generator: str | Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """``_target_`` and arguments, every reference to other keys of the configuration resolved."""
    if isinstance(generator, Mapping):
        return {**generator, **parameters}
    words = [f"generator={generator}", *words_of({f"generator.{name}": value for name, value in parameters.items()})]
    with composed(words) as config:
        spec = cast(dict[str, Any], OmegaConf.to_container(config.generator, resolve=True, throw_on_missing=True))
        return wrapped(spec, cast(dict[str, Any], OmegaConf.to_container(config.repairs, resolve=True)))


def run(
    dataset: str | Dataset,
    generator: str | Mapping[str, Any] | type,
    *,
    seed: int = 0,
    store: str | Path = "results",
    settings: Mapping[str, Any] | None = None,
) -> Record:
    """Run one cell, or reuse its record: what ``python -m harness dataset=… generator=… seed=…`` does, but for W&B.

    It works in a notebook and in a plain script, guarded by ``if __name__ == "__main__"`` or not: the cell's own process imports
    the generator by name and never runs the caller's script.

    Args:
        dataset: a file of ``conf/dataset``, or a dataset (:func:`make_dataset`, :func:`harness.datasets.load`).
        generator: a file of ``conf/generator``, a mapping with ``_target_`` and arguments, or a class of an importable module.
        seed: base seed of the cell.
        store: folder in which results are kept.
        settings: further keys of the configuration, as on the command line, e.g. ``{"generator.epochs": 3, "n_rows": 500,
            "evaluation": "quick", "limits.timeout_seconds": 600}``.

    Returns:
        The record, also of a cell that failed (``status`` and ``error`` tell).

    Raises:
        TabOrderError: for a mistake in what was asked; nothing has run then.
    """
    given = dict(settings or {})
    if unused := sorted(key for key in given if key.split(".")[0] in ("tracker", "hydra", "output", "outputs")):
        raise TabOrderError(f"harness.run makes a record alone, and {unused[0]} is of no use to it: leave it out.")
    words = words_of({"seed": seed, "store.root": str(Path(store)), **given})
    if isinstance(dataset, str):
        words.insert(0, f"dataset={dataset}")
    with composed([*_generator_words(generator), "tracker=none", *words]) as config:
        job = job_of(config, dataset if isinstance(dataset, Dataset) else None)
    with closing(CellProgress(job.cell.label)) as progress:
        record = run_cell(job, progress).record
    if record is None:
        raise TabOrderError(f"{job.cell.label} has no result in {store}, and cache=only runs nothing: leave cache out.")
    return record


def _generator_words(generator: str | Mapping[str, Any] | type) -> list[str]:
    if isinstance(generator, str):
        return [f"generator={generator}"]
    spec = (
        dict(generator)
        if isinstance(generator, Mapping)
        else {"_target_": f"{generator.__module__}.{generator.__qualname__}"}
    )
    target = str(spec.pop("_target_", ""))
    module, _, name = target.rpartition(".")
    if module == "__main__" or "<locals>" in target:
        raise TabOrderError(
            f"{target} stands where the cell's own process cannot import it from: move it into a module, say my_generator.py, "
            f"and pass my_generator.{name}."
        )
    words = words_of({"generator._target_": target})
    return ["generator=plugin", f"generator_name={name}", *words, *words_of({"generator": spec} if spec else {})]
