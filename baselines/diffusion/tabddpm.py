"""TabDDPM (Kotelnikov et al., ICML 2023, arXiv 2209.15421): Gaussian diffusion of numbers and multinomial diffusion of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from baselines.diffusion.generator import DiffusionGenerator, Model, Range, Rows, options
from baselines.diffusion.settings import training
from harness.errors import TabOrderError
from harness.table import Schema

if TYPE_CHECKING:
    from baselines.diffusion.codec import TableCodec

SNAP = 32
"""Integer columns with at most so many values get no others, as in the paper's code."""


class TabDDPM(DiffusionGenerator):
    """TabDDPM: one multilayer perceptron predicts the noise of all numbers and the clean categories, given the class.

    Missing numbers: a flag beside the column; missing categories: a category. Rare categories are kept. Numbers stay within the
    training range. Dates are categories. A classification target is drawn from train's frequencies and conditions the rest; a
    regression target is one more number. Strong at utility and at marginals of numbers (the paper's tables 4 and 5); the budget
    decides: with the 1,000 steps that other packages give it, it is not what the paper measured.

    Where the paper's code feeds the network logarithms of one-hots, this feeds the one-hots, an affine map of them; and a predicted
    clean number is clipped to the training range at every step of sampling, which the paper's code leaves to the last.

    Args:
        preset: ``reference`` (the code's tuned settings for adult: 30,000 steps, T = 100), ``budget`` (30,000 steps as the others,
            T = 1,000, averaged weights) or ``small`` (minutes on a CPU core). Keys below that are given replace the preset's.
        steps: of the optimizer.
        epochs: passes over the training rows, in place of ``steps``.
        max_train_seconds: wall-clock limit of training; the learning rate then reaches 0 at the limit.
        batch_size: rows a step.
        learning_rate: AdamW's, falling linearly to 0.
        weight_decay: AdamW's.
        ema: decay of averaged weights, which are then sampled from.
        layers: widths of the network's hidden layers.
        timesteps: T.
        sample_batch: rows sampled at once; fewer where a row has more than 2,048 categories to choose from.
        bf16: matrix products in bfloat16.
        device: ``auto``, ``cpu`` or ``cuda``; equal seeds give equal bytes on a CPU.
        checkpoint_seconds: time between checkpoints.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "reference": {
            "steps": 30_000,
            "batch_size": 4096,
            "learning_rate": 2.01e-3,
            "schedule": "linear",
            "layers": (256, 1024, 1024, 1024, 1024, 256),
            "timesteps": 100,
        },
        "budget": {"layers": (1024, 2048, 2048, 1024), "timesteps": 1000},
        "small": {"steps": 5000, "layers": (256, 512, 512, 256), "timesteps": 100},
    }
    search_space: ClassVar[Mapping[str, Range]] = {  # the paper's table 1
        "learning_rate": {"type": "float", "low": 1e-5, "high": 3e-3, "log": True},
        "batch_size": {"type": "categorical", "choices": [256, 4096]},
        "timesteps": {"type": "categorical", "choices": [100, 1000]},
        "steps": {"type": "categorical", "choices": [5000, 20_000, 30_000]},
        "layers": {
            "type": "categorical",
            "choices": [
                [256, 256],
                [512, 512],
                [256, 512, 512, 256],
                [1024, 1024, 1024, 1024],
                [256, *[1024] * 4, 256],
            ],
        },
    }

    def __init__(
        self,
        *,
        preset: str = "small",
        steps: int | None = None,
        epochs: int | None = None,
        max_train_seconds: float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        ema: float | None = None,
        layers: Sequence[int] | None = None,
        timesteps: int | None = None,
        sample_batch: int = 8192,
        bf16: bool = False,
        device: str = "auto",
        checkpoint_seconds: float = 60.0,
    ) -> None:
        if layers is not None and (not layers or not all(isinstance(width, int) and width > 0 for width in layers)):
            raise TabOrderError(
                f"layers is {list(layers)}: give the widths of at least one hidden layer, e.g. [256, 256]."
            )
        super().__init__(preset, options(locals()))

    def _read(self, train: pd.DataFrame, schema: Schema) -> TableCodec:
        from baselines.diffusion.codec import TableCodec

        label = schema.target if schema.task == "classification" and train[schema.target].notna().any() else None
        return TableCodec.fit(train, schema, "TabDDPM", label=label, snap=SNAP)

    def _train(self, rows: Rows, seed: int) -> Model:
        from baselines.diffusion.tabddpm_model import build
        from baselines.diffusion.training import Trainer

        model = build(rows, self.options, seed)
        chosen = training(self.options)
        trainer = Trainer(
            model.network, model.loss, len(rows), chosen, seed=seed, folder=self._folder("model"), report=self.report
        )
        trainer.run()
        self._note(trainer, "training")
        self._info["timesteps"] = self.options["timesteps"]
        return model
