"""Multinomial diffusion (Hoogeboom et al., arXiv 2102.05379): a category is kept or replaced by a uniform one at every step."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.diffusion.gaussian import cosine_betas
from baselines.diffusion.ragged import Ragged

FLOOR = 1e-30
"""Stands for a probability of 0 in logarithms."""


class MultinomialDiffusion:
    """q(x_t | x_0) keeps a category with probability ᾱ_t and otherwise draws a uniform one; times as in ``GaussianDiffusion``.

    Args:
        steps: T.
        ragged: the columns.
        device: where rows are.
    """

    def __init__(self, steps: int, ragged: Ragged, device: torch.device | str = "cpu") -> None:
        beta = cosine_betas(steps)
        kept = (1 - beta).cumprod(0)
        self.steps = steps
        self.ragged = ragged
        self.log_uniform = -ragged.counts.double().log()[ragged.column].float().to(device)
        self.step = _logs(beta, device)
        self.cumulative = _logs(1 - kept, device)

    def noised(self, codes: Tensor, t: Tensor, source: torch.Generator) -> Tensor:
        """Codes (rows, columns) at times (rows,)."""
        keep = torch.rand(codes.shape, generator=source, device=codes.device).log() < self.cumulative[0][t][:, None]
        uniform = torch.rand(codes.shape, generator=source, device=codes.device) * self.ragged.counts
        return torch.where(keep, codes, torch.minimum(uniform.long(), self.ragged.counts - 1))

    def marginal(self, log_clean: Tensor, t: Tensor) -> Tensor:
        """log q(x_t) (rows, total) when x_0 has log-probabilities ``log_clean``."""
        return self._mix(log_clean, self.cumulative, t)

    def posterior(self, log_clean: Tensor, log_noised: Tensor, t: Tensor) -> Tensor:
        """log q(x_{t−1} | x_t, x_0) (rows, total), with x_0's one-hot replaced by its probabilities; x_0 itself at t = 0."""
        before = self._mix(log_clean, self.cumulative, (t - 1).clamp_min(0))
        joint = torch.where((t == 0)[:, None], log_clean, before + self._mix(log_noised, self.step, t))
        return self.ragged.log_softmax(joint)

    def loss(self, log_predicted: Tensor, codes: Tensor, noised: Tensor, t: Tensor) -> Tensor:
        """The variational bound's term at t, times T, and the prior's: an estimate of −ln p(x_0) (rows,) summed over columns."""
        clean = log_one_hot(self.ragged.one_hot(codes))
        given = log_one_hot(self.ragged.one_hot(noised))
        true = self.posterior(clean, given, t)
        model = self.posterior(log_predicted, given, t)
        divergence = (true.exp() * (true - model)).sum(1)
        first = -self.ragged.pick(model, codes).sum(1)
        last = self.marginal(clean, torch.full_like(t, self.steps - 1))
        prior = (last.exp() * (last - self.log_uniform)).sum(1)
        return self.steps * torch.where(t == 0, first, divergence) + prior

    def back(self, log_predicted: Tensor, noised: Tensor, t: Tensor, source: torch.Generator) -> Tensor:
        """Codes drawn from p(x_{t−1} | x_t)."""
        given = log_one_hot(self.ragged.one_hot(noised))
        return self.ragged.draw(self.posterior(log_predicted, given, t), source)

    def _mix(self, logs: Tensor, table: tuple[Tensor, Tensor], t: Tensor) -> Tensor:
        """Kept with one probability, uniform with the other."""
        keep, replace = (part[t][:, None] for part in table)
        return torch.logaddexp(logs + keep, replace + self.log_uniform)


def log_one_hot(ones: Tensor) -> Tensor:
    """Logarithms of ones and of zeros, these at :data:`FLOOR`."""
    return ones.clamp_min(FLOOR).log()


def _logs(replaced: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Logarithms of the probabilities of keeping and of replacing."""
    return (
        (1 - replaced).clamp_min(FLOOR).log().float().to(device),
        replaced.clamp_min(FLOOR).log().float().to(device),
    )
