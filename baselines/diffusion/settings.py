"""Presets and options. A preset is a budget with its model size, named in every record, so that no two budgets share one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from harness.errors import TabOrderError, choices

Preset = Literal["reference", "budget", "small"]
PRESETS: tuple[str, ...] = get_args(Preset)
"""``reference``: the paper's (or its code's) constants, for a GPU. ``budget``: 30,000 steps of 4,096 rows for every diffusion model,
as CDTD compares them (arXiv 2312.10431). ``small``: narrower and shorter, minutes on one CPU core."""

Device = Literal["auto", "cpu", "cuda"]
Schedule = Literal["plateau", "linear"]

COMMON: Mapping[str, Mapping[str, Any]] = {
    "reference": {"ema": None, "weight_decay": 0.0, "schedule": "plateau"},
    "budget": {
        "steps": 30_000,
        "batch_size": 4096,
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "schedule": "linear",
        "ema": 0.999,
    },
    "small": {"batch_size": 512, "learning_rate": 2e-3, "weight_decay": 0.0, "schedule": "linear", "ema": 0.995},
}
"""What the three share in a preset; each class adds its own. ``small`` has a higher rate and a shorter average, as it has fewer steps."""


@dataclass(frozen=True)
class Training:
    """How one model is trained.

    Attributes:
        steps: of the optimizer; ``None`` when ``epochs`` counts.
        epochs: passes over the training rows; ``None`` when ``steps`` counts.
        max_seconds: wall-clock limit; what follows the training's progress (rates, weights) then follows the time spent too.
        batch_size: rows a step, at most the table's.
        learning_rate: AdamW's, at its peak.
        weight_decay: AdamW's.
        schedule: ``linear`` takes the rate to 0; ``plateau`` lowers it where the loss of an epoch no longer falls.
        ema: decay of the averaged weights that are then sampled from, at most (1 + n)/(10 + n) after n updates; ``None`` for none.
        ema_every: a ``step`` or an ``epoch``.
        plateau: factor and patience (epochs) of ``plateau``.
        keep_best: from which share of training on the weights of the epoch with the least loss are kept; ``None``: the last ones.
        patience: epochs without a lower loss that end training; ``None`` for no such end.
        bf16: matrix products in bfloat16.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint_seconds: time between checkpoints.
    """

    steps: int | None
    epochs: int | None
    max_seconds: float | None
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    schedule: Schedule = "linear"
    ema: float | None = None
    ema_every: Literal["step", "epoch"] = "step"
    plateau: tuple[float, int] = (0.9, 20)
    keep_best: float | None = None
    patience: int | None = None
    bf16: bool = False
    device: Device = "auto"
    checkpoint_seconds: float = 60.0

    def total(self, per_epoch: int) -> int:
        """Steps in all, with ``per_epoch`` of them an epoch."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None  # resolve() leaves one of the two
        return self.epochs * per_epoch


def training(options: Mapping[str, Any], **changes: Any) -> Training:
    """The training of resolved ``options``, with some of its fields changed."""
    known = {field.name for field in fields(Training)}
    chosen = {name: value for name, value in options.items() if name in known}
    return Training(**{**chosen, "max_seconds": options["max_train_seconds"], **changes})


def resolve(preset: str, presets: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's options, with those overridden that are given (not ``None``).

    ``steps`` and ``epochs`` are two ways to say one thing: giving one replaces the preset's other.

    Raises:
        TabOrderError: for an unknown preset, both ``steps`` and ``epochs``, and values out of range.
    """
    if preset not in PRESETS:
        raise TabOrderError(choices(preset, PRESETS, "preset"))
    explicit = {name: value for name, value in given.items() if value is not None}
    if "steps" in explicit and "epochs" in explicit:
        raise TabOrderError(
            f"steps={explicit['steps']} and epochs={explicit['epochs']} say one thing twice: give one of them."
        )
    options = {"steps": None, "epochs": None, **given, **COMMON[preset], **presets[preset]}
    if "steps" in explicit or "epochs" in explicit:
        options |= {"steps": None, "epochs": None}
    options |= explicit
    _check(options)
    return options


def _check(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name in COUNTS and value is not None and not _whole(value):
            raise TabOrderError(f"{name} is {value!r}: give a whole number of at least 1.")
        if name in POSITIVE and value is not None and not (_number(value) and value > 0):
            raise TabOrderError(f"{name} is {value!r}: give a number greater than 0.")
        if name in SHARES and value is not None and not (_number(value) and 0 < value < 1):
            raise TabOrderError(f"{name} is {value!r}: give a number between 0 and 1, both excluded.")
    if not _number(options["weight_decay"]) or options["weight_decay"] < 0:
        raise TabOrderError(f"weight_decay is {options['weight_decay']!r}: give a number of at least 0.")
    if options["schedule"] not in get_args(Schedule):
        raise TabOrderError(choices(options["schedule"], get_args(Schedule), "schedule"))
    if options["device"] not in get_args(Device):
        raise TabOrderError(choices(options["device"], get_args(Device), "device"))


COUNTS = {
    *("steps", "epochs", "batch_size", "width", "hidden", "transformer_layers", "token_dim"),
    *("timesteps", "sample_steps", "sample_batch"),
}
POSITIVE = {"max_train_seconds", "learning_rate", "checkpoint_seconds"}
SHARES = {"ema", "vae_share"}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
