"""TabOrder: a benchmarking harness for synthetic tabular data generators.

From Python, what a person needs is here, and is loaded when first used::

    import harness

    scores = harness.evaluate(train, test, synthetic, target="y")
    record = harness.run(dataset="simulated_base5", generator="ctgan", seed=0)
    standings = harness.leaderboard("results")
    rows = harness.make_generator("ctgan", epochs=10).fit(train).sample(100)

:mod:`harness.api` documents each.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness.version import VERSION as __version__

if TYPE_CHECKING:
    from harness.api import HandGenerator, Scores, evaluate, infer_schema, make_dataset, make_generator, run

__all__ = [
    "HandGenerator",
    "Scores",
    "__version__",
    "evaluate",
    "infer_schema",
    "leaderboard",
    "make_dataset",
    "make_generator",
    "run",
]


def __getattr__(name: str) -> Any:
    if name == "leaderboard":  # a module that can be called: harness/leaderboard.py
        return importlib.import_module("harness.leaderboard")
    if name in __all__:
        return getattr(importlib.import_module("harness.api"), name)
    raise AttributeError(f"module 'harness' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
