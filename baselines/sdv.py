"""The Synthetic Data Vault's single-table synthesizers (sdv 2.x) behind the protocol.

CTGAN and TVAE: Xu et al., "Modeling Tabular Data using Conditional GAN", NeurIPS 2019. CopulaGAN is CTGAN on columns made
normal by fitted marginals. GaussianCopula: Patki et al., "The Synthetic Data Vault", DSAA 2016.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import pandas as pd

from baselines.columns import GPU_NOTE, complete, modelled, plain
from harness.errors import Incompatible, TabOrderError, choices
from harness.generator import Context, Sample, Yield
from harness.seeding import derive_seed, global_seed
from harness.table import Column, Schema

logger = logging.getLogger(__name__)

TABLE = "table"
MARGINALS = ("beta", "gamma", "gaussian_kde", "norm", "truncnorm", "uniform")


class _Synthesizer:
    """What the four share: metadata from the schema, seeds, one thread, no chatter, loss curve."""

    version = f"2+sdv{metadata.version('sdv')}"

    def __init__(self, class_name: str, max_train_seconds: float | None, options: Mapping[str, Any]) -> None:
        if max_train_seconds is not None and max_train_seconds <= 0:
            raise TabOrderError(
                f"max_train_seconds is {max_train_seconds}: give a positive number, or null for no limit."
            )
        self.class_name = class_name
        self.max_train_seconds = max_train_seconds
        self.options = dict(options)
        self._report: Callable[..., None] = lambda *_, **__: None
        self._curve: list[dict[str, Any]] = []
        self._notes: list[str] = []
        self._types: dict[str, str] = {}

    def bind(self, context: Context) -> None:
        """Take the progress callback. ``context.threads`` is not used: see :func:`_deterministic`."""
        self._report = context.report

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Train on ``train``; columns are passed under neutral names, so that any name works.

        Raises:
            Incompatible: when every column is empty of values, or the table has fewer than 2 rows.
        """
        if len(train) < 2:
            raise Incompatible(f"{self.class_name} needs at least 2 training rows, got {len(train)}.")
        self._schema = schema
        self._modelled, self._notes = modelled(train, schema, self.class_name)
        if self.options.get("enable_gpu") and _gpu():
            self._notes.append(GPU_NOTE)
        fixed = self._fixed(train, schema, self._modelled)
        table = pd.DataFrame({f"c{i}": plain(train[name]) for i, name in enumerate(self._modelled)})
        with _deterministic(seed):
            from sdv.cag import FixedCombinations
            from sdv.metadata import Metadata

            listed = {name for group in fixed for name in group}
            self._types = {n: "categorical" if n in listed else sdtype(train[n], schema[n]) for n in self._modelled}
            columns = {f"c{i}": {"sdtype": self._types[name]} for i, name in enumerate(self._modelled)}
            described = Metadata.load_from_dict({"tables": {TABLE: {"columns": columns}}, "relationships": []})
            synthesizer = getattr(importlib.import_module("sdv.single_table"), self.class_name)
            self._model = synthesizer(described, **self.options)
            if fixed:
                joined = [[f"c{self._modelled.index(name)}" for name in group] for group in fixed]
                self._model.add_constraints([FixedCombinations(column_names=group) for group in joined])
            with self._watched_epochs():
                self._model.fit({TABLE: table})

    def _fixed(self, train: pd.DataFrame, schema: Schema, names: Sequence[str]) -> list[list[str]]:
        """Groups of columns whose values appear in train's combinations only; none, but for a class that says so."""
        return []

    def sample(self, n: int, *, seed: int) -> Sample:
        """Draw ``n`` rows; every row drawn is delivered."""
        with _deterministic(seed):
            # sdv restarts every draw from one fixed internal seed, for the model and for each column's reverse transform.
            self._model.reset_sampling()
            transformers = self._model._data_processor._hyper_transformer.field_transformers
            for column, transformer in transformers.items():
                if transformer is not None:
                    transformer.random_seed = derive_seed(seed, "reverse_transform", str(column))
                    transformer.reset_randomization()
            self._model._set_random_state(seed)
            drawn = self._model.sample(n)[TABLE]
        values = dict(zip(self._modelled, (drawn[f"c{i}"] for i in range(len(self._modelled))), strict=True))
        frame = complete(values, self._schema, len(drawn))
        return Sample(frame, Yield(attempted=len(frame), accepted=len(frame)))

    def describe(self) -> Mapping[str, Any]:
        """Loss curve (one point an epoch), the types declared to sdv by column, and notes."""
        few = [name for name, declared in self._types.items() if declared == "ordinal"]
        note = f"declared ordinal to sdv, as whole numbers of few values: {', '.join(few)}; all types: column_types"
        notes = [*self._notes, note] if few else self._notes
        return {"curve": self._curve, "column_types": self._types, "notes": notes}

    @contextmanager
    def _watched_epochs(self) -> Iterator[None]:
        """Watch the training loop through the progress bar it iterates over, the one place ctgan lets go between epochs."""
        started = time.monotonic()
        self._curve = []

        def watch(epochs: Iterable[int], **_: Any) -> Iterator[int]:
            total = self.options["epochs"]
            for epoch in epochs:
                seconds = time.monotonic() - started
                if epoch and self.max_train_seconds is not None and seconds >= self.max_train_seconds:
                    self._notes.append(
                        f"training stopped after {epoch} of {total} epochs: max_train_seconds={self.max_train_seconds:g} was spent"
                    )
                    return
                yield epoch
                self._note_epoch(epoch, total, time.monotonic() - started)

        modules: list[Any] = [importlib.import_module(f"ctgan.synthesizers.{name}") for name in ("ctgan", "tvae")]
        original = [module.tqdm for module in modules]
        for module in modules:
            module.tqdm = watch
        try:
            yield
        finally:
            for module, tqdm in zip(modules, original, strict=True):
                module.tqdm = tqdm

    def _note_epoch(self, epoch: int, total: int, seconds: float) -> None:
        losses = self._model._model.loss_values
        last = losses[losses["Epoch"] == epoch].drop(columns=["Epoch", "Batch"], errors="ignore").mean()
        values = {str(name).lower().replace(" ", "_"): float(value) for name, value in last.items()}
        loss = values.pop("loss", None)
        point = {"loss": values["generator_loss"] if loss is None else loss, **values}
        self._curve.append({"step": epoch + 1, "epoch": epoch + 1, **point, "seconds": round(seconds, 3)})
        self._report("fit", epoch + 1, total, loss=point["loss"])


class CTGAN(_Synthesizer):
    """Conditional tabular GAN.

    Args:
        epochs: passes over the training rows.
        max_train_seconds: wall-clock budget of ``fit``; training stops after the epoch in which it is spent.
        batch_size: rows a step; even, and a multiple of ``pac``.
        pac: rows the discriminator judges together.
        embedding_dim: size of the generator's noise vector.
        generator_dim: widths of the generator's layers.
        discriminator_dim: widths of the discriminator's layers.
        generator_lr: Adam learning rate of the generator.
        discriminator_lr: Adam learning rate of the discriminator.
        discriminator_steps: discriminator steps per generator step.
        enable_gpu: train on a GPU when there is one; equal seeds give equal bytes only without.
    """

    class_name = "CTGANSynthesizer"

    def __init__(
        self,
        *,
        epochs: int = 300,
        max_train_seconds: float | None = None,
        batch_size: int = 500,
        pac: int = 10,
        embedding_dim: int = 128,
        generator_dim: Sequence[int] = (256, 256),
        discriminator_dim: Sequence[int] = (256, 256),
        generator_lr: float = 2e-4,
        discriminator_lr: float = 2e-4,
        discriminator_steps: int = 1,
        enable_gpu: bool = False,
    ) -> None:
        _check_positive(epochs=epochs, batch_size=batch_size, pac=pac)
        if batch_size % 2 or batch_size % pac:
            raise TabOrderError(f"batch_size {batch_size} must be even and a multiple of pac ({pac}).")
        options = {
            "epochs": epochs,
            "batch_size": batch_size,
            "pac": pac,
            "embedding_dim": embedding_dim,
            "generator_dim": tuple(generator_dim),
            "discriminator_dim": tuple(discriminator_dim),
            "generator_lr": generator_lr,
            "discriminator_lr": discriminator_lr,
            "discriminator_steps": discriminator_steps,
            "enable_gpu": enable_gpu,
        }
        super().__init__(self.class_name, max_train_seconds, options)


class CopulaGAN(CTGAN):
    """CTGAN on numbers made normal by fitted marginals; the arguments are :class:`CTGAN`'s."""

    class_name = "CopulaGANSynthesizer"


class TVAE(_Synthesizer):
    """Variational autoencoder on CTGAN's column encoding.

    Args:
        epochs: passes over the training rows.
        max_train_seconds: wall-clock budget of ``fit``; training stops after the epoch in which it is spent.
        batch_size: rows a step.
        embedding_dim: size of the latent vector.
        compress_dims: widths of the encoder's layers.
        decompress_dims: widths of the decoder's layers.
        l2scale: Adam weight decay.
        loss_factor: weight of the reconstruction error against the Kullback-Leibler term.
        enable_gpu: train on a GPU when there is one; equal seeds give equal bytes only without.
    """

    def __init__(
        self,
        *,
        epochs: int = 300,
        max_train_seconds: float | None = None,
        batch_size: int = 500,
        embedding_dim: int = 128,
        compress_dims: Sequence[int] = (128, 128),
        decompress_dims: Sequence[int] = (128, 128),
        l2scale: float = 1e-5,
        loss_factor: float = 2,
        enable_gpu: bool = False,
    ) -> None:
        _check_positive(epochs=epochs, batch_size=batch_size)
        options = {
            "epochs": epochs,
            "batch_size": batch_size,
            "embedding_dim": embedding_dim,
            "compress_dims": tuple(compress_dims),
            "decompress_dims": tuple(decompress_dims),
            "l2scale": l2scale,
            "loss_factor": loss_factor,
            "enable_gpu": enable_gpu,
        }
        super().__init__("TVAESynthesizer", max_train_seconds, options)


class GaussianCopula(_Synthesizer):
    """Gaussian copula over fitted marginals.

    Args:
        default_distribution: marginal of numbers: ``beta norm truncnorm uniform gamma gaussian_kde``.
        max_train_seconds: wall-clock budget of ``fit``, which cannot stop half-way: overrunning it is noted in the record.
    """

    def __init__(self, *, default_distribution: str = "beta", max_train_seconds: float | None = None) -> None:
        if default_distribution not in MARGINALS:
            raise TabOrderError(choices(default_distribution, MARGINALS, "default_distribution"))
        super().__init__("GaussianCopulaSynthesizer", max_train_seconds, {"default_distribution": default_distribution})

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Fit marginals and correlations in one step."""
        started = time.monotonic()
        super().fit(train, schema, seed=seed)
        seconds = time.monotonic() - started
        if self.max_train_seconds is not None and seconds > self.max_train_seconds:
            self._notes.append(
                f"fit took {seconds:.1f} s, more than max_train_seconds={self.max_train_seconds:g}: it cannot stop half-way"
            )


def _check_positive(**numbers: int) -> None:
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise TabOrderError(f"{name} is {value!r}: give a whole number of at least 1.")


def _gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def sdtype(values: pd.Series[Any], column: Column) -> str:
    """The type to declare to sdv for a column: its own rule for numbers, stated here because of what it does to the rest.

    Whole numbers of few values (at most a tenth of the rows, and at most 10; ``_detect_ordinal_sdtype`` of sdv 2.0) are
    ``ordinal``: as ``numerical`` a bit becomes the constant that its fitted marginal rounds to. Texts are ``categorical``, for sdv's
    detection takes states, zip codes and coordinates for personal data and replaces them.

    Args:
        values: canonical training cells, shape (rows,).
        column: the column.
    """
    if not column.numeric:
        return "categorical"
    few = values.nunique() <= min(round(len(values) / 10), 10)
    return "ordinal" if column.kind == "integer" and few else "numerical"


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Seeded global state, one thread (sums depend on how threads split them) and silence on stdout."""
    import joblib
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    output = io.StringIO()
    try:
        with (
            global_seed(seed),
            threadpool_limits(1),
            # ctgan otherwise starts worker processes for encoding.
            joblib.parallel_config(backend="sequential"),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(output),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        if output.getvalue().strip():
            logger.info("%s", output.getvalue().strip())
