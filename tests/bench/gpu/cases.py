"""What is measured: training, sampling at several batch sizes, and be-great over the same weights."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.datasets.base import Dataset
from harness.dependencies import violations
from harness.generator import Context
from methods.row_llm import RowLLM
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import DecodingConfig, TrainingConfig
from methods.row_llm.model.language_model import precision
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling.row_source import RowSource
from methods.row_llm.training.batches import Batches
from methods.row_llm.training.trainer import RowLoss, train
from tests.bench.gpu.models import Size, base_folder, ceiling, table_model, text_model, timed
from tests.bench.peers.turns import complete_rows

NO_MEMORY = "out of the GPU's memory"
Layout = Literal["text", "table"]
Entry = dict[str, Any]
RATE = {"distilgpt2": 5e-4, "gpt2-medium": 2e-4}
"""Peak learning rates of the random weights."""


@dataclass
class Bench:
    """Where it runs.

    Attributes:
        device: the GPU, or the CPU to see that everything runs.
        folder: for models.
        peak: FLOP/s of a bf16 matrix product.
        models: those that were trained, by table, size and layout.
    """

    device: torch.device
    folder: Path
    peak: float = 0.0
    models: dict[tuple[str, str, str], tuple[LogitsModel, TextCodec | TableCodec]] = field(default_factory=dict)

    def measure_peak(self) -> Entry:
        """The bf16 ceiling that shares refer to."""
        self.peak = ceiling(self.device, 8192 if self.device.type == "cuda" else 256)
        return {"name": "ceiling/bf16_matmul", "tflops": self.peak / 1e12}

    def model(self, dataset: Dataset, size: Size, layout: Layout) -> tuple[LogitsModel, TextCodec | TableCodec]:
        """The trained model, or a new one."""
        key = (dataset.name, size.name, layout)
        if key not in self.models:
            self.models[key] = (
                text_model(self.folder, dataset, size, self.device)
                if layout == "text"
                else table_model(dataset, size, self.device)
            )
        return self.models[key]

    def forget(self) -> None:
        """Drop the models."""
        self.models.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def memory(self) -> float | None:
        """Peak GiB allocated on the GPU since the last call."""
        if self.device.type != "cuda":
            return None
        peak = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
        return peak


def batches_of(dataset: Dataset, codec: TextCodec | TableCodec, size: int, order: torch.Tensor | None) -> Batches:
    """Batches of the training rows."""
    return Batches(
        codec.encode(dataset.train),
        order,
        bos_token=codec.bos_token,
        end_token=codec.end_token,
        learn_all=False,
        batch_size=size,
        seed=0,
    )


def training(bench: Bench, dataset: Dataset, size: Size, layout: Layout, batch: int, steps: int) -> Entry:
    """``steps`` training steps as the generator takes them, columns in a fresh order for every row; continues an earlier case's model."""
    head, codec = bench.model(dataset, size, layout)
    batches = batches_of(dataset, codec, batch, None)
    head.model.train()
    with FlopCounterMode(display=False) as counter:
        inputs, places, targets = next(batches.epoch(0))
        RowLoss(head)(inputs.to(bench.device), places.to(bench.device), targets.to(bench.device)).backward()
    head.model.zero_grad(set_to_none=True)
    flops_per_token = counter.get_total_flops() / inputs.numel()
    padded = [part[0].numel() for part in batches.epoch(0)]
    bench.memory()
    config = TrainingConfig(-(-steps // batches.per_epoch), None, batch, RATE.get(size.name, 5e-4), 0.05, 0.0, 1e9)
    progress = train(head, batches, config, None, lambda *_, **__: None)
    rows_per_second = progress.rows / progress.seconds
    tokens = statistics.fmean(padded) * progress.step
    return {
        "name": f"train/{dataset.name}/{size.name}/{layout}/batch_{batch}",
        "rows_per_second": rows_per_second,
        "tokens_per_second": tokens / progress.seconds,
        "share_of_bf16_ceiling": flops_per_token * tokens / progress.seconds / bench.peak,
        "tokens_per_row": statistics.fmean(padded) / batch if len(padded) > 1 else padded[0] / len(inputs),
        "steps": progress.step,
        "seconds": progress.seconds,
        "loss": progress.curve[-1]["loss"],
        "peak_gib": bench.memory(),
        "parameters": sum(weight.numel() for weight in head.model.parameters()),
    }


def sampling(
    bench: Bench, dataset: Dataset, size: Size, layout: Layout, batch: int, mode: Literal["template", "constrained"]
) -> Entry:
    """Rows in random column orders (no prefixes shared): one batch to warm up, then ``max(batch, 2048)`` rows."""
    head, codec = bench.model(dataset, size, layout)
    head.model.eval()
    source = RowSource(head, codec, None, DecodingConfig(mode), batch, share=False)
    rows = max(batch, 2048)
    source.draw(min(batch, 256), np.random.default_rng(1), lambda done: None)
    bench.memory()
    name = f"sample/{dataset.name}/{size.name}/{layout}/{mode}/batch_{batch}"
    try:
        found, spent = timed(lambda: source.draw(rows, np.random.default_rng(0), lambda done: None), bench.device)
    except torch.OutOfMemoryError:
        bench.forget()
        return {"name": name, "rows_per_second": None, "why": NO_MEMORY}
    frame, state, tokens = found
    return {
        "name": name,
        "rows_per_second": rows / spent,
        "valid_rows_per_second": float((state == 0).sum()) / spent,
        "tokens_per_second": tokens / spent,
        "seconds": spent,
        "peak_gib": bench.memory(),
        "complete": len(complete_rows(frame[state == 0], dataset)),
    }


@torch.inference_mode()
def teacher_forced(bench: Bench, dataset: Dataset, size: Size, layout: Layout) -> Entry:
    """The limit: one plain bf16 pass over the rows' own tokens, logits where a value is predicted; the better of two batch sizes."""
    head, codec = bench.model(dataset, size, layout)
    head.model.eval()
    best = 0.0
    for batch in (256, 1024):
        parts = [
            tuple(part.to(bench.device) for part in found)
            for found, _ in zip(batches_of(dataset, codec, batch, None).epoch(0), range(4096 // batch), strict=False)
        ]

        def run(parts: list[Any] = parts) -> None:
            with precision(bench.device):
                for inputs, places, _ in parts:
                    head.logits(places, input_ids=inputs, use_cache=False)

        run()
        best = max(best, sum(len(part[0]) for part in parts) / timed(run, bench.device)[1])
    return {"name": f"limit/{dataset.name}/{size.name}/{layout}", "rows_per_second": best}


def great(
    bench: Bench,
    dataset: Dataset,
    size: Size,
    *,
    train_seconds: float,
    rate: float,
    batch: int,
    length: int | None,
    name: str,
    requests: Sequence[tuple[int, int]] = ((200, 100), (2048, 1024)),
    batches: Sequence[int] = (1024, 4096),
) -> list[Entry]:
    """be-great trains a model of this size and samples; ours samples from the same weights.

    Args:
        bench: where.
        dataset: the table.
        size: of the model.
        train_seconds: be-great's training.
        rate: its learning rate.
        batch: its rows a step.
        length: tokens of a row at most; ``None`` for what rows take.
        name: of the case.
        requests: rows be-great is asked for and its rows a batch, the library's default first.
        batches: rows a batch of ours, which is asked for as many, at least for what be-great is asked for last.
    """
    from tests.bench.peers.ours import adopted
    from tests.bench.peers.sides import KeptGReaT

    if find_spec("be_great") is None:
        return [{"name": name, "peer": "be_great", "why": "not installed: pip install be-great==0.0.14"}]
    device: Any = bench.device.type
    base = str(base_folder(bench.folder, dataset, size))
    peer = KeptGReaT(
        llm=base,
        epochs=1000,
        max_train_seconds=train_seconds,
        batch_size=batch,
        learning_rate=rate,
        sample_batch=100,
        max_length=length,
        max_attempts=2.0,
        device=device,
    )
    peer.bind(Context(bench.folder / "great", 1, lambda *_, **__: None))
    _, spent = timed(lambda: peer.fit(dataset.train, dataset.schema, seed=0), bench.device)
    keep = bench.folder / f"great-{dataset.name}-{size.name}"
    entries: list[Entry] = [
        {"name": f"{name}/training", "peer": "be_great", "seconds": spent, "curve": peer.describe()["curve"][-1:]}
    ]
    for rows, k in requests:
        peer.sample_batch = k
        entries.append({"peer": "be_great", **_complete(bench, dataset, f"{name}/be_great/batch_{k}", peer, rows)})
    peer.save(keep)
    ours = RowLLM("random", decoding="template", temperature=0.7, max_attempts=peer.max_attempts, device=device)
    ours._fitted = adopted(keep / "weights", dataset.train, dataset.schema)
    ours.fitted.logits_model.model.to(bench.device)
    ours.sample(min(batches[0], 256), seed=1)
    for k in batches:
        ours.config = replace(ours.config, sample_batch=k)
        entries.append(
            {"peer": None, **_complete(bench, dataset, f"{name}/ours/batch_{k}", ours, max(requests[-1][0], k))}
        )
    return entries


def as_it_ships(bench: Bench, dataset: Dataset, epochs: int) -> list[Entry]:
    """Our default arm on this device, at its default number of rows at once and at eight times as many."""
    ours = RowLLM("fd", epochs=epochs, device=bench.device.type)
    _, spent = timed(lambda: ours.fit(dataset.train, dataset.schema, seed=0), bench.device)
    rate = ours.describe()["train_rows_per_second"]
    entries: list[Entry] = [
        {"name": f"default/{dataset.name}/ours/training", "seconds": spent, "rows_per_second": rate, "epochs": epochs}
    ]
    for rows in (1024, 8192):
        ours.config = replace(ours.config, sample_batch=rows)
        ours.sample(256, seed=1)
        entries.append(_complete(bench, dataset, f"default/{dataset.name}/ours/batch_{rows}", ours, 16_384))
    return entries


def _complete(bench: Bench, dataset: Dataset, name: str, generator: Any, rows: int) -> Entry:
    """Complete rows per second of a generator that is asked for ``rows``, and what they break."""
    bench.memory()
    try:
        sample, spent = timed(lambda: generator.sample(rows, seed=0), bench.device)
    except torch.OutOfMemoryError:
        return {"name": name, "complete_rows_per_second": None, "why": NO_MEMORY}
    good = complete_rows(sample.frame, dataset)
    broken = {
        str(fd): float(violations(fd, dataset.train, good, dataset.schema).mask.mean())
        for fd in dataset.fds
        if len(good)
    }
    return {
        "name": name,
        "complete_rows_per_second": len(good) / spent,
        "complete": len(good),
        "started": sample.yield_.attempted if sample.yield_ else None,
        "seconds": spent,
        "peak_gib": bench.memory(),
        "fd_violation_rate": broken,
    }
