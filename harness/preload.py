"""Imported once by the fork server, so that each cell's process starts with its libraries in memory."""

import importlib
from contextlib import suppress

# A missing library is reported by the cell that needs it, not here.
for _name in ("numpy", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.ensemble", "torch", "harness.worker"):
    with suppress(ImportError):
        importlib.import_module(_name)
