"""A public command, started as a person would, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def harness(*words: str, cwd: Path, module: str = "harness", **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {key: value for key, value in os.environ.items() if key != "TABORDER_MIRROR"}
    settings |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{cwd}", "TABORDER_CACHE": str(cwd / "cache"), **environment}
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, timeout=300)


QUICK = ("tracker=none", "evaluation=quick", "dataset=simulated_base1", "dataset.max_train_rows=200")
