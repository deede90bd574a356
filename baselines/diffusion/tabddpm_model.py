"""TabDDPM's network, loss and sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.diffusion.gaussian import GaussianDiffusion
from baselines.diffusion.generator import Rows
from baselines.diffusion.layers import count, initialise, sinusoids
from baselines.diffusion.multinomial import MultinomialDiffusion
from baselines.diffusion.ragged import Ragged
from baselines.diffusion.training import generator

TIME_WIDTH = 128


class Perceptron(nn.Module):
    """Values, time and class to as many values.

    Args:
        values: length of a row.
        layers: widths of the hidden layers.
        labels: number of classes; 0 for none.
    """

    def __init__(self, values: int, layers: Sequence[int], labels: int) -> None:
        super().__init__()
        self.project = nn.Linear(values, TIME_WIDTH)
        self.time = nn.Sequential(nn.Linear(TIME_WIDTH, TIME_WIDTH), nn.SiLU(), nn.Linear(TIME_WIDTH, TIME_WIDTH))
        self.label = ClassTable(labels) if labels else None
        widths = [TIME_WIDTH, *layers]
        hidden = [
            part for pair in zip(widths[:-1], layers, strict=True) for part in (nn.Linear(pair[0], pair[1]), nn.ReLU())
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], values))

    def forward(self, values: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        """Rows (rows, values) at times (rows,) with classes (rows,)."""
        known = self.time(sinusoids(t, TIME_WIDTH))
        if self.label is not None and labels is not None:
            known = known + functional.silu(functional.embedding(labels, self.label.table))
        out: Tensor = self.layers(self.project(values) + known)
        return out


class ClassTable(nn.Module):
    """A vector a class."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(labels, TIME_WIDTH))

    def reset(self, source: torch.Generator) -> None:
        """Draw them, standard normal."""
        nn.init.normal_(self.table, generator=source)


class Model:
    """The network with the two diffusions.

    Args:
        network: on its device.
        rows: the training rows.
        timesteps: T.
        bf16: whether matrix products are in bfloat16.
    """

    def __init__(self, network: Perceptron, rows: Rows, timesteps: int, bf16: bool) -> None:
        self.network, self.rows, self.timesteps, self.bf16 = network, rows, timesteps, bf16
        self.numbers = rows.numbers.shape[1]
        self.gaussian = GaussianDiffusion(timesteps, rows.device)
        self.ragged = Ragged(rows.sizes, rows.device)
        self.multinomial = MultinomialDiffusion(timesteps, self.ragged, rows.device) if rows.sizes else None
        self.bounds = (rows.numbers.amin(0), rows.numbers.amax(0)) if self.numbers else None
        self.shares = None
        if rows.labels is not None:
            self.shares = torch.bincount(rows.labels.cpu(), minlength=rows.label_size).float().to(rows.device)

    def predict(self, numbers: Tensor, codes: Tensor, t: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """The noise of numbers, and log-probabilities of clean categories."""
        values = torch.cat([numbers, self.ragged.one_hot(codes)], 1) if self.rows.sizes else numbers
        with torch.autocast(self.rows.device.type, torch.bfloat16, enabled=self.bf16):
            out = self.network(values, t, labels)
        out = out.float()
        logits = out[:, self.numbers :]
        return out[:, : self.numbers], self.ragged.log_softmax(logits) if self.rows.sizes else logits

    def loss(self, chosen: Tensor, source: torch.Generator, share: float) -> Tensor:
        """Mean squared error of the noise, plus the categories' bound in nats a column; ``share`` is not used."""
        numbers, codes = self.rows.numbers[chosen], self.rows.codes[chosen]
        labels = None if self.rows.labels is None else self.rows.labels[chosen]
        device = self.rows.device
        t = torch.randint(self.timesteps, (len(chosen),), generator=source, device=device)
        noise = torch.randn(numbers.shape, generator=source, device=device)
        noised = self.multinomial.noised(codes, t, source) if self.multinomial else codes
        predicted, logs = self.predict(self.gaussian.noised(numbers, t, noise), noised, t, labels)
        total = torch.zeros((), device=device)
        if self.numbers:
            total = total + functional.mse_loss(predicted, noise)
        if self.multinomial:
            total = total + self.multinomial.loss(logs, codes, noised, t).mean() / len(self.rows.sizes)
        return total

    def sample(self, rows: int, source: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """All T steps back, from noise."""
        device = self.rows.device
        labels = None
        if self.shares is not None:
            labels = torch.multinomial(self.shares, rows, replacement=True, generator=source)
        numbers = torch.randn(rows, self.numbers, generator=source, device=device)
        uniform = torch.rand(rows, len(self.rows.sizes), generator=source, device=device) * self.ragged.counts
        codes = torch.minimum(uniform.long(), self.ragged.counts - 1)
        for step in reversed(range(self.timesteps)):
            t = torch.full((rows,), step, device=device)
            predicted, logs = self.predict(numbers, codes, t, labels)
            if self.bounds is not None:
                noise = torch.randn(numbers.shape, generator=source, device=device)
                numbers = self.gaussian.back(numbers, t, predicted, noise, self.bounds)
            if self.multinomial:
                codes = self.multinomial.back(logs, codes, t, source)
        return numbers, codes, labels

    def parameters(self) -> int:
        """How many are trained."""
        return count(self.network)


def build(rows: Rows, options: Mapping[str, Any], seed: int) -> Model:
    """A model with fresh weights for these rows."""
    values = rows.numbers.shape[1] + sum(rows.sizes)
    source = generator("cpu", seed, "weights")
    network = initialise(lambda: Perceptron(values, options["layers"], rows.label_size), source)
    return Model(network.to(rows.device), rows, options["timesteps"], options["bf16"])
