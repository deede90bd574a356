"""Training: rows are assembled from token chunks, batch by batch, in the order the policy asks for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from harness.seeding import derive_seed, global_seed
from methods.row_llm.checkpoint import Progress, resume, save_checkpoint, trained
from methods.row_llm.chunks import Chunks
from methods.row_llm.config import TrainingConfig
from methods.row_llm.model import Head, precision
from methods.row_llm.prefetch import on_device

BETAS = (0.9, 0.95)
"""AdamW's decay rates, those of GPT-3 (Brown et al., 2020). Against torch's (0.9, 0.999), us_location, 5 epochs, two seeds: broken
dependencies .0016 and .0015 for .0038 and .0035, held-out rows .003 and .023 bits better; adult, 3 epochs: .0015 and .0016 for .0045 and
.0031, .14 and .11 bits better; at the same speed."""


class Batches:
    """Batches of rows with next-token targets.

    Args:
        chunks: the training rows.
        order: column positions (columns,), or ``None`` for a fresh random order for every row and epoch.
        first: the token every row begins with.
        end: the token that closes the last value in place of a separator; ``None`` for rows without separators.
        learn_all: whether names and the end of the row are learnt too (they are when they will be sampled).
        batch_size: rows of a batch.
        seed: of row and column shuffles.
        rank: which part of each batch this process trains on, of ``world``.
        world: number of processes.
    """

    def __init__(
        self,
        chunks: Chunks,
        order: Tensor | None,
        *,
        first: int,
        end: int | None,
        learn_all: bool,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.chunks = chunks
        self.order = order
        self.first = first
        self.end = end
        self.learn_all = learn_all
        self.batch_size = batch_size
        self.seed = seed
        self.rank, self.world = rank, world
        self.per_epoch = math.ceil(len(chunks) / batch_size)
        self.lengths = chunks.row_lengths()
        self.whole = None if order is None else self._table(order)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Inputs (batch, length), flat places of the learnt targets, and the targets there."""
        orders = self._generator("orders", epoch)
        columns = self.chunks.codes.shape[1]
        for rows in self._batches(epoch):
            share = torch.arange(self.rank, math.ceil(len(rows) / self.world) * self.world, self.world) % len(rows)
            if self.whole is None:
                order = torch.rand((len(rows), columns), generator=orders).argsort(1)
                tokens, learn, _ = self._rows(rows[share], order[share])
            else:
                longest = int(self.whole[2][rows].max())
                tokens, learn = (part[rows[share], :longest] for part in self.whole[:2])
                tokens = tokens.long()
            places = learn[:, 1:].flatten().nonzero().squeeze(1)
            yield tokens[:, :-1], places, tokens[:, 1:].flatten()[places]

    def _batches(self, epoch: int) -> list[Tensor]:
        """Shuffled rows, cut into batches; where rows differ in length, neighbours of 50 batches are sorted by it first."""
        source = self._generator("rows", epoch)
        shuffled = torch.randperm(len(self.chunks), generator=source)
        if bool((self.lengths == self.lengths[0]).all()):
            return list(torch.split(shuffled, self.batch_size))
        pools = [pool[self.lengths[pool].argsort(stable=True)] for pool in torch.split(shuffled, 50 * self.batch_size)]
        batches = [batch for pool in pools for batch in torch.split(pool, self.batch_size)]
        return [batches[int(place)] for place in torch.randperm(len(batches), generator=source)]

    def _table(self, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All rows in one order, written once, in compact types and in pieces to bound memory."""
        pieces = []
        for rows in torch.split(torch.arange(len(self.chunks)), 50_000):
            part_tokens, part_learn, part_lengths = self._rows(rows, order)
            pieces.append((part_tokens.int(), part_learn, part_lengths))
        lengths = torch.cat([piece[2] for piece in pieces])
        longest = int(lengths.max())
        tokens = torch.zeros((len(lengths), longest), dtype=torch.int32)
        learn = torch.zeros((len(lengths), longest), dtype=torch.bool)
        start = 0
        for part_tokens, part_learn, _ in pieces:
            end = start + len(part_tokens)
            tokens[start:end, : part_tokens.shape[1]], learn[start:end, : part_tokens.shape[1]] = (
                part_tokens,
                part_learn,
            )
            start = end
        return tokens, learn, lengths

    def _rows(self, rows: Tensor, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens with the row token before them, which of them are learnt, and lengths."""
        tokens, value, lengths = self.chunks.assemble(rows, order)
        if self.end is not None:
            tokens.scatter_(1, lengths[:, None] - 1, self.end)
        edge = torch.full((len(rows), 1), self.first)
        if self.learn_all and self.end is None:
            tokens = torch.cat([tokens, edge], 1)
            lengths = lengths + 1
        if self.learn_all:
            value = torch.arange(tokens.shape[1]) < lengths[:, None]
        return torch.cat([edge, tokens], 1), torch.nn.functional.pad(value, (1, 0)), lengths + 1

    def _generator(self, purpose: str, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, purpose, epoch))


class RowLoss(nn.Module):
    """The mean cross-entropy of the learnt targets."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.model = head.model
        self.head = head

    def forward(self, inputs: Tensor, places: Tensor, targets: Tensor) -> Tensor:
        """The loss in nats per learnt token."""
        with precision(inputs.device):
            logits = self.head.logits(places, input_ids=inputs, use_cache=False)
        return nn.functional.cross_entropy(logits.float(), targets)


def train(
    head: Head,
    batches: Batches,
    config: TrainingConfig,
    folder: Path | None,
    report: Callable[..., None],
) -> Progress:
    """Train in place; continues from the checkpoint in ``folder`` when there is one.

    Runs on Accelerate: data-parallel when started in several processes (``accelerate launch`` on GPUs, ``torchrun`` on CPUs). bf16
    autocast on a GPU.

    Args:
        head: the model.
        batches: what to train on.
        config: budget and rates.
        folder: where checkpoints go; ``None`` for none.
        report: told ``("fit", step, steps, loss=…, rows_per_second=…, eta_seconds=…)`` about once a second.
    """
    device = head.model.device
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")  # RowLoss casts
    parameters = list(trained(head).values())
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, betas=BETAS, weight_decay=config.weight_decay, fused=True
    )
    progress = Progress() if folder is None else resume(folder, head, optimizer)
    loss_of = accelerator.prepare_model(RowLoss(head))
    head.model.train()
    dropout = any(isinstance(module, nn.Dropout) and module.p > 0 for module in head.model.modules())
    steps = None if config.epochs is None else config.epochs * batches.per_epoch
    loop = Loop(config, steps, progress, report, batches.per_epoch)
    with global_seed(batches.seed):
        while not loop.spent():
            epoch, done = divmod(progress.step, batches.per_epoch)
            for inputs, places, targets in on_device(islice(batches.epoch(epoch), done, None), device):
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * loop.rate()
                if dropout:  # per step, so that a resumed run repeats it
                    torch.manual_seed(derive_seed(batches.seed, "dropout", progress.step))
                loss = loss_of(inputs, places, targets)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                loop.done(loss.detach(), len(inputs) * batches.world)
                if folder is not None and accelerator.is_main_process and loop.checkpoint_due():
                    save_checkpoint(folder, head, optimizer, progress)
                if loop.spent():
                    break
    loop.close()
    if folder is not None and accelerator.is_main_process:
        save_checkpoint(folder, head, optimizer, progress)
    head.model.eval()
    return progress


class Loop:
    """Keeps the time, the learning rate and the loss curve of a training run."""

    def __init__(
        self, config: TrainingConfig, steps: int | None, progress: Progress, report: Callable[..., None], per_epoch: int
    ) -> None:
        self.config = config
        self.steps = steps
        self.progress = progress
        self.report = report
        self.per_epoch = per_epoch
        self.before = progress.seconds
        self.start = self.told = self.saved = time.monotonic()
        self.rows_before = progress.rows
        self.losses: list[Tensor] = []

    def share(self) -> float:
        """Share of the budget that is spent, by steps or by time, whichever is greater."""
        by_steps = self.progress.step / self.steps if self.steps else 0.0
        by_time = self.progress.seconds / self.config.max_seconds if self.config.max_seconds else 0.0
        return max(by_steps, by_time)

    def spent(self) -> bool:
        """Whether training is over."""
        return self.share() >= 1.0

    def rate(self) -> float:
        """The learning rate's share of its peak."""
        share, warmup = self.share(), self.config.warmup
        if share < warmup:
            return 0.02 + 0.98 * share / warmup
        return (1.0 - share) / (1.0 - warmup)

    def done(self, loss: Tensor, rows: int) -> None:
        """Count a step."""
        self.progress.step += 1
        self.progress.rows += rows
        self.progress.seconds = self.before + time.monotonic() - self.start
        self.losses.append(loss)
        every = max(1, self.steps // 50) if self.steps else 100
        if self.progress.step % every == 0:
            self._point()
        if time.monotonic() - self.told >= 1.0:
            self._tell()

    def checkpoint_due(self) -> bool:
        """Whether it is time to save."""
        due = time.monotonic() - self.saved >= self.config.checkpoint_seconds
        if due:
            self.saved = time.monotonic()
        return due

    def close(self) -> None:
        """Write the last point; a GPU's work counts until it is done."""
        if self.losses:
            torch.stack(self.losses).cpu()
            self.progress.seconds = self.before + time.monotonic() - self.start
            self._point()
        self._tell()

    def _point(self) -> None:
        loss = float(torch.stack(self.losses).mean())
        self.losses = []
        epoch = self.progress.step / self.per_epoch
        self.progress.curve.append(
            {"step": self.progress.step, "epoch": epoch, "loss": loss, "seconds": self.progress.seconds}
        )

    def _tell(self) -> None:
        self.told = time.monotonic()
        spent = max(self.progress.seconds - self.before, 1e-9)
        share = min(self.share(), 1.0)
        eta = self.progress.seconds * (1.0 - share) / share if share else math.nan
        loss = float(self.losses[-1]) if self.losses else (self.progress.curve or [{"loss": math.nan}])[-1]["loss"]
        rate = (self.progress.rows - self.rows_before) / spent
        total = self.steps or round(self.progress.step / share) if share else 0
        self.report("fit", self.progress.step, total, loss=loss, rows_per_second=rate, eta_seconds=eta)
