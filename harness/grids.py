"""Experiments as unions of grids: the Hydra sweeper behind ``conf/experiment``.

Hydra's own sweeper runs one Cartesian product. An experiment such as "every generator on every table, and six orders for one of
them" is a union of products: ``hydra.sweeper.grids`` names them, each a mapping from keys to comma-separated values. A grid with a
value of ``null`` is not run at this scale. ``hydra.sweeper.parts`` names other experiments whose jobs are run together, each job
once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins

from harness.errors import TabOrderError
from harness.sweep import TOTAL_VARIABLE

Grids = Mapping[str, Mapping[str, Any]]
Job = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The jobs of a sweep, and which of them each experiment needs.

    Attributes:
        jobs: overrides of each job, by number.
        parts: numbers of the jobs of each experiment; one entry unless experiments are run together.
    """

    jobs: tuple[Job, ...]
    parts: Mapping[str, frozenset[int]]


PLANS: list[Plan] = []
"""Plans of the sweeps begun in this process; the command line reads the last one after Hydra returns."""


def expand(grids: Grids, arguments: Sequence[str] = ()) -> list[Job]:
    """The jobs of a union of grids, each once, in order.

    Args:
        grids: by name: keys and their comma-separated values (Hydra's override grammar). ``null`` values drop the grid.
        arguments: overrides from the command line; they replace the values of the same keys in every grid.

    Raises:
        TabOrderError: when no job is left.
    """
    parser = OverridesParser.create()
    jobs: dict[Job, None] = {}
    for grid in grids.values():
        if any(value is None for value in grid.values()):
            continue
        overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in grid.items()), *arguments])
        for job in BasicSweeper.split_arguments(overrides, None)[0]:
            jobs[tuple(job)] = None
    if not jobs:
        raise TabOrderError(f"no grid of {', '.join(grids) or 'this experiment'} has values at this scale.")
    return list(jobs)


def plan(parts: Mapping[str, Grids], arguments: Sequence[str] = ()) -> Plan:
    """Unite the jobs of several experiments; equal jobs are run once and belong to all of them."""
    numbers: dict[Job, int] = {}
    found = {
        name: frozenset(numbers.setdefault(job, len(numbers)) for job in expand(grids, arguments))
        for name, grids in parts.items()
    }
    return Plan(tuple(numbers), found)


class GridSweeper(BasicSweeper):
    """Runs the union of ``grids``, or of the grids of the experiments named in ``parts``."""

    def __init__(self, grids: Grids | None = None, parts: Sequence[str] = (), max_batch_size: int | None = None) -> None:
        super().__init__(max_batch_size=max_batch_size)
        self.grids, self.parts = _plain(grids), tuple(parts)

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, make the number of jobs known to them, and run them."""
        assert self.config is not None
        if self.parts:
            parts = {name: self._grids_of(name, arguments) for name in self.parts}
        else:
            parts = {str(self.config.sweep): self.grids}
        PLANS.append(plan(parts, arguments))
        os.environ[TOTAL_VARIABLE] = str(len(PLANS[-1].jobs))
        return super().sweep(arguments)

    def split_arguments(  # type: ignore[override]
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """The planned jobs in batches, in place of the product of ``overrides``."""
        jobs = [list(job) for job in PLANS[-1].jobs]
        return [list(batch) for batch in self.split_overrides_to_chunks(jobs, max_batch_size)]

    def _grids_of(self, experiment: str, arguments: Sequence[str]) -> Grids:
        """The grids of another experiment at the scale of this one."""
        from hydra.types import RunMode

        assert self.hydra_context is not None and self.config is not None
        words = [word for word in arguments if word.startswith(("scale=", "scale."))]
        config = self.hydra_context.config_loader.load_configuration(
            self.config.hydra.job.config_name, [*words, f"experiment={experiment}"], RunMode.MULTIRUN
        )
        return _plain(config.hydra.sweeper.grids)


def _plain(grids: Any) -> Grids:
    from omegaconf import DictConfig, OmegaConf

    found: Grids = OmegaConf.to_container(grids, resolve=True) if isinstance(grids, DictConfig) else grids or {}  # type: ignore[assignment]
    return found


def register() -> None:
    """Make the sweeper known to Hydra, which takes plug-ins from the namespace ``hydra_plugins`` only."""
    GridSweeper.__module__ = "hydra_plugins.taborder"
    Plugins.instance().register(GridSweeper)
