"""What the command line says at its end, and how mistakes are worded: one sentence, no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from harness import app, grids, sweep
from harness.errors import TabOrderError
from harness.explain import explain
from harness.record import SCORED

MISTAKES = (TabOrderError, HydraException, OmegaConfBaseException)


def guarded(task: Callable[[], Any]) -> int:
    """Run Hydra's entry point and return the exit code."""
    try:
        task()
    except KeyboardInterrupt:
        return _say("interrupted; finished cells are kept, and the same command goes on from there.", 130)
    except MISTAKES as error:
        for folder in sweep.STARTED:
            sweep.discard_if_empty(folder)
        return _say(explain(error), 2)
    if app.MISTAKES:
        return _say(explain(app.MISTAKES[-1]), 2)
    if sweep.FINISHED:
        return _finish(sweep.FINISHED[-1])
    if app.SINGLE:
        return 0 if app.SINGLE[-1].status in SCORED else 1
    return 0


def _say(sentence: str, code: int) -> int:
    print(f"taborder: {sentence}", file=sys.stderr, flush=True)
    return code


def _finish(done: sweep.Finished) -> int:
    from harness import leaderboard
    from harness.store import ResultStore

    invalid = [one for one in done.outcomes if one.status == "invalid"]
    if invalid and len(invalid) == len(done.outcomes):
        return _say(f"no cell could run: {invalid[0].error}", 2)
    store, output = ResultStore(done.config["store.root"]), Path(done.config["output"])
    try:
        if grids.PLANS:
            from harness.experiments import conclude

            for said in conclude(grids.PLANS[-1], sweep.numbered_outcomes(done.folder), store, output):
                print(said, flush=True)
        else:
            print(leaderboard.write(store, output), flush=True)
        for name in done.config["outputs"] or []:
            from harness import experiments

            print(f"{name}: {experiments.write(name, store, output)}", flush=True)
    except TabOrderError as error:
        print(f"taborder: {error}", file=sys.stderr)
    for one in done.outcomes:
        if one.status not in SCORED:
            print(f"{one.label}: {one.status}: {one.error}")
    print(sweep.summary(done.outcomes, done.total), flush=True)
    return 1 if done.failed else 0
