"""Bookkeeping of a sweep: every job leaves one small file, and the end of the sweep reads them back."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from harness.cli.display import SweepDisplay, overall
from harness.cli.outcomes import Finished, read_outcomes
from harness.errors import TabOrderError, choices
from harness.records.files import write_atomic
from harness.records.redaction import Redactor

TOTAL_VARIABLE = "TABORDER_SWEEP_TOTAL"
BEGIN_VARIABLE = "TABORDER_SWEEP_BEGIN"
NAME_VARIABLE = "TABORDER_SWEEP_NAME"

NAME_LENGTH = 64
ELSEWHERE = ("hydra", "store.", "output", "cache", "limits", "tracker", "mirror", "sweep")
"""Beginnings of words that say where and how a sweep runs, not what."""


def name_of(words: Sequence[str]) -> str:
    """A name for a sweep that has none, the same whenever and wherever the same command runs: what varies, and a digest of all."""
    kept = sorted(word for word in map(Redactor().text, words) if not word.lstrip("+~").startswith(ELSEWHERE))
    varied = " ".join(word for word in kept if "," in word or "(" in word) or " ".join(kept)
    digest = hashlib.sha256("\n".join(kept).encode()).hexdigest()[:8]
    room = NAME_LENGTH - len(digest) - 1
    return f"{varied if len(varied) <= room else varied[: room - 1] + '…'} {digest}".strip()


def pace(folder: Path) -> str:
    """How far a sweep is once the calling job has ended, e.g. ``3/24 · 2 min 05 s · ETA 14 min 35 s``."""
    done = len(list(folder.glob("outcome-*.json"))) + 1
    begin = float(os.environ.get(BEGIN_VARIABLE, "nan"))
    return overall(done, int(os.environ.get(TOTAL_VARIABLE, done)), time.time() - begin)


DISPLAYS: list[SweepDisplay] = []
"""What draws sweeps on the terminal."""


def stop_displays() -> None:
    """Give the terminal back."""
    while DISPLAYS:
        DISPLAYS.pop().stop()


STARTED: list[Path] = []
"""Folders of the sweeps begun in this process."""

CONFIGS: list[DictConfig] = []
"""Their configurations."""

FINISHED: list[Finished] = []
"""What the callback saw in this process; the command line reads it after Hydra returns."""


class SweepCallback(Callback):
    """Counts the jobs before a sweep and collects their outcomes after it."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check what is wanted at the end, make the number of jobs known to the jobs, and draw them on a terminal."""
        for name in config.get("outputs") or []:
            from harness.experiments import OUTPUTS

            if name not in OUTPUTS:
                raise TabOrderError(choices(name, OUTPUTS, "experiment output"))
        folder = Path(config.hydra.sweep.dir)
        STARTED.append(folder)
        CONFIGS.append(config)
        if "grids" not in config.hydra.sweeper:  # harness.cli.sweeper counts its own
            os.environ[TOTAL_VARIABLE] = str(_count_jobs(config))
        os.environ[BEGIN_VARIABLE] = str(time.time())
        os.environ[NAME_VARIABLE] = name_of(config.hydra.overrides.task)
        if sys.stderr.isatty():
            DISPLAYS.append(SweepDisplay(folder, lambda: int(os.environ.get(TOTAL_VARIABLE, 0))))
            DISPLAYS[-1].start()

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Take secrets that were typed on the command line out of the configuration that Hydra has just written."""
        _redact(Path(config.hydra.sweep.dir) / "multirun.yaml")

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Collect."""
        FINISHED.append(collect(config))


def collect(config: DictConfig) -> Finished:
    """What the jobs of a sweep have left until now."""
    from omegaconf import OmegaConf

    stop_displays()
    folder = Path(config.hydra.sweep.dir)
    task = {key: OmegaConf.select(config, key) for key in ("store.root", "output", "outputs")}
    task["tracker"] = OmegaConf.to_container(config.tracker, resolve=True) if config.get("tracker") else None
    return Finished(read_outcomes(folder), int(os.environ[TOTAL_VARIABLE]), task, folder)


@cache
def _redact(path: Path) -> None:
    with suppress(OSError):
        text = path.read_text(encoding="utf-8")
        clean = Redactor().text(text)
        if clean != text:
            write_atomic(path, clean.encode())


def _count_jobs(config: DictConfig) -> int:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*params, *config.hydra.overrides.task])
    return sum(len(batch) for batch in BasicSweeper.split_arguments(overrides, None))
