"""Tokenizer, transformer, heads, time embedding and the denoising network: what the three networks are put together from.

Weights are drawn from a generator that is passed (:func:`initialise`), never from global state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

M = TypeVar("M", bound=nn.Module)


@runtime_checkable
class Drawn(Protocol):
    """A module that draws its own weights."""

    def reset(self, source: torch.Generator) -> None:
        """Draw them."""


class Tokenizer(nn.Module):
    """One token a column: a number scales its column's vector, a category has one of its own; each column adds a bias.

    Args:
        numbers: number columns.
        sizes: categories of each category column.
        width: of a token.
    """

    def __init__(self, numbers: int, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(numbers, width))
        self.table = nn.Parameter(torch.empty(sum(sizes), width))
        self.bias = nn.Parameter(torch.empty(numbers + len(sizes), width))
        self.register_buffer("offsets", offsets(sizes), persistent=False)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Tokens (rows, columns, width), numbers first."""
        return self.join(numbers, self.embed(codes))

    def embed(self, codes: Tensor) -> Tensor:
        """Vectors (rows, categories, width) of codes, without their column's bias."""
        assert isinstance(self.offsets, Tensor)
        return functional.embedding(codes + self.offsets, self.table)

    def join(self, numbers: Tensor, embedded: Tensor) -> Tensor:
        """Tokens of numbers (rows, numbers) and of embedded categories."""
        return torch.cat([numbers[..., None] * self.weight, embedded], 1) + self.bias

    def reset(self, source: torch.Generator) -> None:
        """Draw weights, uniform within 1/√width."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        for parameter in (self.weight, self.table, self.bias):
            nn.init.uniform_(parameter, -bound, bound, generator=source)


class Heads(nn.Module):
    """Tokens back to numbers (a dot product each) and logits of categories (an affine map each)."""

    def __init__(self, numbers: int, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.weight = nn.Parameter(torch.empty(numbers, width))
        self.logits = nn.ModuleList(nn.Linear(width, size) for size in sizes)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers (rows, numbers) and logits (rows, all categories side by side)."""
        numbers = (tokens[:, : self.numbers] * self.weight).sum(-1)
        logits = [head(tokens[:, self.numbers + place]) for place, head in enumerate(self.logits)]
        return numbers, torch.cat(logits, 1) if logits else numbers.new_zeros(len(numbers), 0)

    def reset(self, source: torch.Generator) -> None:
        """Draw the numbers' weights; the categories' are linear layers' own."""
        nn.init.uniform_(self.weight, -1, 1, generator=source)


class Block(nn.Module):
    """A pre-norm transformer layer with one head and no output projection.

    Args:
        width: of a token.
        hidden: of the feed-forward part.
        first: the first layer has no norm before its attention.
    """

    def __init__(self, width: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.before_attention = nn.Identity() if first else nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.before_hidden = nn.LayerNorm(width)
        self.hidden = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (rows, columns, width) to as many."""
        query, key, value = self.project(self.before_attention(tokens)).chunk(3, -1)
        tokens = tokens + attend(query, key, value)
        changed: Tensor = tokens + self.hidden(self.before_hidden(tokens))
        return changed


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention of one head, spelt out: at a width of four it is faster than a fused kernel."""
    scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
    return scores.softmax(-1) @ value


def transformer(layers: int, width: int, hidden: int) -> nn.Sequential:
    """Layers without a final norm."""
    return nn.Sequential(*(Block(width, hidden, first=place == 0) for place in range(layers)))


def sinusoids(time: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """Sines and cosines (rows, width) of ``time`` (rows,) at geometric frequencies from 1 to 1/``longest``."""
    half = width // 2
    rates = torch.exp(-math.log(longest) * torch.arange(half, device=time.device, dtype=torch.float32) / half)
    angles = time.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class Denoiser(nn.Module):
    """The multilayer perceptron of TabSyn and TabDiff: values and time, projected to one width and added, through three layers.

    Args:
        values: length of a row.
        width: of the projection; the layers have twice as many units, the last of them as many.
    """

    def __init__(self, values: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(values, width)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.layers = nn.Sequential(
            *(nn.Linear(width, 2 * width), nn.SiLU()),
            *(nn.Linear(2 * width, 2 * width), nn.SiLU()),
            *(nn.Linear(2 * width, width), nn.SiLU()),
            nn.Linear(width, values),
        )

    def forward(self, values: Tensor, time: Tensor) -> Tensor:
        """Values (rows, length) at a noise label (rows,) to as many."""
        out: Tensor = self.layers(self.project(values) + self.time(sinusoids(time, self.width)))
        return out


def offsets(sizes: Sequence[int]) -> Tensor:
    """Where each column's categories begin, side by side."""
    return torch.tensor([sum(sizes[:place]) for place in range(len(sizes))], dtype=torch.long)


def initialise(build: Callable[[], M], source: torch.Generator) -> M:
    """Build a module and draw its weights from ``source`` (on the CPU): linear layers as torch does, others by their ``reset``.

    Global random state stays as it is.
    """
    with torch.random.fork_rng(devices=[]):
        module = build()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                bound = 1 / math.sqrt(part.in_features)
                nn.init.uniform_(part.weight, -bound, bound, generator=source)
                if part.bias is not None:
                    nn.init.uniform_(part.bias, -bound, bound, generator=source)
            elif isinstance(part, Drawn):
                part.reset(source)
    return module


def count(module: nn.Module) -> int:
    """Trained parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
