"""Training: what a step is, and the loop over steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from harness.seeding import derive_seed, global_seed
from methods.row_llm.config import TrainingConfig
from methods.row_llm.model.language_model import precision
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.model.threads import make_repeatable
from methods.row_llm.training.batches import Batches
from methods.row_llm.training.checkpoint import Progress, resume, save_checkpoint, trained
from methods.row_llm.training.prefetch import on_device
from methods.row_llm.training.schedule import TrainingSchedule

BETAS = (0.9, 0.95)
"""AdamW's decay rates, those of GPT-3 (Brown et al., 2020). Against torch's (0.9, 0.999), us_location, 5 epochs, two
seeds: broken dependencies .0016 and .0015 for .0038 and .0035, held-out rows .003 and .023 bits better; adult, 3
epochs: .0015 and .0016 for .0045 and .0031, .14 and .11 bits better; at the same speed."""

SLACK = 1.2
"""Steps on all threads may take so much longer than on one before one is taken: steps are alike."""


class RowLoss(nn.Module):
    """The mean cross-entropy of the learnt targets."""

    def __init__(self, logits_model: LogitsModel) -> None:
        super().__init__()
        self.model = logits_model.model
        self.logits_model = logits_model
        self.width = int(getattr(self.model.config, "hidden_size", 0))

    def forward(self, inputs: Tensor, target_positions: Tensor, targets: Tensor) -> Tensor:
        """The loss in nats per learnt token, a scalar.

        Args:
            inputs: tokens, shape (batch, length).
            target_positions: where tokens are predicted, row · length + place in the row, shape (targets,).
            targets: the tokens that follow there, shape (targets,).
        """
        with precision(inputs.device, self.width):
            # (targets, vocabulary)
            logits = self.logits_model.logits(target_positions, input_ids=inputs, use_cache=False)
        return nn.functional.cross_entropy(logits.float(), targets)


def step_gradients(logits_model: LogitsModel, batch: Sequence[Tensor], seed: int) -> list[Tensor | None]:
    """Loss and gradients of a batch, without a trace in the model: what a step computes."""
    torch.manual_seed(seed)  # for dropout
    loss = RowLoss(logits_model)(*batch)
    parameters = list(trained(logits_model).values())
    return [loss.detach(), *torch.autograd.grad(loss, parameters, allow_unused=True)]


def train(
    logits_model: LogitsModel,
    batches: Batches,
    config: TrainingConfig,
    folder: Path | None,
    report: Callable[..., None],
) -> Progress:
    """Train in place; continues from the checkpoint in ``folder`` when there is one.

    Runs on Accelerate: data-parallel when started in several processes (``accelerate launch`` on GPUs, ``torchrun`` on
    CPUs). Matrix products in bf16 where :func:`methods.row_llm.model.language_model.mixed_precision` says so.

    Args:
        logits_model: the model.
        batches: what to train on.
        config: budget and rates.
        folder: where checkpoints go; ``None`` for none.
        report: told ``("fit", step, steps, loss=…, rows_per_second=…, eta_seconds=…)`` about once a second.
    """
    model = logits_model.model
    accelerator = Accelerator(cpu=model.device.type == "cpu", mixed_precision="no")  # RowLoss casts
    saves = folder is not None and accelerator.is_main_process
    optimizer = torch.optim.AdamW(
        list(trained(logits_model).values()),
        lr=config.learning_rate,
        betas=BETAS,
        weight_decay=config.weight_decay,
        fused=True,
    )
    progress = Progress() if folder is None else resume(folder, logits_model, optimizer)
    make_repeatable(model)
    row_loss = accelerator.prepare_model(RowLoss(logits_model))
    model.train()
    dropout = any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())
    steps = None if config.epochs is None else config.epochs * batches.per_epoch
    schedule = TrainingSchedule(config, steps, progress, report, batches.per_epoch)
    with global_seed(batches.seed), logits_model.threads.watch(model, SLACK):
        while not schedule.spent():
            epoch, done = divmod(progress.step, batches.per_epoch)
            for batch in on_device(islice(batches.epoch(epoch), done, None), model.device):
                tried = partial(step_gradients, logits_model, batch, batches.seed)
                logits_model.threads.settle(batch[0].numel(), tried)
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * schedule.rate()
                if dropout:  # per step, so that a resumed run repeats it
                    torch.manual_seed(derive_seed(batches.seed, "dropout", progress.step))
                loss = row_loss(*batch)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                schedule.count_step(loss.detach(), len(batch[0]) * batches.world)
                if saves and folder is not None and schedule.checkpoint_due():
                    save_checkpoint(folder, logits_model, optimizer, progress)
                if schedule.spent():
                    break
    schedule.close()
    if saves and folder is not None:
        save_checkpoint(folder, logits_model, optimizer, progress)
    model.eval()
    return progress
