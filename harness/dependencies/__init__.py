"""Functional dependencies: what one is, how they are found, how a table keeps or breaks them.

Importing this package is light; mining's search and desbordante are imported by :func:`mine` alone.
"""

from harness.dependencies.codes import Codes, Encoder, count_pairs, encode_column, g3_error, join, modes
from harness.dependencies.mining import mine
from harness.dependencies.values import (
    Backend,
    FDViolation,
    FunctionalDependency,
    IntArray,
    Mask,
    MiningOptions,
    MiningResult,
)
from harness.dependencies.violations import any_violation, violations

__all__ = [
    "Backend",
    "Codes",
    "Encoder",
    "FDViolation",
    "FunctionalDependency",
    "IntArray",
    "Mask",
    "MiningOptions",
    "MiningResult",
    "any_violation",
    "count_pairs",
    "encode_column",
    "g3_error",
    "join",
    "mine",
    "modes",
    "violations",
]
