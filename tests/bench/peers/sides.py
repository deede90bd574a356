"""What runs inside a side's process: a generator that is trained once, kept in a folder, and timed whenever it samples."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.columns import modelled
from baselines.great import GReaT
from baselines.huggingface import Watch
from baselines.realtabformer import REaLTabFormer
from harness.generator import Context, Sample
from harness.table import Schema


class Timed:
    """A generator with a stopwatch, behind the generator protocol.

    Args:
        target: its class; beside the protocol it has ``save(folder)`` and ``restore(folder, train, schema)``.
        arguments: its keyword arguments.
        keep: folder of the trained model: restored from there when it is there, else trained and saved; ``None`` trains.
    """

    def __init__(self, target: str, arguments: Mapping[str, Any], keep: str | None = None) -> None:
        module, _, name = target.rpartition(".")
        self.inner: Any = getattr(importlib.import_module(module), name)(**arguments)
        self.keep = None if keep is None else Path(keep)
        self.seconds: dict[str, float] = {}

    def bind(self, context: Context) -> None:
        """Pass the context on."""
        self.inner.bind(context)

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Train, or restore a kept model with the seconds that its training took."""
        note = None if self.keep is None else self.keep / "fit.json"
        if note is not None and note.exists():
            self.inner.restore(note.parent, train, schema)
            self.seconds["fit"] = json.loads(note.read_text(encoding="utf-8"))["seconds"]
            return
        started = time.perf_counter()
        self.inner.fit(train, schema, seed=seed)
        self.seconds["fit"] = time.perf_counter() - started
        if note is not None:
            note.parent.mkdir(parents=True, exist_ok=True)
            self.inner.save(note.parent)
            note.write_text(json.dumps({"seconds": self.seconds["fit"]}), encoding="utf-8")

    def sample(self, n: int, *, seed: int) -> Sample:
        """Sample, timed."""
        started = time.perf_counter()
        sample: Sample = self.inner.sample(n, seed=seed)
        self.seconds["sample"] = time.perf_counter() - started
        return sample

    def describe(self) -> Mapping[str, Any]:
        """Seconds of the fit and of the latest sample, this process's peak memory, and what the generator says."""
        facts = self.inner.describe()
        return {
            "fit_seconds": self.seconds.get("fit"),
            "sample_seconds": self.seconds.get("sample"),
            "peak_memory_bytes": peak_memory(),
            "parameters": facts.get("parameters"),
            "rows_per_second": facts.get("rows_per_second"),
            "notes": facts.get("notes", []),
            "curve": facts.get("curve", []),
        }


def peak_memory() -> int:
    """Most resident bytes of this process since it began its program: what getrusage says includes the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


class KeptGReaT(GReaT):
    """The adapter of be-great, saved and loaded by the library's own means."""

    def save(self, folder: Path) -> None:
        """Keep the model and what sampling needs."""
        start = self._model.conditional_col_dist
        if isinstance(start, dict):  # 0.0.14 cannot write whole numbers as keys; it starts rows with their text
            self._model.conditional_col_dist = {str(value): float(share) for value, share in start.items()}
        self._model.model.save_pretrained(folder / "weights")
        self._model.tokenizer.save_pretrained(folder / "weights")
        self._model.llm = str(folder / "weights")  # where loading takes the tokenizer from
        self._model.save(str(folder))
        (folder / "tokens.json").write_text(json.dumps(self._tokens), encoding="utf-8")

    def restore(self, folder: Path, train: pd.DataFrame, schema: Schema) -> None:
        """Load what :meth:`save` wrote."""
        import be_great

        self._prepare(train, schema)
        self._tokens = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
        self._model = be_great.GReaT.load_from_dir(str(folder))

    def _prepare(self, train: pd.DataFrame, schema: Schema) -> None:
        self._schema = schema
        self._watch = Watch(self._report, None)
        self._modelled, self._watch.notes = modelled(train, schema, "GReaT")


class GivenGReaT(KeptGReaT):
    """be-great over the weights of ``llm`` as they are: it learns the column names and start values, nothing else.

    Args:
        start: the column that rows begin with; ``None`` for the library's default, the last one.
        options: of the adapter.
    """

    def __init__(self, start: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.start = start

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Load the weights."""
        import be_great

        self._prepare(train, schema)
        self._model = be_great.GReaT(self.llm)
        self._model._update_column_information(train[self._modelled])
        self._model._update_conditional_information(train[self._modelled], self.start)
        assert self.max_length is not None
        self._tokens = self.max_length


class KeptREaLTabFormer(REaLTabFormer):
    """The adapter of REaLTabFormer, saved and loaded by the library's own means."""

    def save(self, folder: Path) -> None:
        """Keep the model."""
        self._model.full_save_dir = str(self._model.full_save_dir)  # 0.2.4 cannot write this path as JSON
        self._model.save(str(folder))

    def restore(self, folder: Path, train: pd.DataFrame, schema: Schema) -> None:
        """Load what :meth:`save` wrote (in a folder that the library names)."""
        from realtabformer import REaLTabFormer as Library

        self._schema = schema
        self._watch = Watch(self._report, None)
        self._modelled, self._watch.notes = modelled(train, schema, "REaLTabFormer")
        self._model = Library.load_from_dir(next(path for path in folder.iterdir() if path.is_dir()))
