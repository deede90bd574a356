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
from typing import cast

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from harness.cli.display import SweepDisplay, overall
from harness.cli.outcomes import Finished, read_outcomes
from harness.cli.resources import share_of
from harness.cli.session import TOTAL_VARIABLE, VARIES_VARIABLE, current, total_cells, varying
from harness.errors import TabOrderError, choices
from harness.execution.messages import Json
from harness.records.files import write_atomic
from harness.records.redaction import Redactor

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


class SweepCallback(Callback):
    """Counts the jobs before a sweep and collects their outcomes after it."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Check what is wanted at the end, make the number of jobs known to the jobs, and draw them on a terminal."""
        for name in config.get("outputs") or []:
            from harness.experiments import OUTPUTS

            if name not in OUTPUTS:
                raise TabOrderError(choices(name, OUTPUTS, "experiment output"))
        session, folder = current(), Path(config.hydra.sweep.dir)
        session.folder, session.config = folder, config
        if "grids" not in config.hydra.sweeper:  # harness.cli.sweeper counts its own
            jobs = _jobs(config)
            os.environ[TOTAL_VARIABLE] = str(len(jobs))
            os.environ[VARIES_VARIABLE] = varying(jobs)
        os.environ[BEGIN_VARIABLE] = str(time.time())
        os.environ[NAME_VARIABLE] = name_of(config.hydra.overrides.task)
        if sys.stderr.isatty():
            session.display = SweepDisplay(folder, lambda: total_cells() or 0)
            session.display.start()

    def on_job_start(self, config: DictConfig, **_: object) -> None:
        """Take secrets that were typed on the command line out of the configuration that Hydra has just written."""
        _redact(Path(config.hydra.sweep.dir) / "multirun.yaml")

    def on_multirun_end(self, config: DictConfig, **_: object) -> None:
        """Collect."""
        current().stop_display()
        current().finished = collect(config)


def collect(config: DictConfig) -> Finished:
    """What the jobs of a sweep have left until now."""
    folder = Path(config.hydra.sweep.dir)
    tracker = OmegaConf.to_container(config.tracker, resolve=True) if config.get("tracker") else None
    return Finished(
        outcomes=read_outcomes(folder),
        total=total_cells() or 0,
        folder=folder,
        store=Path(config.store.root),
        output=Path(config.output),
        outputs=tuple(config.get("outputs") or ()),
        dry_run=bool(config.get("dry_run")),
        workers=share_of(cast(Json, config.hydra.launcher)).workers,
        tracker=cast(Json, tracker) if isinstance(tracker, dict) else None,
    )


@cache
def _redact(path: Path) -> None:
    with suppress(OSError):
        text = path.read_text(encoding="utf-8")
        clean = Redactor().text(text)
        if clean != text:
            write_atomic(path, clean.encode())


def _jobs(config: DictConfig) -> list[list[str]]:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*params, *config.hydra.overrides.task])
    return [job for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]
