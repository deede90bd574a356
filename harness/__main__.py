"""``python -m harness``: compose a configuration with Hydra, run it, report.

Exit code 0: all cells have results; 1: some failed; 2: a mistake in the command or the data; 130: interrupted.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

# hydra/launcher/*.yaml stand where the plug-ins have configurations of the same names; Hydra remarks on it every time.
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against", category=UserWarning)


def task(config: DictConfig) -> None:
    """One job; what it needs is imported here, so that ``--help`` does not wait for it."""
    from harness.cli.job import run

    run(config)


def main() -> int:
    """The command line; returns its exit code."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises, and errors are worded here
    os.environ["TABORDER_RUN_ID"] = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    import hydra

    from harness.__main__ import task  # by its importable name: workers of a sweep receive it
    from harness.cli import command, mistakes, sweeper
    from harness.cli.session import Session

    run = hydra.main(version_base="1.3", config_path=str(mistakes.CONF), config_name="config")(task)

    def launch() -> None:
        sweeper.register()
        sys.argv[1:] = mistakes.checked(sys.argv[1:] or ["--help"])
        run()

    return command.main(Session(words=tuple(sys.argv[1:])), launch)


if __name__ == "__main__":
    sys.exit(main())
