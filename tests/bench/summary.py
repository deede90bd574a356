"""``make bench``, last step: what the benchmarks found, from pytest-benchmark's file into ``results/benchmarks/bench.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from harness.records.provenance import describe

OUTPUT = Path(__file__).resolve().parents[2] / "results" / "benchmarks" / "bench.json"


def summary(report: dict[str, Any], machine: str) -> dict[str, Any]:
    """Name, median seconds where a call was timed, and the figures each benchmark noted itself.

    Args:
        report: what ``--benchmark-json`` writes.
        machine: what it ran on.
    """
    cases = []
    for case in sorted(report["benchmarks"], key=lambda one: str(one["fullname"])):
        timed = {} if case["extra_info"] else {"median_seconds": float(f"{case['stats']['median']:.4g}")}
        cases.append({"name": case["fullname"].removeprefix("tests/bench/"), **timed, **case["extra_info"]})
    return {"machine": machine, "cases": cases}


def main() -> None:
    """Replace the cases that were run; keep the others."""
    facts = describe()
    machine = f"{facts['cpu']}, {facts['cpus']} cores, Python {facts['python']}, torch {facts['packages']['torch']}"
    found = summary(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), machine)
    before = json.loads(OUTPUT.read_text(encoding="utf-8"))["cases"] if OUTPUT.exists() else []
    cases = {case["name"]: case for case in [*before, *found["cases"]]}
    text = json.dumps({"machine": machine, "cases": [cases[name] for name in sorted(cases)]}, indent=1)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
