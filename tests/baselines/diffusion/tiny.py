"""The three generators at sizes that train in a second or a few."""

import hashlib
import importlib
import sys

import numpy as np
import pandas as pd

from harness.table import Column, Schema

CLASSES = {"tabddpm": "TabDDPM", "tabsyn": "TabSyn", "tabdiff": "TabDiff"}
SIZES = {
    "tabddpm": {"layers": [64, 64], "timesteps": 20, "learning_rate": 5e-3},
    "tabsyn": {"width": 32, "hidden": 16, "sample_steps": 10, "vae_share": 0.5, "learning_rate": 1e-2},
    "tabdiff": {"width": 32, "hidden": 16, "sample_steps": 10, "learning_rate": 5e-3},
}


def make(name: str, **changes):
    """A tiny generator; two steps unless said otherwise."""
    module = importlib.import_module(f"baselines.diffusion.{name}")
    return getattr(module, CLASSES[name])(**{"steps": 2, "batch_size": 128, "device": "cpu", **SIZES[name], **changes})


SCHEMA = Schema((Column("a", "categorical"), Column("b", "integer"), Column("c", "float", 1)), "a", "classification")


def rows(count: int = 40) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": pd.Series(random.choice(np.array(["u", "v", None], dtype=object), count), dtype=object),
            "b": pd.array(np.where(random.random(count) < 0.2, None, random.integers(0, 9, count)), dtype="Int64"),
            "c": np.where(random.random(count) < 0.2, np.nan, random.normal(size=count).round(1)),
        }
    )


def fingerprint(name: str, seed: int) -> str:
    """Of a table sampled after five steps."""
    generator = make(name, steps=5)
    generator.fit(rows(), SCHEMA, seed=seed)
    return hashlib.sha256(generator.sample(30, seed=4).frame.to_csv().encode()).hexdigest()


if __name__ == "__main__":
    print(*(fingerprint(name, 3) for name in CLASSES), sep="\n")
    assert "sklearn" in sys.modules
