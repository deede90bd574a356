"""``make bench-peers``: run the cases, all or those named, and write ``results/benchmarks/peers.json``.

python -m tests.bench.peers                      # everything: an hour and a half on two cores, most of it training
python -m tests.bench.peers sample/us_location   # the cases of that name, over what is kept; others in the file stay
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.execution.environments import cache_folder
from harness.records.provenance import available_cpus, describe
from tests.bench.peers.cases import Entry, default, same_weights, training
from tests.bench.peers.models import MILLION, Bench, config

OUTPUT = Path(__file__).resolve().parents[3] / "results" / "benchmarks" / "peers.json"

LIBRARY: dict[str, Any] = {
    "layers": MILLION[0],
    "width": MILLION[1],
    "batch_size": 8,
    "sample_batch": 100,
    "max_length": 100,
}
"""be-great with its library's defaults, over a model of a million parameters in place of the documentation's distilgpt2 (82 million). On
adult 100 tokens hold no whole row: there rows may take what they need."""

CASES: dict[str, Callable[[Bench], list[Entry]]] = {
    "sample/us_location": partial(same_weights, name="us_location", by_great=True, target=8.0),
    "sample/us_location_end_learnt": partial(same_weights, name="us_location", target=None, variant="_end_learnt"),
    "sample/us_location_million": partial(
        same_weights, name="us_location", target=None, variant="_million", size=MILLION
    ),
    "sample/adult": partial(same_weights, name="adult", target=5.0),
    "sample/simulated_base5": partial(same_weights, name="simulated_base5", by_great=True, fixed=True, target=100.0),
    "default/us_location": partial(default, name="us_location", peer="great", target=200.0),
    "default/us_location_million": partial(
        default, name="us_location", peer="great", target=200.0, variant="_million", **LIBRARY
    ),
    "default/adult": partial(default, name="adult", peer="great", target=100.0),
    "default/adult_million": partial(
        default, name="adult", peer="great", target=100.0, variant="_million", **{**LIBRARY, "max_length": None}
    ),
    "default/us_location/realtabformer": partial(default, name="us_location", peer="realtabformer", target=5.0),
    "train/us_location": partial(training, name="us_location", rows=6000),
    "train/adult": partial(training, name="adult", rows=3000),
}


def machine() -> str:
    """What the figures were measured on and with."""
    facts = describe()
    pins = [pin for peer in ("great", "realtabformer") for pin in config(peer)["environment"]["requirements"]]
    shown = [pin for pin in pins if pin.split("==")[0].split("[")[0] in ("be-great", "realtabformer", "transformers")]
    ours = ", ".join(f"{name} {facts['packages'][name]}" for name in ("torch", "transformers"))
    return f"{facts['cpu']}, {facts['cpus']} cores, {facts['system']}; Python {facts['python']}, {ours}; peers: {', '.join(shown)}"


def write(entries: Sequence[Entry], output: Path) -> None:
    """Replace the cases of the same name, peer and setting; keep the others."""
    before = json.loads(output.read_text(encoding="utf-8"))["cases"] if output.exists() else []
    cases = {(case["name"], case["peer"], case["setting"]): case for case in [*before, *entries]}
    text = json.dumps(
        {"machine": machine(), "cases": [cases[key] for key in sorted(cases)]}, indent=1, ensure_ascii=False
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n", encoding="utf-8")


def show(entries: Sequence[Entry]) -> None:
    """One line a case."""
    for case in entries:
        target = "" if case["target"] is None else f" (target {case['target']:g})"
        share = (
            ""
            if case["limit_share"] is None
            else f", {case['limit_share']:.0%} of a teacher-forced pass without sharing"
        )
        ratio = "no ratio" if case["ratio"] is None else f"{case['ratio']:.4g} times better"
        label = f"{case['name']:<34} {case['peer']:<13} {case['setting']:<12}"
        print(
            f"{label} ours {case['ours']}, theirs {case['theirs']} {case['unit']}: {ratio}{target}{share}", flush=True
        )


def main(words: Sequence[str] | None = None) -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", help=f"any of: {', '.join(CASES)}")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--train-seconds", type=float, default=600.0, help="of each side, at most, in the default cases"
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, written elsewhere: does everything run?")
    given = parser.parse_args(words)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = cache_folder().parent / ("peers-smoke" if given.smoke else "peers")
    bench = Bench(folder, given.turns, available_cpus(), given.train_seconds, given.smoke)
    output = folder / "peers.json" if given.smoke else OUTPUT
    chosen = given.cases or list(CASES)
    for name in chosen:
        if name not in CASES:
            parser.error(f"unknown case '{name}': the choices are {', '.join(CASES)}")
        print(f"==> {name}", flush=True)
        entries = CASES[name](bench)
        write(entries, output)
        show(entries)


if __name__ == "__main__":
    main()
