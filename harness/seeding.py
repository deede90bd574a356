"""Seeds derived by hashing named ingredients, so that equal names give equal numbers in every process."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def derive_seed(base: int, *purpose: str | int) -> int:
    """Derive a seed in [0, 2**31) from a base seed and the names of what it is for.

    Names are joined by a separator that keeps ``("a", "bc")`` and ``("ab", "c")`` apart. The result does not depend on
    ``PYTHONHASHSEED``, the platform or the process.
    """
    text = "\x1f".join([str(base), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % (2**31)


def rng(base: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator seeded with :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(base, *purpose))


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed ``random``, ``numpy.random`` and torch for a library that reads only global state; restore them afterwards."""
    torch = sys.modules.get("torch")
    before = random.getstate(), np.random.get_state(), torch.get_rng_state() if torch else None  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    if torch:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        if torch:
            torch.set_rng_state(before[2])
