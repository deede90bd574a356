"""GReaT (be-great), in an environment of its own.

Borisov et al., "Language Models are Realistic Tabular Data Generators", ICLR 2023: rows as ``column is value`` text, columns
shuffled for every row, a causal language model, free generation.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.columns import GPU_NOTE, complete, modelled
from baselines.huggingface import Watch
from harness.errors import Incompatible, TabOrderError
from harness.generator import Context, Sample, Yield
from harness.seeding import derive_seed, global_seed
from harness.table import Column, Schema, format_cell


class _Enough(Exception):
    """As many rows were started as allowed."""


class GReaT:
    """be-great's ``GReaT`` with free generation, as published.

    Args:
        llm: hub name or local folder of a causal language model; ``None`` builds a small GPT-2 from scratch, with a tokenizer
            trained on the table's rows.
        layers: of the model from scratch.
        width: of the model from scratch.
        heads: of the model from scratch.
        vocabulary: tokens of the tokenizer from scratch, at most.
        epochs: passes over the training rows.
        max_train_seconds: wall-clock budget of training.
        batch_size: rows a step.
        learning_rate: AdamW's.
        temperature: of sampling; 0.7 is the library's.
        sample_batch: rows generated at once.
        max_length: tokens of a row at most; ``None`` means a little more than the longest training row takes (the library's 100
            can never finish longer rows).
        max_attempts: rows started at most, as a multiple of the rows asked for; then fewer are delivered.
        device: ``auto``, ``cpu``, ``cuda``; equal seeds give equal bytes on ``cpu``, with equally many threads.
    """

    version = "1"

    def __init__(
        self,
        *,
        llm: str | None = None,
        layers: int = 2,
        width: int = 64,
        heads: int = 4,
        vocabulary: int = 2000,
        epochs: int = 50,
        max_train_seconds: float | None = None,
        batch_size: int = 32,
        learning_rate: float = 5e-5,
        temperature: float = 0.7,
        sample_batch: int = 256,
        max_length: int | None = None,
        max_attempts: float = 5.0,
        device: str = "auto",
    ) -> None:
        for name, value in {"epochs": epochs, "batch_size": batch_size, "sample_batch": sample_batch}.items():
            if value < 1:
                raise TabOrderError(f"{name} is {value}: give a whole number of at least 1.")
        if width % heads:
            raise TabOrderError(f"width {width} must be a multiple of heads ({heads}).")
        self.llm, self.layers, self.width, self.heads, self.vocabulary = llm, layers, width, heads, vocabulary
        self.epochs, self.max_train_seconds, self.batch_size = epochs, max_train_seconds, batch_size
        self.learning_rate, self.temperature, self.sample_batch = learning_rate, temperature, sample_batch
        self.max_length, self.max_attempts, self.device = max_length, max_attempts, device
        self._report: Callable[..., None] = lambda *_, **__: None
        self._work = Path("great")

    def bind(self, context: Context) -> None:
        """Take progress callback and folder."""
        self._report, self._work = context.report, context.work_dir

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Fine-tune, or train from scratch."""
        self._schema = schema
        self._watch = Watch(self._report, self.max_train_seconds)
        self._modelled, self._watch.notes = modelled(train, schema, "GReaT")
        self._check_writable(train)
        import be_great.great as library
        from datasets import arrow_dataset
        from datasets.fingerprint import generate_random_fingerprint

        table = train[self._modelled]
        columns = [schema[name] for name in self._modelled]
        texts = [_row_text(columns, row) for row in table.itertuples(index=False)]
        with global_seed(seed), contextlib.redirect_stdout(sys.stderr):
            llm = self.llm or self._from_scratch(texts)
            self._model = library.GReaT(
                llm,
                experiment_dir=str(self._work / "trainer"),
                epochs=self.epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                seed=derive_seed(seed, "trainer"),
                use_cpu=self.device == "cpu",
                save_strategy="no",
                logging_strategy="epoch",
            )
            longest = max(len(ids) for ids in self._model.tokenizer(texts)["input_ids"])
            self._tokens = self.max_length or _room(longest)
            # be-great builds its own list of callbacks; its progress bar is the one that can be ours. Fingerprints name caches, which
            # are not used here; on Python 3.12 datasets 5.2.0 cannot make them of a table.
            with (
                _replaced(library, "ChugProgressCallback", self._watch.callback),
                _replaced(arrow_dataset, "generate_fingerprint", lambda table: generate_random_fingerprint()),
            ):
                self._model.fit(table)
        if self._model.model.device.type != "cpu":
            self._watch.notes.append(GPU_NOTE)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Generate until ``n`` rows are valid, or ``max_attempts`` times ``n`` were started."""
        import be_great.great as library

        counts = {"started": 0, "valid": 0, "tokens": 0}
        limit = max(self.max_attempts * n, self.sample_batch)
        generate = self._model.model.generate

        def counted(**given: Any) -> Any:
            if counts["started"] >= limit:
                raise _Enough(f"{counts['started']} rows were started")
            tokens = generate(**given)
            counts["started"] += len(tokens)
            counts["tokens"] += len(tokens) * (tokens.shape[1] - given["input_ids"].shape[1])
            return tokens

        def bar(total: int) -> Any:
            return contextlib.nullcontext(_Bar(total, counts, self._report))

        self._model.model.generate = counted
        try:
            with global_seed(seed), contextlib.redirect_stdout(sys.stderr), _replaced(library, "tqdm", bar):
                frame = self._model.sample(
                    n, temperature=self.temperature, k=self.sample_batch, max_length=self._tokens, device=self.device
                )
        finally:
            self._model.model.generate = generate
        frame = complete({name: frame[name] for name in self._modelled}, self._schema, len(frame))
        if len(frame) < n and counts["started"] < limit:
            self._watch.notes.append(f"be-great gave up after {counts['started']} rows started; the log says why")
        lost = {"invalid": counts["started"] - counts["valid"], "surplus": counts["valid"] - len(frame)}
        rejected = {reason: count for reason, count in lost.items() if count}
        return Sample(frame, Yield(counts["started"], len(frame), rejected, counts["tokens"]))

    def describe(self) -> Mapping[str, Any]:
        """Loss curve, parameters, notes."""
        parameters = sum(weight.numel() for weight in self._model.model.parameters())
        return {"curve": self._watch.curve, "parameters": parameters, "notes": self._watch.notes}

    def _check_writable(self, train: pd.DataFrame) -> None:
        """GReaT splits rows at commas and at `` is ``: such names cannot be read back at all, such values come back cut."""
        for name in self._modelled:
            if "," in name or f"{name} is ".split(" is ")[0] != name or name != name.strip():
                raise Incompatible(
                    f"GReaT cannot read back column '{name}': a name must not contain a comma or ' is', nor start or end with a blank."
                )
        for name in self._schema.categorical:
            cut = train[name].str.contains(",| is ", na=False)
            if cut.any():
                self._watch.notes.append(
                    f"{int(cut.sum())} values of column '{name}' contain a comma or ' is ', at which GReaT cuts: they cannot come back whole"
                )

    def _from_scratch(self, texts: list[str]) -> str:
        """Write a small GPT-2 and a byte-level BPE tokenizer trained on ``texts`` to the work folder."""
        from tokenizers import ByteLevelBPETokenizer
        from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

        end = "<|endoftext|>"
        trained = ByteLevelBPETokenizer()
        trained.train_from_iterator(texts, vocab_size=self.vocabulary, special_tokens=[end], show_progress=False)
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=trained._tokenizer, bos_token=end, eos_token=end, pad_token=end
        )
        longest = max(len(ids) for ids in tokenizer(texts)["input_ids"])
        config = GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=max(self.max_length or 0, 2 * _room(longest)),
            n_layer=self.layers,
            n_embd=self.width,
            n_head=self.heads,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        folder = self._work / "llm"
        GPT2LMHeadModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)


class _Bar:
    """Stands in for be-great's progress bar, which alone is told how many rows of a batch were valid."""

    def __init__(self, total: int, counts: dict[str, int], report: Callable[..., None]) -> None:
        self.total, self.counts, self.report = total, counts, report

    def update(self, valid: int) -> None:
        self.counts["valid"] += valid
        self.report("sample", min(self.counts["valid"], self.total), self.total)


def _room(tokens: int) -> int:
    """Tokens to allow where the longest training row takes ``tokens``."""
    return int(tokens * 1.1) + 16


def _row_text(columns: Sequence[Column], row: Sequence[Any]) -> str:
    return ", ".join(f"{c.name} is {format_cell(c, value)}" for c, value in zip(columns, row, strict=True))


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)
