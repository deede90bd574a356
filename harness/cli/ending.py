"""What the command line says at its end: one sentence for a mistake; after a sweep, everything one wants to know next."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from harness.cli.mistakes import explain
from harness.cli.signals import interruptible
from harness.commands import MISTAKE, say
from harness.errors import TabOrderError
from harness.records.redaction import Redactor

if TYPE_CHECKING:  # `--help` ends without them
    from harness.cli.outcomes import Finished, JobOutcome
    from harness.records.store import ResultStore

NO_LAUNCHER = "this launcher's package is not installed; hydra/launcher=ray needs hydra-ray-launcher, in an environment of its own (README, Run on a cluster)"

MISTAKES = (TabOrderError, HydraException, OmegaConfBaseException)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
MOST_NAMED = 20
"""Failed cells named one by one; the rest are counted."""


def _launcher_failed(error: Exception) -> int:
    """A launcher that cannot run, or lost a worker: one sentence, and the sweep's end as far as it came."""
    _stop_displays()
    if "Unknown plugin class" in str(error):
        return say(f"{NO_LAUNCHER} ({error}).", MISTAKE)
    sweep = _loaded("harness.cli.callback")
    if not sweep or not sweep.CONFIGS:
        raise error
    traceback.print_exception(error)
    say(
        f"the launcher stopped early ({type(error).__name__}); jobs already submitted may still run. The same command goes on from here.",
        1,
    )
    return max(1, _finish(sweep.collect(sweep.CONFIGS[-1])))


def guarded(task: Callable[[], Any]) -> int:
    """Run Hydra's entry point and return the exit code."""
    try:
        with interruptible():
            task()
    except KeyboardInterrupt as error:
        _stop_displays()
        return _interrupted(getattr(error, "number", signal.SIGINT))
    except MISTAKES as error:
        _stop_displays()
        if sweep := _loaded("harness.cli.callback"):
            from harness.cli import outcomes

            for folder in sweep.STARTED:
                outcomes.discard_if_empty(folder)
        return say(explain(error), MISTAKE)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        if error.errno not in UNWRITABLE:
            return _launcher_failed(error)
        sentence = f"{error.filename} cannot be written ({error.strerror}): give another place with store.root=DIR."
        return say(sentence, MISTAKE)
    except Exception as error:  # of a launcher: what cells do never gets here
        return _launcher_failed(error)
    finally:
        _stop_displays()
    app, sweep = _loaded("harness.cli.job"), _loaded("harness.cli.callback")
    if app and app.MISTAKES:
        return say(explain(app.MISTAKES[-1]), MISTAKE)
    if sweep and sweep.FINISHED:
        return _finish(sweep.FINISHED[-1])
    if app and app.SINGLE:
        return _finish_one(app.SINGLE[-1])
    return 0


def _loaded(name: str) -> ModuleType | None:
    return sys.modules.get(name)


def _interrupted(number: int) -> int:
    counts = ""
    sweep = _loaded("harness.cli.callback")
    if sweep and sweep.STARTED:
        from harness.cli import outcomes

        folder = sweep.STARTED[-1]
        counts = f" after {len(outcomes.read_outcomes(folder))} of {os.environ.get(sweep.TOTAL_VARIABLE, '?')} cells"
        outcomes.discard_if_empty(folder)
    again = Redactor().text(f"python -m harness {shlex.join(sys.argv[1:])}".strip())
    name = signal.Signals(number).name
    sentence = (
        f"interrupted by {name}{counts}; finished cells are kept, and the same command goes on from there: {again}"
    )
    return say(sentence, 128 + number)


def _stop_displays() -> None:
    if sweep := _loaded("harness.cli.callback"):
        sweep.stop_displays()


def _finish_one(outcome: JobOutcome) -> int:
    from harness.records.record import SCORED

    return 0 if outcome.status in SCORED else 1


def _finish(done: Finished) -> int:
    from harness import experiments
    from harness.cli import sweeper as grids
    from harness.cli.conclude import conclude
    from harness.cli.outcomes import numbered_outcomes, summary
    from harness.records.store import ResultStore
    from harness.report.leaderboard_files import write

    invalid = [one for one in done.outcomes if one.status == "invalid"]
    if invalid and len(invalid) == len(done.outcomes):
        return say(f"no cell could run: {invalid[0].error}", MISTAKE)
    store, output = ResultStore(done.config["store.root"]), Path(done.config["output"])
    code = 1 if done.failed else 0
    try:
        if grids.PLANS:
            for said in conclude(grids.PLANS[-1], numbered_outcomes(done.folder), store, output):
                print(said, flush=True)
        else:
            print(write(store, output), flush=True)
        for name in done.config["outputs"] or []:
            print(f"{name}: {experiments.write(name, store, output)}", flush=True)
    except TabOrderError as error:
        code = say(str(error), 1)
    parts = grids.PLANS[-1].parts if grids.PLANS else {}
    folders = [output] if len(parts) < 2 else [output / name for name in parts]
    for folder in folders:
        _track(done, store, folder)
    print("\n".join([*failures(done.outcomes, store), *files(store, folders)]))
    if done.failed:
        print(f"Run the cells without a result again (finished ones are reused):\n  {again(sys.argv[1:])}")
    print(summary(done.outcomes, done.total), flush=True)
    return code


def _track(done: Finished, store: ResultStore, folder: Path) -> None:
    """Mirror a leaderboard where its cells went."""
    from harness.cli.job import tracker_of

    if not (folder / "leaderboard.csv").is_file() or all(one.how == "reused" for one in done.outcomes):
        return  # as with cells: nothing is new
    note = tracker_of(done.config["tracker"]).publish_board(store, folder)
    if note:
        print(note, file=sys.stderr)


def failures(outcomes: Sequence[JobOutcome], store: ResultStore) -> list[str]:
    """Each cell without a result: why, and where its log is."""
    from harness.records.record import SCORED

    lines = []
    lost = [one for one in outcomes if one.status not in SCORED]
    for one in lost[:MOST_NAMED]:
        lines.append(f"{one.label}: {one.status}: {one.error}")
        log = store.runs / one.cell / "log.txt" if one.cell else None
        lines += [f"  log: {log}"] if log and log.is_file() else []
    if len(lost) > MOST_NAMED:
        lines.append(f"and {len(lost) - MOST_NAMED} more without a result: see the report.")
    return lines


def files(store: ResultStore, folders: Sequence[Path]) -> list[str]:
    """Where everything is."""
    found = [
        *(("report", folder / "index.html") for folder in folders),
        *(("tables", folder / "leaderboard.csv") for folder in folders),
        ("records", store.runs),
        ("W&B", store.root / "wandb"),
    ]
    return [f"{name.ljust(8)} {path}" for name, path in found if path.exists()]


def again(words: Sequence[str]) -> str:
    """The command that runs what is missing: the same one, without the wish to redo what is there."""
    kept = [word for word in words if word.partition("=")[0] != "cache"]
    return Redactor().text(f"python -m harness {shlex.join(kept)}".rstrip())
