"""The command line from its first word to its exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from harness.cli import ending
from harness.cli.mistakes import explain
from harness.cli.session import Session
from harness.cli.signals import interruptible
from harness.commands import MISTAKE, say
from harness.errors import TabOrderError

MISTAKES = (TabOrderError, HydraException, OmegaConfBaseException)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
NO_LAUNCHER = (
    "this launcher's package is not installed; hydra/launcher=ray needs hydra-ray-launcher, in an environment of its own "
    "(docs/guides/cluster.md)"
)


def main(session: Session, launch: Callable[[], None]) -> int:
    """Launch what the words ask for, and conclude it.

    Args:
        session: receives what happens.
        launch: Hydra's entry point: composes the configuration and runs its cell or sweep.

    Returns:
        The exit code: 0 all cells have results, 1 some failed, 2 a mistake, 128 + the signal that interrupted it.
    """
    try:
        with session.active(), interruptible():
            launch()
        session.stop_display()
        return ending.conclude_session(session)
    except KeyboardInterrupt as error:
        session.stop_display()
        return ending.interrupted(session, getattr(error, "number", signal.SIGINT))
    except MISTAKES as error:
        session.stop_display()
        ending.discard_empty(session)
        return say(explain(error), MISTAKE)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # of a launcher or a disk: what cells do never gets here
        session.stop_display()
        return _failed(session, error)
    finally:
        session.stop_display()


def _failed(session: Session, error: Exception) -> int:
    """A disk that cannot be written, a launcher that cannot run or lost a worker: one sentence, and the sweep's end as far as it came."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        place = f"{error.filename} cannot be written ({error.strerror})"
        return say(f"{place}: give another place with store.root=DIR.", MISTAKE)
    if "Unknown plugin class" in str(error):
        return say(f"{NO_LAUNCHER} ({error}).", MISTAKE)
    if session.config is None:
        raise error
    traceback.print_exception(error)
    say(
        f"the launcher stopped early ({type(error).__name__}); jobs already submitted may still run. "
        "The same command goes on from here.",
        1,
    )
    from harness.cli.callback import collect

    session.finished = collect(session.config)
    return max(1, ending.conclude_session(session))
