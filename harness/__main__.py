"""``python -m harness``: compose a configuration with Hydra, run it, report. Exit code 0: all cells have results; 1: some failed; 2: a mistake in the command or the data; 130: interrupted."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

CONF = Path(__file__).resolve().parents[1] / "conf"


def main() -> int:
    """The command line."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises, and errors are worded here
    os.environ["TABORDER_RUN_ID"] = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    import hydra

    from harness import console
    from harness.app import run

    task = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(run)
    return console.guarded(task)


if __name__ == "__main__":
    sys.exit(main())
