"""Score a table made elsewhere: ``python -m harness.score train=a.csv test=b.csv synthetic=c.csv output=score.json``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.commands import Command
from harness.datasets.words import READING, reading_options
from harness.errors import TabOrderError
from harness.metrics.external import Scored, Table, load_metrics, load_rules, score_tables
from harness.metrics.row_violations import broken_rows, write_broken
from harness.records.files import write_atomic
from harness.records.record import Score, finite
from harness.report.score_text import family_table, reasons, score_table

SCORE_VERSION = 1

COMMAND = Command(
    "harness.score",
    "Judge a synthetic table made with any tool. Tables are CSV or Parquet (.parquet, .pq) with the same columns in any order.",
    {
        "train=FILE": "the real rows the generator saw",
        "test=FILE": "real rows it did not see",
        "synthetic=FILE": "the table to judge",
        "target=COLUMN": "the column to predict downstream; without it there is no ML efficacy",
        "task=NAME": "classification or regression (default: inferred from the target)",
        "condition=COLUMN": "the column within whose categories distributions are compared (default: a categorical target)",
        "rules=FILE.yaml": """a list of rules, or a mapping with rules, fds, condition, resources; without fds, exact
            single-column dependencies are mined on train and kept where they hold on test""",
        "evaluation=NAME": "default, quick, or a YAML file like conf/evaluation/default.yaml (default: default)",
        "output=FILE.json": "where the scores go as JSON (default: only the printed table)",
        "broken=FILE.csv": "where the synthetic rows go that break a rule or dependency, with what they break",
        **READING,
        "anchors=DIR": "a folder that keeps the anchors for the next call with the same real tables",
        "seed=N": "seed of the evaluation (default: 0)",
        "jobs=N": "CPU cores (default: all)",
    },
    required=("train", "test", "synthetic"),
    examples=("python -m harness.score train=a.csv test=b.csv synthetic=c.csv target=y output=score.json",),
)


def evaluate(train: Table, test: Table, synthetic: Table, **options: Any) -> tuple[Score, ...]:
    """Score a synthetic table. Tables are frames, or paths of CSV or Parquet files; see :func:`score_tables` for the options."""
    return score_tables(train, test, synthetic, **options).scores


def format_text(scored: Scored) -> str:
    """What the command prints: what was judged, families, headline scores, reasons for missing ones, dependencies, invalid cells."""
    dataset, scores = scored.dataset, scored.scores
    target = f"target {dataset.schema.target} ({dataset.schema.task})" if dataset.schema.target else "no target"
    sizes = f"{scored.sizes['train']:,} train and {scored.sizes['test']:,} test rows"
    parts = [
        f"{scored.rows:,} synthetic rows × {len(dataset.schema.columns)} columns against {sizes}; {target}.",
        family_table(scores, scored.sizes),
        "Where a table lies between columns drawn independently (floor, 0) and held-out real rows (real, 1):",
        score_table(scores, scored.sizes),
        *(["Without value:\n" + "\n".join(reasons(scores))] if reasons(scores) else []),
        f"Dependencies: {', '.join(map(str, dataset.fds)) or 'none'}.",
        "\n".join(f"- {note}" for note in (*dataset.notes, *scored.notes)),
    ]
    if scored.invalid:
        cells = ", ".join(f"{count} in {name}" for name, count in scored.invalid.items())
        parts.append(f"Cells that are no value of their column, taken as missing: {cells}.")
    return "\n\n".join(part for part in parts if part)


def to_json(scored: Scored) -> str:
    """Strict JSON of the scores and of what they were computed with."""
    dataset = scored.dataset
    content = {
        "score_version": SCORE_VERSION,
        "rows": {"train": len(dataset.train), "test": len(dataset.test), "synthetic": scored.rows},
        "schema": dataset.schema.to_json(),
        "condition": dataset.condition,
        "fds": [fd.to_json() for fd in dataset.fds],
        "rules": [dict(rule) for rule in dataset.rules],
        "invalid": dict(scored.invalid),
        "notes": [*dataset.notes, *scored.notes],
        "scores": [score._asdict() for score in scored.scores],
    }
    return json.dumps(finite(content), allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _whole(given: Mapping[str, str], key: str, default: int) -> int:
    text = given.get(key, str(default))
    if not text.isdecimal():
        raise TabOrderError(f"{key}={text} is not a whole number of at least 0.")
    return int(text)


def run(words: Sequence[str]) -> str:
    """Do what the words say; returns the text to print.

    Raises:
        TabOrderError: for anything the user can mend.
    """
    given = COMMAND.parse([word.removeprefix("dataset.") for word in words])  # as dataset=csv takes them
    options: dict[str, Any] = load_rules(given["rules"]) if given.get("rules") else {}
    options |= reading_options(given)
    options |= {key: given[key] for key in ("target", "task", "condition", "anchors") if given.get(key)}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    scored = score_tables(
        given["train"],
        given["test"],
        given["synthetic"],
        metrics=load_metrics(given.get("evaluation") or "default"),
        seed=_whole(given, "seed", 0),
        jobs=max(_whole(given, "jobs", cores), 1),
        **options,
    )
    text = format_text(scored)
    if given.get("output"):
        _write("output", given["output"], lambda path: write_atomic(path, to_json(scored).encode()))
        text += f"\n\nAll {len(scored.scores)} scores: {given['output']}"
    if given.get("broken"):
        rows = broken_rows(scored.dataset, scored.synthetic)
        _write("broken", given["broken"], lambda path: write_broken(rows, scored.dataset.schema, path))
        text += f"\n\n{len(rows):,} rows that break a rule or dependency: {given['broken']}"
    return text


def _write(key: str, place: str, write: Callable[[Path], object]) -> None:
    try:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        write(Path(place))
    except OSError as error:
        raise TabOrderError(f"cannot write {key}={place} ({error}): choose another place.") from None


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""

    def act(given: Sequence[str]) -> int:
        print(run(given))
        return 0

    return COMMAND.run(act, words)


if __name__ == "__main__":
    sys.exit(main())
