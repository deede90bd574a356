"""Imported once by the fork server, so that each cell's process starts with its libraries in memory."""

import importlib
import pkgutil
from contextlib import suppress

import harness.metrics

LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.ensemble",
    "sklearn.utils._openmp_helpers",
    "torch",
    "pyarrow.dataset",
    "sdmetrics",
)
OURS = (
    "harness.execution.stages",
    "harness.metrics.evaluate",
    *(f"harness.metrics.{m.name}" for m in pkgutil.iter_modules(harness.metrics.__path__)),
)

# A missing library is reported by the cell that needs it, not here.
for _name in (*LIBRARIES, *OURS):
    with suppress(ImportError):
        importlib.import_module(_name)
