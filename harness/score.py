"""Score a table made elsewhere: ``python -m harness.score train=a.csv test=b.csv synthetic=c.csv output=score.json``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.commands import Command
from harness.errors import TabOrderError
from harness.record import Score, finite
from harness.scoring import Scored, Table, load_metrics, load_rules, score_tables
from harness.store import write_atomic

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
        "missing=CELL,CELL": "cells that stand for a missing value, beside the empty cell, e.g. missing=NA,?",
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


DETAILS = ("_by_value.", "_by_key.", "_by_column.", "_by_category.")


def headlines(scores: Sequence[Score]) -> list[Score]:
    """Scores without those that detail another one (by column, dependency, rule, category)."""
    names = {score.metric for score in scores}

    def detail(name: str) -> bool:
        parts = name.split(".")
        return any(".".join(parts[:n]) in names for n in range(1, len(parts))) or any(d in name for d in DETAILS)

    return [score for score in scores if not detail(score.metric)]


def format_table(scores: Sequence[Score]) -> str:
    """Headline scores as text: value, anchors and direction, one line each; reasons for missing values below."""
    rows = headlines(scores)
    width = max(len(score.metric) for score in rows)
    lines = [f"{'score'.ljust(width)} {'value':>10} {'real':>10} {'floor':>10}  better"]
    for score in rows:
        cells = " ".join(_number(x).rjust(10) for x in (score.value, score.real, score.floor))
        lines.append(f"{score.metric.ljust(width)} {cells}  {'higher' if score.goal == 'max' else 'lower'}")
    lines += [f"{score.metric}: {score.error}" for score in rows if score.value is None]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.6g}"


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
    given = COMMAND.parse(words)
    options: dict[str, Any] = load_rules(given["rules"]) if given.get("rules") else {}
    options |= {key: given[key] for key in ("target", "task", "condition", "anchors") if given.get(key)}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    scored = score_tables(
        given["train"],
        given["test"],
        given["synthetic"],
        metrics=load_metrics(given.get("evaluation") or "default"),
        missing=[cell for cell in given.get("missing", "").split(",") if cell],
        seed=_whole(given, "seed", 0),
        jobs=max(_whole(given, "jobs", cores), 1),
        **options,
    )
    text = format_table(scored.scores)
    fds = ", ".join(map(str, scored.dataset.fds)) or "none"
    text += f"\nDependencies {'used' if 'fds' in options else 'found and used'}: {fds}."
    if given.get("output"):
        try:
            write_atomic(Path(given["output"]), to_json(scored).encode())
        except OSError as error:
            raise TabOrderError(f"cannot write output={given['output']} ({error}): choose another place.") from None
        text += f"\nAll {len(scored.scores)} scores: {given['output']}"
    return text


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""

    def act(given: Sequence[str]) -> int:
        print(run(given))
        return 0

    return COMMAND.run(act, words)


if __name__ == "__main__":
    sys.exit(main())
