"""What the three generators share in front of their models: options, seeds, threads, batches of rows sampled, the record's facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from baselines.columns import GPU_NOTE
from baselines.diffusion.settings import resolve
from harness.errors import TabOrderError
from harness.generator import Context, Sample, Yield
from harness.seeding import derive_seed
from harness.table import Schema

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from baselines.diffusion.codec import TableCodec
    from baselines.diffusion.training import Trainer

MOST_CELLS = 2**24
"""Probabilities of categories held at once in sampling: 64 MiB a tensor, of which a step has about ten."""

Range = Mapping[str, Any]
"""Of a parameter for tuning: ``type`` (``int``, ``float`` or ``categorical``), ``low``, ``high``, ``log``, or ``choices``."""


class Model(Protocol):
    """A trained model."""

    def sample(self, rows: int, source: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """Normal numbers (rows, numbers), codes (rows, categories), and the codes of the label where there is one."""

    def parameters(self) -> int:
        """How many are trained."""


class Rows:
    """The training rows on their device.

    Attributes:
        numbers: (rows, numbers) float32.
        codes: (rows, categories).
        labels: (rows,), or ``None``.
        sizes: categories of each column.
        label_size: number of labels.
    """

    def __init__(self, codec: TableCodec, train: pd.DataFrame, device: torch.device) -> None:
        import torch

        numbers, codes = codec.encode(train)
        labels = codec.labels(train)
        self.numbers = torch.from_numpy(numbers).to(device)
        self.codes = torch.from_numpy(codes).to(device)
        self.labels = None if labels is None else torch.from_numpy(labels).to(device)
        self.sizes = codec.sizes
        self.label_size = 0 if codec.label is None else len(codec.label.levels)
        self.device = device

    def __len__(self) -> int:
        return len(self.numbers)


class DiffusionGenerator:
    """Base of the three; a subclass gives presets, a search space, and :meth:`_train`.

    Attributes:
        options: the preset's, overridden by what was given.
        search_space: of each tunable parameter, from the papers.
    """

    version = "1"
    preload = ("torch", "sklearn.preprocessing", "safetensors.torch")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    search_space: ClassVar[Mapping[str, Range]]

    def __init__(self, preset: str, given: Mapping[str, Any]) -> None:
        self.preset = preset
        self.options = resolve(preset, self.presets, given)
        self.work_dir: Path | None = None
        self.threads: int | None = None
        self.report: Callable[..., None] = lambda *_, **__: None
        self._codec: TableCodec | None = None
        self._model: Model | None = None
        self._labels: Any = None
        self._info: dict[str, Any] = {}

    def bind(self, context: Context) -> None:
        """Receive the checkpoint folder, the number of threads and the progress reporter."""
        self.work_dir, self.threads, self.report = context.work_dir, context.threads, context.report

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Encode the rows once and train.

        Raises:
            Incompatible: when no column has a value.
            TabOrderError: for an empty table, ``device=cuda`` without a GPU, and a loss that is no number.
        """
        if not len(train):
            raise TabOrderError("the training table has no rows: give at least one.")
        from baselines.diffusion.training import device_of, threads

        device = device_of(self.options["device"])
        codec = self._read(train, schema)
        self._codec, self._model = codec, None
        self._info = {"preset": self.preset, "device": device.type, "parameters": 0, "steps": 0, "curve": []}
        self._info["notes"] = [*codec.notes, *([GPU_NOTE] if device.type == "cuda" else [])]
        if not codec.parts:
            self._info["notes"].append("no column has two values beside the target: nothing was trained")
        with threads(self.threads):
            if codec.parts:
                self._model = self._train(Rows(codec, train, device), seed)
                self._info["parameters"] = self._model.parameters()
        self._labels = None if codec.parts else codec.labels(train)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Draw ``n`` rows, ``sample_batch`` at once; every row drawn is delivered."""
        if self._codec is None:
            raise TabOrderError("this generator has no model yet: call fit first.")
        from baselines.diffusion.training import threads

        with threads(self.threads):
            normal, codes, labels = self._draw(n, seed)
        return Sample(self._codec.decode(normal, codes, labels), Yield(attempted=n, accepted=n))

    def describe(self) -> Mapping[str, Any]:
        """Preset and its steps, parameters, loss curve, notes; what a subclass adds."""
        return self._info

    def _read(self, train: pd.DataFrame, schema: Schema) -> TableCodec:
        from baselines.diffusion.codec import TableCodec

        return TableCodec.fit(train, schema, type(self).__name__)

    def _train(self, rows: Rows, seed: int) -> Model:
        raise NotImplementedError

    def _folder(self, phase: str) -> Path | None:
        return None if self.work_dir is None else self.work_dir / "checkpoint" / phase

    def _note(self, trainer: Trainer, what: str) -> None:
        """Take over what a finished training says."""
        facts = trainer.facts()
        self._info |= facts
        self._info["curve"] = trainer.progress.curve
        self._info["notes"] += [f"preset {self.preset}: {self._budget(facts)}", *trainer.ending(what)]

    def _budget(self, facts: Mapping[str, Any]) -> str:
        return f"{facts['steps']:,} steps of {facts['batch_size']:,} rows"

    def _draw(self, n: int, seed: int) -> tuple[Any, Any, Any]:
        """Numbers, codes and labels of ``n`` rows as arrays."""
        import torch

        if self._model is None:
            return self._constant(n, seed)
        assert self._codec is not None
        batch: int = min(self.options["sample_batch"], max(1, MOST_CELLS // max(sum(self._codec.sizes), 1)))
        parts: list[tuple[Tensor, Tensor, Tensor | None]] = []
        with torch.no_grad():
            for start in range(0, max(n, 1), batch):
                source = torch.Generator(self._info["device"]).manual_seed(derive_seed(seed, "rows", start))
                rows = min(batch, n - start)
                parts.append(tuple(_cpu(part) for part in self._model.sample(rows, source)))  # type: ignore[arg-type]
                self.report("sample", start + rows, n)
        numbers, codes = (torch.cat([part[place] for part in parts]).numpy() for place in (0, 1))  # type: ignore[misc]
        labels = None if parts[0][2] is None else torch.cat([part[2] for part in parts]).numpy()  # type: ignore[misc]
        return numbers, codes, labels

    def _constant(self, n: int, seed: int) -> tuple[Any, Any, Any]:
        """Rows of a table whose columns have one value each, but perhaps the label's."""
        from harness.seeding import rng

        labels = None if self._labels is None else rng(seed, "labels").choice(self._labels, n)
        return np.zeros((n, 0)), np.zeros((n, 0), dtype=np.int64), labels


def _cpu(part: Tensor | None) -> Tensor | None:
    return None if part is None else part.cpu()


def options(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor, from its ``locals()``, without ``self`` and ``preset``."""
    return {name: value for name, value in scope.items() if name not in ("self", "preset", "__class__")}
