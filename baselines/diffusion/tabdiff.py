"""TabDiff (Shi et al., ICLR 2025, arXiv 2410.20626): one diffusion of numbers and masked categories, a noise schedule a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from baselines.diffusion.generator import DiffusionGenerator, Model, Range, Rows, options
from baselines.diffusion.settings import training

EMA_REFERENCE = 0.997
BEST_FROM = 0.5
"""The reference keeps the best weights of the second half of its 8,000 epochs."""


class TabDiff(DiffusionGenerator):
    """TabDiff: numbers are noised and categories masked in one continuous time, each column at a pace that is learnt.

    Missing numbers: a flag beside the column (the paper's code drops rows); missing categories: a category. Rare categories are
    kept. Numbers stay within the training range. Dates are categories. The strongest published at marginals, pairs and detection
    (the paper's tables 1 to 3); it has no column order, so it is what "order matters" has to beat. Tables of numbers alone and of
    categories alone work, which the paper's code refuses.

    ``describe()["decoding_order"]`` is the order that training chose nonetheless: columns by the time, from 1 (noise) down to 0, at
    which half of what they say is there: half of the cells are unmasked (categories), or noise has fallen to the deviation of the
    data (numbers). Columns with greater times are decoded first. Before training all categories share one time and all numbers
    another; ``learnt`` says how far training moved a column from it. A flag of missing numbers is listed as ``NAME is missing``.

    The reference keeps the averaged weights with the least loss of their own; here the epoch is chosen by the training loss, which
    costs no second pass over the rows.

    Args:
        preset: ``reference`` (the paper's code: 8,000 epochs, rates lowered on plateaus), ``budget`` (30,000 steps) or ``small``
            (minutes on a CPU core). Keys below that are given replace the preset's.
        steps: of the optimizer.
        epochs: passes over the training rows, in place of ``steps``.
        max_train_seconds: wall-clock limit of training.
        batch_size: rows a step.
        learning_rate: AdamW's.
        weight_decay: AdamW's.
        ema: decay of averaged weights and schedules, which are then sampled from; once an epoch under ``reference``, else a step.
        width: of the denoiser; its layers have twice as many units.
        token_dim: numbers of a token.
        transformer_layers: before and after the denoiser, each.
        hidden: width of a transformer's feed-forward part; 128 as in the paper, 64 under ``small``.
        learn_schedules: ``false``: one schedule for all numbers (ρ = 7), one for all categories (k = 1).
        sample_steps: times of the sampler.
        sample_batch: rows sampled at once; fewer where a row has more than 2,048 categories to choose from.
        bf16: matrix products in bfloat16.
        device: ``auto``, ``cpu`` or ``cuda``; equal seeds give equal bytes on a CPU.
        checkpoint_seconds: time between checkpoints.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "reference": {
            "epochs": 8000,
            "batch_size": 4096,
            "learning_rate": 1e-3,
            "ema": EMA_REFERENCE,
            "width": 1024,
            "hidden": 128,
        },
        "budget": {"width": 1024, "hidden": 128},
        "small": {"steps": 4000, "batch_size": 256, "width": 256, "hidden": 64},
    }
    search_space: ClassVar[Mapping[str, Range]] = {  # around the paper's values; the paper tunes none
        "learning_rate": {"type": "float", "low": 3e-4, "high": 3e-3, "log": True},
        "width": {"type": "categorical", "choices": [256, 512, 1024]},
        "hidden": {"type": "categorical", "choices": [64, 128, 256]},
        "learn_schedules": {"type": "categorical", "choices": [True, False]},
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
        width: int | None = None,
        token_dim: int = 4,
        transformer_layers: int = 2,
        hidden: int | None = None,
        learn_schedules: bool = True,
        sample_steps: int = 50,
        sample_batch: int = 8192,
        bf16: bool = False,
        device: str = "auto",
        checkpoint_seconds: float = 60.0,
    ) -> None:
        super().__init__(preset, options(locals()))

    def _train(self, rows: Rows, seed: int) -> Model:
        from baselines.diffusion.tabdiff_model import build
        from baselines.diffusion.training import Trainer

        model = build(rows, self.options, seed)
        slow = self.options["schedule"] == "plateau"
        best: dict[str, Any] = {"ema_every": "epoch", "keep_best": BEST_FROM, "plateau": (0.9, 50)} if slow else {}
        chosen = training(self.options, **best)
        trainer = Trainer(
            model.network, model.loss, len(rows), chosen, seed=seed, folder=self._folder("model"), report=self.report
        )
        trainer.run()
        self._note(trainer, "training")
        self._info["decoding_order"] = self._order(model.half_times())
        return model

    def _order(self, times: tuple[list[float], list[float], float, float]) -> list[dict[str, Any]]:
        """Columns by the time at which half of them is there, the earliest decoded (the greatest time) first."""
        assert self._codec is not None
        numbers, categories, number_start, category_start = times
        found = [
            {"column": part.column.name, "kind": "number", "time": time, "learnt": time - number_start}
            for part, time in zip(self._codec.numbers, numbers, strict=True)
        ]
        for category, time in zip(self._codec.categories, categories, strict=True):
            name = f"{category.name} is missing" if category.flag else category.name
            found.append({"column": name, "kind": "category", "time": time, "learnt": time - category_start})
        return sorted(found, key=lambda entry: -float(entry["time"]))
