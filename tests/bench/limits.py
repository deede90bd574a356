"""What a generator takes as tables grow: ``python -m tests.bench.limits sequential_trees mixture generator.repair=fd``.

Words with ``=`` are overrides for all generators named. Each case runs in a process of its own on one thread; seconds are
those of the processor, so that other work on the machine counts less. Results are merged into
``results/benchmarks/limits.json`` and printed as a table of Markdown.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.table import Column, Schema, conform

OUTPUT = Path(__file__).resolve().parents[2] / "results" / "benchmarks" / "limits.json"
TIMEOUT = int(os.environ.get("LIMITS_TIMEOUT", "300"))
SLOW = 60
"""Processor seconds to fit and sample above which a case is called slow."""


@dataclass(frozen=True)
class Case:
    """A made table: half its columns categories, half numbers, all tied to three hidden numbers, a tenth missing in one."""

    rows: int
    columns: int
    categories: int


CASES = (
    *(Case(rows, 10, 10) for rows in (1_000, 8_000, 26_000)),
    *(Case(8_000, columns, 10) for columns in (50, 200)),
    *(Case(26_000, 10, categories) for categories in (1_000, 10_000)),
)


def made(case: Case) -> tuple[pd.DataFrame, Schema]:
    """The table of a case; the second column follows from the first, so that there is a dependency."""
    random = np.random.default_rng(0)
    hidden = random.normal(size=(case.rows, 3))
    frame, columns = {}, []
    for number in range(case.columns):
        values = hidden @ random.normal(size=3) + 0.5 * random.normal(size=case.rows)
        if number % 2:
            frame[f"x{number}"] = np.round(values, 3)
            columns.append(Column(f"x{number}", "float", 3))
        else:
            place = np.argsort(np.argsort(values)) * case.categories // case.rows
            frame[f"c{number}"] = np.array([f"v{i}" for i in range(case.categories)], dtype=object)[place]
            columns.append(Column(f"c{number}", "categorical"))
    first = frame["c0"]
    frame["x1"] = np.array([float(str(value)[1:]) // 3 for value in first])
    frame["x3"] = np.where(random.random(case.rows) < 0.1, np.nan, frame["x3"])
    schema = Schema(tuple(columns))
    return conform(pd.DataFrame(frame), schema)[0], schema


def run(words: list[str], case: Case) -> dict[str, object]:
    """Fit and sample in this process."""
    from harness.api import _generator_spec
    from harness.generator import Context, Incompatible
    from harness.targets import build

    name, given = words[0], dict(word.removeprefix("generator.").split("=", 1) for word in words[1:])
    arguments = {key: json.loads(value) if value[0] in "0123456789[{" else value for key, value in given.items()}
    frame, schema = made(case)
    generator = build(_generator_spec(name, arguments))
    if hasattr(generator, "bind"):
        generator.bind(Context(Path(tempfile.mkdtemp()), 1, lambda *_, **__: None))
    before = _seconds()
    try:
        generator.fit(frame, schema, seed=0)
    except Incompatible as error:
        return {"verdict": "refuses", "reason": str(error)}
    fitted = _seconds()
    generator.sample(case.rows, seed=0)
    seconds = {"fit_seconds": round(fitted - before, 1), "sample_seconds": round(_seconds() - fitted, 1)}
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    verdict = "slow" if _seconds() - before > SLOW else "fine"
    return {"verdict": verdict, **seconds, "peak_gib": peak}


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(words: list[str], case: Case) -> dict[str, object]:
    """The same in a process of its own, which may take :data:`TIMEOUT` seconds."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "tests.bench.limits", "--case", json.dumps(asdict(case)), *words]
    try:
        done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return {"verdict": "slow", "reason": f"not done after {TIMEOUT} seconds"}
    if done.returncode:
        return {"verdict": "fails", "reason": done.stderr.strip().splitlines()[-1][:300]}
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(words: list[str]) -> None:
    """Measure, keep and print."""
    overrides = [word for word in words if "=" in word]
    known = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    for name in (word for word in words if "=" not in word):
        label = " ".join([name, *overrides])
        known[label] = []
        for case in CASES:
            found = {**asdict(case), **measured([name, *overrides], case)}
            print(label, found, f"load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
            known[label].append(found)
        OUTPUT.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    print(table(known))


def table(known: dict[str, list[dict[str, object]]]) -> str:
    """Markdown: a row per generator, a column per case; fit + sample seconds of one core, peak GiB."""
    heads = [f"{case.rows:,} × {case.columns}, {case.categories:,} cat." for case in CASES]
    lines = [f"| generator | {' | '.join(heads)} |", f"|{'---|' * (len(heads) + 1)}"]
    for label, cases in sorted(known.items()):
        cells = [
            f"{one['verdict']}: {one['fit_seconds']} + {one['sample_seconds']} s, {one['peak_gib']} GiB"
            if "peak_gib" in one
            else f"{one['verdict']}: {one['reason']}"
            for one in cases
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] == ["--case"]:
        print(json.dumps(run(given[2:], Case(**json.loads(given[1])))))
    else:
        main(given)
