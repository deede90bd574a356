"""Complete discovery of functional dependencies by desbordante's HyFD, an optional extra, in a process of its own.

The library is AGPL-3.0-only, so the project neither requires nor links it: this module runs itself as a program, which also
lets a search that does not end be stopped. Codes go in as a numpy array on standard input, dependencies come out as JSON.
"""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from typing import Any

import numpy as np

from harness.errors import TabOrderError


def available() -> bool:
    """Whether desbordante is installed."""
    return importlib.util.find_spec("desbordante") is not None


def discover(codes: np.ndarray[Any, Any], *, max_lhs: int, seconds: float) -> list[tuple[tuple[int, ...], int]]:
    """All minimal exact dependencies with at most ``max_lhs`` columns on the left, as column numbers.

    Args:
        codes: rows × columns of integers, equal exactly where cells are equal.
        max_lhs: most columns on a left side. Wide tables need a bound: without one, 60 columns may not end in minutes.
        seconds: the process is killed after this time.

    Returns:
        ``(left, right)`` pairs; constants have an empty left side.

    Raises:
        TabOrderError: when desbordante is not installed, or fails.
        TimeoutError: when the time is over.
    """
    if not available():
        raise TabOrderError(
            "complete discovery (HyFD) needs desbordante, which is not installed: run pip install 'taborder[hyfd]', "
            "or use the numpy backend (left sides of at most 2 columns)."
        )
    stream = io.BytesIO()
    np.save(stream, codes, allow_pickle=False)
    command = [sys.executable, "-m", "harness.dependencies.hyfd", str(max_lhs)]
    try:
        done = subprocess.run(command, input=stream.getvalue(), capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"HyFD did not end within {seconds:g} s") from None
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise TabOrderError(f"desbordante's HyFD ended with exit code {done.returncode}: {last}.")
    return [(tuple(lhs), rhs) for lhs, rhs in json.loads(done.stdout)]


def _main() -> None:
    import desbordante
    import pandas as pd

    codes = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    algorithm = desbordante.fd.algorithms.HyFD()
    algorithm.load_data(table=pd.DataFrame(codes.astype(str), columns=[str(i) for i in range(codes.shape[1])]))
    algorithm.execute(max_lhs=int(sys.argv[1]))
    found = [(sorted(fd.lhs_indices), fd.rhs_index) for fd in algorithm.get_fds()]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main()
