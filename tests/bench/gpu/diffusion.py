"""``make bench-gpu-diffusion``: TabSyn, TabDDPM and TabDiff on adult as TabSyn splits it; writes ``results/benchmarks/diffusion.json``.

python -m tests.bench.gpu.diffusion                        # within nine minutes of one H100
python -m tests.bench.gpu.diffusion --device cpu --smoke   # tiny sizes, written elsewhere: does everything run?

The generators train under ``preset=budget`` and a limit of seconds each; which of its steps that allowed is in the file. The bands are
those of the papers' code trained to the end (five trainings each in april-tools/tabpc: mean less two to three deviations); they are
printed met or not. Shape, Trend and C2ST compare with the training rows, as TabSyn's evaluation does; the detector is our
gradient boosting in the place of XGBoost.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from harness.datasets import Dataset, load
from harness.execution.environments import cache_folder
from harness.generator import Context
from harness.metrics.base import EvalInput
from harness.metrics.detection import C2ST
from harness.metrics.distribution import ColumnShapes, PairTrends
from harness.table import conform

OUTPUT = Path(__file__).resolve().parents[3] / "results" / "benchmarks" / "diffusion.json"
ROWS = 32_561
"""Of UCI's training file, which TabSyn trains on; our split cuts it in two."""


@dataclass(frozen=True)
class Case:
    """A generator with its limit.

    Attributes:
        name: its configuration's.
        target: module and class.
        seconds: of training on an H100, its part of the nine minutes.
        bands: least Shape, Trend and C2ST that published trainings reach; empty where none are published.
    """

    name: str
    target: tuple[str, str]
    seconds: float
    bands: Mapping[str, float]


CASES = (
    Case("tabsyn", ("tabsyn", "TabSyn"), 130.0, {"shape": 0.990, "trend": 0.974, "c2st": 0.73}),
    Case("tabdiff", ("tabdiff", "TabDiff"), 210.0, {"shape": 0.991, "trend": 0.982, "c2st": 0.82}),
    Case("tabddpm", ("tabddpm", "TabDDPM"), 60.0, {}),
)


def tabsyn_rows(dataset: Dataset) -> pd.DataFrame:
    """UCI's training file again: both our parts, with ``?`` as a category, as TabSyn reads it."""
    rows = pd.concat([dataset.train, dataset.test], ignore_index=True)
    return rows.fillna(dict.fromkeys(dataset.schema.categorical, "?"))


def scores(rows: pd.DataFrame, synthetic: pd.DataFrame, dataset: Dataset) -> dict[str, float]:
    """Shape, Trend, C2ST and the detector's AUC against the training rows."""
    data = EvalInput(rows, rows, synthetic, dataset.schema, dataset, seed=0)
    found = {value.name: value.value for metric in (ColumnShapes(), PairTrends(), C2ST()) for value in metric(data)}
    names = {"shape": "distribution.column_shapes", "trend": "distribution.pair_trends", "c2st": "detection.c2st"}
    return {short: float(found[name]) for short, name in names.items()}


def measure(
    case: Case, rows: pd.DataFrame, dataset: Dataset, folder: Path, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Train, sample as many rows, score; the bands beside the scores."""
    module, name = case.target
    generator = getattr(import_module(f"baselines.diffusion.{module}"), name)(**options)
    generator.bind(Context(folder / case.name, 1, lambda *_, **__: None))
    clocks = [time.monotonic()]
    generator.fit(rows, dataset.schema, seed=0)
    clocks.append(time.monotonic())
    drawn = generator.sample(len(rows), seed=1).frame
    clocks.append(time.monotonic())
    found = scores(rows, conform(drawn, dataset.schema)[0], dataset)
    facts = {key: value for key, value in generator.describe().items() if "curve" not in key}
    return {
        "generator": case.name,
        "scores": {key: round(value, 4) for key, value in found.items()},
        "bands": dict(case.bands),
        "met": {key: found[key] >= least for key, least in case.bands.items()},
        "rows": len(rows),
        "train_seconds": round(clocks[1] - clocks[0], 1),
        "sample_seconds": round(clocks[2] - clocks[1], 1),
        "options": dict(options),
        "facts": facts,
    }


def machine(device: str) -> str:
    """What was measured on and with."""
    card = torch.cuda.get_device_name() if device == "cuda" else "no GPU"
    return f"{card}; Python {platform.python_version()}, torch {version('torch')}"


def main(words: Sequence[str] | None = None) -> None:
    """Run the three in turn; the file is written after each."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu.diffusion", description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args(words)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU: --device cpu --smoke shows that everything runs, and measures nothing.")
    dataset = load("adult", max_train_rows=300 if given.smoke else None)
    rows = dataset.train if given.smoke else tabsyn_rows(dataset)
    if not given.smoke and len(rows) != ROWS:
        parser.error(f"adult's two parts have {len(rows):,} rows, not the {ROWS:,} of UCI's training file.")
    output = cache_folder().parent / "diffusion-smoke.json" if given.smoke and given.output == OUTPUT else given.output
    folder = cache_folder().parent / f"diffusion-{int(time.time())}"  # no checkpoint of an earlier run is taken up
    torch.set_float32_matmul_precision("high")  # TF32 on a GPU; nothing on a CPU
    found: list[dict[str, Any]] = []
    for case in CASES:
        options: dict[str, Any] = {"preset": "budget", "device": given.device, "max_train_seconds": case.seconds}
        if given.smoke:
            options = {"preset": "small", "device": given.device, "steps": 40}
        found.append(measure(case, rows, dataset, folder, options))
        print(json.dumps({key: found[-1][key] for key in ("generator", "scores", "met", "train_seconds")}), flush=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"machine": machine(given.device), "cases": found}, indent=1, ensure_ascii=False)
        output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
