"""Spread of every score over evaluation seeds, as results/README.md tables it: ``python -m tests.bench.spread us_location``."""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np
import pandas as pd

from harness.datasets import load
from harness.metrics.encoding import resample_columns
from harness.metrics.evaluate import evaluate
from harness.metrics.external import load_metrics

SEEDS = range(10)


def main(name: str) -> None:
    """Print standard deviations of value, real and floor: three quarters of train as they are, a last quarter resampled."""
    dataset = load(name)
    train = dataset.train
    cut = 3 * len(train) // 4
    resampled = resample_columns(train.iloc[cut:], len(train) - cut, np.random.default_rng(0))
    synthetic = pd.concat([train.iloc[:cut], resampled], ignore_index=True).astype(train.dtypes)
    found = defaultdict(list)
    for seed in SEEDS:
        for score in evaluate(dataset, synthetic, metrics=load_metrics("default"), seed=seed):
            found[score.metric].append([np.nan if x is None else x for x in (score.value, score.real, score.floor)])
        print(f"seed {seed} of {len(SEEDS)}", file=sys.stderr, flush=True)
    for metric, rows in found.items():
        print(metric, *np.std(np.array(rows, float), axis=0, ddof=1).round(4))


if __name__ == "__main__":
    main(sys.argv[1])
