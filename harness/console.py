"""What the command line says at its end, and how mistakes are worded: one sentence, no traceback."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness import app, sweep
from harness.errors import TabOrderError, choices
from harness.record import SCORED

DESIGN_ERRORS = (HydraException, OmegaConfBaseException)


def guarded(task: Callable[[], Any]) -> int:
    """Run Hydra's entry point and return the exit code."""
    try:
        task()
    except KeyboardInterrupt:
        return _say("interrupted; finished cells are kept, and the same command goes on from there.", 130)
    except TabOrderError as error:
        return _say(str(error), 2)
    except DESIGN_ERRORS as error:
        return _say(explain(error), 2)
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
    output = Path(done.config["output"])
    try:
        print(leaderboard.write(ResultStore(done.config["store.root"]), output), flush=True)
        for name in done.config["outputs"] or []:
            from harness import experiments

            print(experiments.write(name, ResultStore(done.config["store.root"]), output), flush=True)
        print(f"report: {output / 'index.html'}", flush=True)
    except TabOrderError as error:
        print(f"taborder: {error}", file=sys.stderr)
    for one in done.outcomes:
        if one.status not in SCORED:
            print(f"{one.label}: {one.status}: {one.error}")
    print(sweep.summary(done.outcomes, done.total), flush=True)
    return 1 if done.failed else 0


def explain(error: BaseException) -> str:
    """Word an error of the configuration system as one sentence, with the legal choices where they can be found."""
    parts = [str(error)]
    cause = error.__cause__
    if cause is not None and str(cause) not in parts[0]:
        parts.append(str(cause))
    text = " ".join(re.sub(r"\s+", " ", part).strip() for part in parts if part)
    unknown = re.search(r"Key '([^']+)' is not in struct full_key: (\S+)", text)
    if unknown:
        return f"{_unknown_key(unknown[1], unknown[2])} To add a key that the configuration does not have, write +{unknown[2]}=VALUE."
    absent = re.search(
        r"Could not find '(\w[\w/]*)/([^']+)' Available options in '[^']+': (.+?)(?: Config search path|$)", text
    )
    if absent:
        return f"{choices(absent[2], absent[3].split(), absent[1])} Choose one with {absent[1]}=NAME."
    text = re.sub(r" ?(Config search path:|See https?://\S+|Set the environment variable).*$", "", text)
    return text if text.endswith(".") else text + "."


def _unknown_key(key: str, full_key: str) -> str:
    """List the keys that stand beside the unknown one, from the configuration as composed without it."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from harness.__main__ import CONF

    parent = full_key.rpartition(".")[0]
    words = [word for word in sys.argv[1:] if "=" in word and not word.startswith(("-", full_key, "hydra"))]
    try:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", overrides=[word for word in words if "," not in word])
        node = OmegaConf.select(config, parent) if parent else config
        return choices(
            key, [str(name) for name in node if name != "_target_"], f"key of {parent or 'the configuration'}"
        )
    except Exception:  # the sentence must not be lost to a second mistake on the same command line
        return f"unknown key '{full_key}'."
