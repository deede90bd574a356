"""TabDiff's network with its schedules, loss and sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.diffusion import masked
from baselines.diffusion.edm import RHO, SIGMA_MAX, Preconditioning, churn, noise_label, sigma_at, time_of
from baselines.diffusion.generator import Rows
from baselines.diffusion.layers import Denoiser, Heads, Tokenizer, count, initialise, transformer
from baselines.diffusion.ragged import Ragged
from baselines.diffusion.training import generator

SIGMA_DATA = 1.0
RHO_START, RHO_LEAST = 7.0, 5.0
POWER_START, POWER_LEAST = -6.0, 1.0
"""Curvature ρ of numbers and power k of categories: softplus(learnt, from START) + LEAST."""


class Schedules(nn.Module):
    """Curvature of each number's σ and power of each category's masked share.

    Args:
        numbers: number columns.
        categories: category columns.
        learn: whether they are; else ρ = 7 and k = 1 for all.
    """

    def __init__(self, numbers: int, categories: int, learn: bool) -> None:
        super().__init__()
        self.learn = learn
        self.raw_rho = nn.Parameter(torch.full((numbers,), RHO_START), requires_grad=learn)
        self.raw_power = nn.Parameter(torch.full((categories,), POWER_START), requires_grad=learn)

    def rho(self) -> Tensor:
        """ρ (numbers,)."""
        return functional.softplus(self.raw_rho) + RHO_LEAST if self.learn else torch.full_like(self.raw_rho, RHO)

    def power(self) -> Tensor:
        """K (categories,)."""
        return functional.softplus(self.raw_power) + POWER_LEAST if self.learn else torch.ones_like(self.raw_power)


class Network(nn.Module):
    """Tokens through a transformer, the denoiser on all of them together, and a transformer back to columns.

    Args:
        numbers: number columns.
        sizes: categories of each category column, without the mask.
        options: of the generator.
    """

    def __init__(self, numbers: int, sizes: Sequence[int], options: Mapping[str, Any]) -> None:
        super().__init__()
        width, layers, hidden = options["token_dim"], options["transformer_layers"], options["hidden"]
        self.tokenizer = Tokenizer(numbers, [size + 1 for size in sizes], width)
        self.encoder = transformer(layers, width, hidden)
        self.denoiser = Denoiser(width * (numbers + len(sizes)), options["width"])
        self.decoder = transformer(layers, width, hidden)
        self.heads = Heads(numbers, sizes, width)
        self.schedules = Schedules(numbers, len(sizes), options["learn_schedules"])
        self.register_buffer("mask", torch.tensor(sizes, dtype=torch.long), persistent=False)

    def forward(self, numbers: Tensor, codes: Tensor, masks: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Raw numbers and logits.

        Args:
            numbers: scaled, (rows, numbers).
            codes: (rows, categories); those under a mask do not matter.
            masks: (rows, categories), 1 where masked; may carry a gradient.
            label: of the noise, (rows,).
        """
        assert isinstance(self.mask, Tensor)
        shown, hidden = self.tokenizer.embed(codes), self.tokenizer.embed(self.mask.expand(len(codes), -1))
        tokens = self.tokenizer.join(numbers, shown + masks[..., None] * (hidden - shown))
        encoded = self.encoder(tokens)
        changed = self.denoiser(encoded.flatten(1), label).view_as(encoded)
        out: tuple[Tensor, Tensor] = self.heads(self.decoder(changed))
        return out


class Model:
    """The network with the diffusion of numbers and of categories.

    Args:
        network: on its device.
        rows: the training rows.
        steps: times of the sampler.
        bf16: whether matrix products are in bfloat16.
    """

    def __init__(self, network: Network, rows: Rows, steps: int, bf16: bool) -> None:
        self.network, self.rows, self.steps, self.bf16 = network, rows, steps, bf16
        self.numbers, self.categories = rows.numbers.shape[1], len(rows.sizes)
        self.ragged = Ragged(rows.sizes, rows.device)
        self.scales = Preconditioning(SIGMA_DATA)

    def predict(self, numbers: Tensor, sigma: Tensor, codes: Tensor, masks: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Denoised numbers at σ (rows, numbers), and log-probabilities of categories (rows, total), at times (rows, 1)."""
        scales = self.scales
        label = noise_label(sigma_at(t))[:, 0]
        with torch.autocast(self.rows.device.type, torch.bfloat16, enabled=self.bf16):
            raw, logits = self.network(scales.into(sigma) * numbers, codes, masks, label)
        denoised = scales.skip(sigma) * numbers + scales.out(sigma) * raw.float()
        return denoised, self.ragged.log_softmax(logits.float()) if self.categories else logits

    def loss(self, chosen: Tensor, source: torch.Generator, share: float) -> Tensor:
        """The categories' bound in nats a cell, plus the numbers' weighted squared error, whose part falls to 0 over training."""
        clean, codes = self.rows.numbers[chosen], self.rows.codes[chosen]
        device, schedules = self.rows.device, self.network.schedules
        t = torch.rand(len(chosen), 1, generator=source, device=device)
        sigma, power = sigma_at(t, schedules.rho()), schedules.power()
        noise = torch.randn(clean.shape, generator=source, device=device)
        masks = masked.draw_masks(masked.masked_share(t, power), source)
        denoised, logs = self.predict(clean + sigma * noise, sigma, codes, masks, t)
        total = torch.zeros((), device=device)
        if self.categories:
            surprise = -self.ragged.pick(logs, codes) * masks.detach()
            total = total + (masked.weight(t, power) * surprise).mean()
        if self.numbers:
            error = (self.scales.weight(sigma) * (denoised - clean).square()).mean()
            # Numbers alone have no other loss that could take over.
            total = total + error * (1 - share if self.categories else 1.0)
        return total

    def sample(self, rows: int, source: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """From noise and masks at t = 1 to t = 0, where no cell is left masked."""
        device, schedules = self.rows.device, self.network.schedules
        self.rho, self.power = schedules.rho(), schedules.power()
        numbers = torch.randn(rows, self.numbers, generator=source, device=device) * SIGMA_MAX
        codes = torch.zeros(rows, self.categories, dtype=torch.long, device=device)
        hidden = torch.ones(rows, self.categories, dtype=torch.bool, device=device)
        times = torch.linspace(1, 0, max(self.steps, 2), dtype=torch.float64).tolist()
        for now, after in zip(times, [*times[1:], None], strict=True):
            numbers, codes, hidden = self._step(numbers, codes, hidden, now, after, source)
        return numbers, codes, None

    def _step(
        self, numbers: Tensor, codes: Tensor, hidden: Tensor, now: float, after: float | None, source: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Raise the noise a little, then go down to time ``after``; ``None`` is the end: no noise, no mask."""
        device = self.rows.device
        raised = self._raised(now)
        sigma = self._sigma(raised)
        if raised > now:
            extra = (sigma**2 - self._sigma(now) ** 2).clamp_min(0).sqrt()
            numbers = numbers + extra * torch.randn(numbers.shape, generator=source, device=device)
            hidden = masked.remask(hidden, self._share(now), self._share(raised), source)
        denoised, logs = self._predict(numbers, codes, hidden, raised)
        slope = (numbers - denoised) / sigma
        target = self._sigma(after) if after is not None else torch.zeros_like(sigma)
        moved = numbers + (target - sigma) * slope
        if after is not None and self.numbers:
            again, _ = self._predict(moved, codes, hidden, after)
            moved = numbers + (target - sigma) * (slope + (moved - again) / target) / 2
        if self.categories:
            share = self._share(after) if after is not None else torch.zeros_like(self.power)
            still = masked.unmask(hidden, self._share(raised), share, source)
            codes = torch.where(hidden & ~still, self.ragged.draw(logs, source), codes)
            hidden = still
        return moved, codes, hidden

    def _predict(self, numbers: Tensor, codes: Tensor, hidden: Tensor, time: float) -> tuple[Tensor, Tensor]:
        t = torch.full((len(numbers), 1), time, device=self.rows.device)
        return self.predict(numbers, self._sigma(time).expand_as(numbers), codes, hidden.float(), t)

    def _raised(self, time: float) -> float:
        """The time at which no column's σ has grown by more than the churn."""
        rho = self.rho.double() if self.numbers else torch.tensor([RHO], dtype=torch.float64)
        sigma = sigma_at(torch.tensor(time, dtype=torch.float64, device=rho.device), rho)
        least = float(time_of(sigma * (1 + churn(self.steps)), rho).min())
        return min(max(least, time), 1.0)

    def _sigma(self, time: float) -> Tensor:
        return sigma_at(torch.tensor(time, device=self.rho.device), self.rho)

    def _share(self, time: float) -> Tensor:
        return masked.masked_share(torch.tensor(time, device=self.power.device), self.power)

    @torch.no_grad()
    def half_times(self) -> tuple[list[float], list[float], float, float]:
        """When half of each number, and of each category, is there; then both kinds' times before training."""
        schedules = self.network.schedules
        start = Schedules(1, 1, schedules.learn)
        one = torch.tensor(SIGMA_DATA, device=self.rows.device)
        return (
            time_of(one, schedules.rho()).tolist(),
            masked.half_time(schedules.power()).tolist(),
            float(time_of(one.cpu(), start.rho())[0]),
            float(masked.half_time(start.power())[0]),
        )

    def parameters(self) -> int:
        """How many are trained."""
        return count(self.network)


def build(rows: Rows, options: Mapping[str, Any], seed: int) -> Model:
    """A model with fresh weights for these rows."""
    source = generator("cpu", seed, "weights")
    network = initialise(lambda: Network(rows.numbers.shape[1], rows.sizes, options), source)
    return Model(network.to(rows.device), rows, options["sample_steps"], options["bf16"])
