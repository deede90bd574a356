"""The Python interface, for scripts and notebooks: ``import harness`` offers what is listed here and loads it when first used.

The words are those of the command line: a dataset, generator or evaluation is named as in ``conf/``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, cast

import pandas as pd
from omegaconf import OmegaConf

from harness.cli.composition import composed, words_of
from harness.errors import TabOrderError, choices
from harness.generator import Generator, Yield
from harness.metrics.external import Scored, Table, load_metrics, score_tables
from harness.ranking.families import normalised
from harness.records.record import Score
from harness.report.score_text import headlines
from harness.score import format_text
from harness.seeding import global_seed
from harness.table import Column, Schema, Task, conform, infer_column, infer_task
from harness.targets import wrapped

__all__ = ["HandGenerator", "Scores", "evaluate", "infer_schema", "make_generator"]


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
                "normalised": normalised(score, "floor"),
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
    names = [str(name) for name in frame.columns]
    # From cells as text, so that 1, 1.0 and "1" are inferred alike.
    text, _ = conform(frame, Schema(tuple(Column(name, "categorical") for name in names)))
    schema = Schema(tuple(infer_column(name, text[name]) for name in names))
    if target is None:
        if task is not None:
            raise TabOrderError(f"task={task} needs a target: give target=COLUMN.")
        return schema
    values = conform(frame, schema)[0][target] if target in names else pd.Series(dtype=object)
    return Schema(schema.columns, target, task or infer_task(schema[target], values.dropna().tolist()))


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
        schema = schema or infer_schema(train, target=target)
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
