"""Experiments as unions of grids: the Hydra sweeper behind ``conf/experiment``.

Hydra's own sweeper runs one Cartesian product. An experiment such as "every generator on every table, and six orders for one of
them" is a union of products: ``hydra.sweeper.grids`` names them, each a mapping from keys to comma-separated values. A grid with a
value of ``null`` is not run at this scale. ``hydra.sweeper.parts`` names other experiments whose jobs are run together, each job
once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from harness.cli.outcomes import Job, Plan
from harness.cli.session import TOTAL_VARIABLE, VARIES_VARIABLE, current, varying
from harness.errors import TabOrderError

Grids = Mapping[str, Mapping[str, object]]

NAMESPACE = "hydra_plugins.taborder"


def expand(grids: Grids, arguments: Sequence[str] = ()) -> list[Job]:
    """The jobs of a union of grids, each once, in order.

    Args:
        grids: by name: keys and their comma-separated values (Hydra's override grammar). ``null`` values drop the grid.
        arguments: overrides from the command line; they replace the values of the same keys in every grid.

    Raises:
        TabOrderError: when no job is left.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    parser = OverridesParser.create()
    jobs: dict[Job, Job] = {}
    for grid in grids.values():
        if any(value is None for value in grid.values()):
            continue
        overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in grid.items()), *arguments])
        for job in BasicSweeper.split_arguments(overrides, None)[0]:
            jobs.setdefault(_identity(job), tuple(job))
    if not jobs:
        raise TabOrderError(f"no grid of {', '.join(grids) or 'this experiment'} has values at this scale.")
    return list(jobs.values())


def plan(parts: Mapping[str, Grids], arguments: Sequence[str] = ()) -> Plan:
    """Unite the jobs of several experiments; equal jobs are run once and belong to all of them."""
    jobs: dict[Job, Job] = {}
    wanted = {name: expand(grids, arguments) for name, grids in parts.items()}
    for found in wanted.values():
        for job in found:
            jobs.setdefault(_identity(job), job)
    numbers = {identity: number for number, identity in enumerate(jobs)}
    parts_of = {name: frozenset(numbers[_identity(job)] for job in found) for name, found in wanted.items()}
    return Plan(tuple(jobs.values()), parts_of)


def _identity(job: Sequence[str]) -> Job:
    """Overrides in whatever order mean the same, for no key occurs twice."""
    return tuple(sorted(job))


class GridSweeper(Sweeper):
    """Runs the union of ``grids``, or of the grids of the experiments named in ``parts``."""

    def __init__(self, grids: Grids | None = None, parts: Sequence[str] = ()) -> None:
        self.grids, self.parts = _plain(grids), tuple(parts)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the jobs are launched with."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> list[list[object]]:
        """Plan the jobs and run them."""
        assert self.config is not None
        assert self.launcher is not None
        if self.parts:
            parts = {name: self._grids_of(name, arguments) for name in self.parts}
        else:
            parts = {str(self.config.hydra.runtime.choices.experiment): self.grids}
        made = plan(parts, arguments)
        current().plan = made
        os.environ[TOTAL_VARIABLE] = str(len(made.jobs))
        os.environ[VARIES_VARIABLE] = varying(made.jobs)
        self.validate_batch_is_legal(made.jobs)
        done = self.launcher.launch(made.jobs, initial_job_idx=0)
        return [[one.return_value for one in done]]  # raises what a job raised

    def _grids_of(self, experiment: str, arguments: Sequence[str]) -> Grids:
        """The grids of another experiment at the scale of this one."""
        assert self.hydra_context is not None
        assert self.config is not None
        words = [word for word in arguments if word.startswith(("scale=", "scale."))]
        config = self.hydra_context.config_loader.load_configuration(
            self.config.hydra.job.config_name, [*words, f"experiment={experiment}"], RunMode.MULTIRUN
        )
        return _plain(config.hydra.sweeper.grids)


def _plain(grids: DictConfig | Grids | None) -> Grids:
    found: Grids = OmegaConf.to_container(grids, resolve=True) if isinstance(grids, DictConfig) else grids or {}  # type: ignore[assignment]
    return found


def register() -> None:
    """Make the sweeper known to Hydra, which takes plug-ins from the namespace ``hydra_plugins`` only."""
    sys.modules[NAMESPACE] = sys.modules[__name__]
    Plugins.instance().class_name_to_class[f"{NAMESPACE}.{GridSweeper.__name__}"] = GridSweeper
