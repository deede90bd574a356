"""TabSyn (Zhang et al., ICLR 2024, arXiv 2310.09656): a variational autoencoder of tokens, and EDM diffusion of its latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from baselines.diffusion.generator import DiffusionGenerator, Model, Range, Rows, options
from baselines.diffusion.plateau import BETA_MAX, BETA_MIN, Plateau
from baselines.diffusion.settings import Training, training
from harness.seeding import derive_seed

BETA_FACTOR, BETA_PATIENCE = 0.7, 10
VALIDATION_SHARE = 0.1
"""Of the training rows, held out from the autoencoder where its rates follow a validation loss."""

REFERENCE_EPOCHS = (4000, 10_001)
"""Of the autoencoder and of the diffusion."""


class TabSyn(DiffusionGenerator):
    """TabSyn: rows become latents of four numbers a column, and a diffusion model draws new latents.

    Missing numbers: a flag beside the column (the paper's code takes the mean); missing categories: a category. Rare categories are
    kept. Numbers stay within the training range. Dates are categories. Strong at marginals, pairs and detection (the paper's
    tables 1 to 3); tables of numbers alone and of categories alone work, which the paper's code refuses.

    Validation rows, where the preset needs some, come from train; the paper's code takes the test rows.

    Args:
        preset: ``reference`` (the paper's code: 4,000 + 10,001 epochs, rates lowered on plateaus), ``budget`` (30,000 steps, of them
            9,000 the autoencoder's) or ``small`` (minutes on a CPU core). Keys below that are given replace the preset's.
        steps: of the optimizer, both trainings together.
        epochs: passes over the training rows, both trainings together, in place of ``steps``.
        vae_share: of steps, epochs and seconds that are the autoencoder's.
        max_train_seconds: wall-clock limit of both trainings.
        batch_size: rows a step.
        learning_rate: AdamW's.
        weight_decay: AdamW's.
        ema: decay of the diffusion's averaged weights, which are then sampled from.
        width: of the denoiser; its layers have twice as many units.
        token_dim: numbers of a column's latent.
        transformer_layers: of each encoder and of the decoder.
        hidden: width of a transformer's feed-forward part; 128 as in the paper, 64 under ``small``.
        sample_steps: noise levels of the sampler.
        sample_batch: rows sampled at once; fewer where a row has more than 2,048 categories to choose from.
        bf16: matrix products in bfloat16.
        device: ``auto``, ``cpu`` or ``cuda``; equal seeds give equal bytes on a CPU.
        checkpoint_seconds: time between checkpoints.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "reference": {
            "epochs": sum(REFERENCE_EPOCHS),
            "vae_share": REFERENCE_EPOCHS[0] / sum(REFERENCE_EPOCHS),
            "batch_size": 4096,
            "learning_rate": 1e-3,
            "width": 1024,
            "hidden": 128,
        },
        "budget": {"vae_share": 0.3, "width": 1024, "hidden": 128},
        "small": {"steps": 5000, "vae_share": 0.3, "batch_size": 256, "width": 256, "hidden": 64},
    }
    search_space: ClassVar[Mapping[str, Range]] = {  # around the paper's values; the paper tunes none
        "learning_rate": {"type": "float", "low": 3e-4, "high": 3e-3, "log": True},
        "vae_share": {"type": "float", "low": 0.15, "high": 0.5, "log": False},
        "width": {"type": "categorical", "choices": [256, 512, 1024]},
        "hidden": {"type": "categorical", "choices": [64, 128, 256]},
    }

    def __init__(
        self,
        *,
        preset: str = "small",
        steps: int | None = None,
        epochs: int | None = None,
        vae_share: float | None = None,
        max_train_seconds: float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        ema: float | None = None,
        width: int | None = None,
        token_dim: int = 4,
        transformer_layers: int = 2,
        hidden: int | None = None,
        sample_steps: int = 50,
        sample_batch: int = 8192,
        bf16: bool = False,
        device: str = "auto",
        checkpoint_seconds: float = 60.0,
    ) -> None:
        super().__init__(preset, options(locals()))

    def trainings(self) -> tuple[Training, Training]:
        """The autoencoder's and the diffusion's shares of the budget."""
        share: float = self.options["vae_share"]
        both = training(self.options)

        def part(whole: int | None, first: bool) -> int | None:
            if whole is None:
                return None
            vae = max(1, round(whole * share))
            return vae if first else max(1, whole - vae)

        seconds = both.max_seconds
        parts = [
            {
                "steps": part(both.steps, first),
                "epochs": part(both.epochs, first),
                "max_seconds": None if seconds is None else seconds * (share if first else 1 - share),
            }
            for first in (True, False)
        ]
        slow = self.options["schedule"] == "plateau"
        vae = training(self.options, **parts[0], ema=None, plateau=(0.95, 10))
        stop = {"keep_best": 0.0, "patience": 500} if slow else {}
        return vae, training(self.options, **parts[1], plateau=(0.9, 20), **stop)

    def _train(self, rows: Rows, seed: int) -> Model:
        from baselines.diffusion.tabsyn_model import Autoencoder, LatentModel
        from baselines.diffusion.training import Trainer

        first, second = self.trainings()
        held = round(len(rows) * VALIDATION_SHARE) if first.schedule == "plateau" else 0
        beta = Plateau(BETA_MAX, BETA_FACTOR, BETA_PATIENCE, BETA_MIN) if held else None
        plateaus = {"beta": beta, "rate": Plateau(first.learning_rate, *first.plateau)} if beta else {}
        vae_seed = derive_seed(seed, "autoencoder")
        autoencoder = Autoencoder(rows, self.options, vae_seed, held, beta)
        steps = first.total(-(-(len(rows) - held) // min(first.batch_size, len(rows) - held)))
        total = steps + second.total(-(-len(rows) // min(second.batch_size, len(rows))))
        encoding = Trainer(
            autoencoder.network,
            autoencoder.loss,
            len(rows) - held,
            first,
            seed=vae_seed,
            folder=self._folder("autoencoder"),
            report=self.report,
            plateaus={name: plateau for name, plateau in plateaus.items() if plateau},
            judge=autoencoder.judge if held else None,
            around=(0, total),
        )
        encoding.run()
        if held:
            self._info["notes"].append(
                f"{held:,} of {len(rows):,} training rows only validate the autoencoder; the diffusion trains on all"
            )
        model = LatentModel(autoencoder, self.options, derive_seed(seed, "diffusion"))
        diffusing = Trainer(
            model.network,
            model.loss,
            len(rows),
            second,
            seed=derive_seed(seed, "diffusion"),
            folder=self._folder("diffusion"),
            report=self.report,
            around=(steps, total),
        )
        diffusing.run()
        self._tell(encoding, diffusing)
        return model

    def _tell(self, encoding: Any, diffusing: Any) -> None:
        vae = encoding.facts()
        self._info["notes"] += encoding.ending("the autoencoder's training")
        self._info |= {"vae_curve": encoding.progress.curve, "vae_steps": vae["steps"]}
        self._note(diffusing, "the diffusion's training")
        self._info |= {
            "diffusion_steps": self._info["steps"],
            "steps": self._info["steps"] + vae["steps"],
            "planned_steps": self._info["planned_steps"] + vae["planned_steps"],
            "resumed": [*vae["resumed"], *self._info["resumed"]],
        }

    def _budget(self, facts: Mapping[str, Any]) -> str:
        rows = f"{facts['batch_size']:,} rows"
        return (
            f"{self._info['vae_steps']:,} steps of the autoencoder and {facts['steps']:,} of the diffusion, {rows} each"
        )
