"""TabSyn's autoencoder and the diffusion of its latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.diffusion.edm import Preconditioning, heun, noise_label, training_sigma
from baselines.diffusion.generator import Rows
from baselines.diffusion.layers import Denoiser, Heads, Tokenizer, count, initialise, transformer
from baselines.diffusion.plateau import BETA_MAX, BETA_MIN, Plateau
from baselines.diffusion.ragged import Ragged
from baselines.diffusion.training import generator

SIGMA_DATA = 0.5
SCALE = 2.0
"""Latents are centred and divided by this before diffusion."""


class ClassToken(nn.Module):
    """A learnt token put before a row's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.empty(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (rows, columns, width) to one more."""
        return torch.cat([self.vector.expand(len(tokens), 1, -1), tokens], 1)

    def reset(self, source: torch.Generator) -> None:
        """Draw it."""
        nn.init.uniform_(self.vector, -0.5, 0.5, generator=source)


class AutoencoderNetwork(nn.Module):
    """Tokens to a mean and a log-variance by an encoder each, and latents back to tokens by a decoder.

    Args:
        numbers: number columns.
        sizes: categories of each category column.
        width: of a token and of a column's latent.
        layers: of each transformer.
        hidden: of their feed-forward parts.
    """

    def __init__(self, numbers: int, sizes: Sequence[int], width: int, layers: int, hidden: int) -> None:
        super().__init__()
        self.tokenizer = Tokenizer(numbers, sizes, width)
        self.first = ClassToken(width)
        self.mean = transformer(layers, width, hidden)
        self.spread = transformer(layers, width, hidden)
        self.decoder = transformer(layers, width, hidden)
        self.heads = Heads(numbers, sizes, width)

    def encode(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (rows, 1 + columns, width), the class token's included."""
        tokens = self.first(self.tokenizer(numbers, codes))
        return self.mean(tokens), self.spread(tokens)

    def decode(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers and logits of latents (rows, columns, width)."""
        out: tuple[Tensor, Tensor] = self.heads(self.decoder(latent))
        return out

    def forward(self, numbers: Tensor, codes: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Numbers, logits, mean, log-variance, with ``noise`` (rows, 1 + columns, width) as the latent's."""
        mean, spread = self.encode(numbers, codes)
        latent = mean + noise * (spread / 2).exp()
        return *self.decode(latent[:, 1:]), mean, spread


class Autoencoder:
    """The network with its loss.

    Args:
        rows: the training rows.
        options: of the generator.
        seed: of weights and of the validation rows' choice.
        held: how many rows only validate.
        beta: the Kullback-Leibler term's weight by validation loss; ``None``: it falls geometrically over the training.
    """

    def __init__(self, rows: Rows, options: Mapping[str, Any], seed: int, held: int, beta: Plateau | None) -> None:
        self.rows, self.beta, self.bf16 = rows, beta, options["bf16"]
        self.width: int = options["token_dim"]
        numbers = rows.numbers.shape[1]
        self.columns = numbers + len(rows.sizes)
        layers, hidden = options["transformer_layers"], options["hidden"]
        source = generator("cpu", seed, "weights")
        network = initialise(
            lambda: AutoencoderNetwork(numbers, rows.sizes, self.width, layers, hidden),
            source,
        )
        self.network = network.to(rows.device)
        self.ragged = Ragged(rows.sizes, rows.device)
        order = torch.randperm(len(rows), generator=generator("cpu", seed, "validation")).to(rows.device)
        self.held, self.taught = order[:held], order[held:]

    def loss(self, chosen: Tensor, source: torch.Generator, share: float) -> Tensor:
        """Mean squared error + mean cross-entropy + β·KL, for numbers of taught rows."""
        taught = self.taught[chosen]
        noise = torch.randn(len(taught), 1 + self.columns, self.width, generator=source, device=self.rows.device)
        error, entropy, mean, spread = self._losses(taught, noise)
        divergence = -0.5 * (1 + spread - mean.square() - spread.exp()).mean()
        beta = self.beta.value if self.beta else BETA_MAX * (BETA_MIN / BETA_MAX) ** share
        return error + entropy + beta * divergence

    def judge(self, loss: float) -> Mapping[str, float]:
        """Of the validation rows, without noise: cross-entropy for the learning rate, all of the reconstruction for β."""
        with torch.no_grad():
            noise = torch.zeros(len(self.held), 1 + self.columns, self.width, device=self.rows.device)
            error, entropy, *_ = self._losses(self.held, noise)
        both = float(error + entropy)
        return {"rate": float(entropy) if self.rows.sizes else both, "beta": both}

    def _losses(self, chosen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        numbers, codes = self.rows.numbers[chosen], self.rows.codes[chosen]
        with torch.autocast(self.rows.device.type, torch.bfloat16, enabled=self.bf16):
            out = self.network(numbers, codes, noise)
        guessed, logits, mean, spread = (part.float() for part in out)
        error = functional.mse_loss(guessed, numbers) if numbers.shape[1] else guessed.sum()
        if not self.rows.sizes:
            return error, torch.zeros_like(error), mean, spread
        entropy = -self.ragged.pick(self.ragged.log_softmax(logits), codes).mean()
        return error, entropy, mean, spread

    @torch.no_grad()
    def latents(self) -> Tensor:
        """Means of all training rows (rows, columns · width), without the class token's."""
        parts = [
            self.network.encode(numbers, codes)[0][:, 1:].flatten(1)
            for numbers, codes in zip(
                torch.split(self.rows.numbers, 8192), torch.split(self.rows.codes, 8192), strict=True
            )
        ]
        return torch.cat(parts)

    def decode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers and the likeliest codes of latents (rows, columns · width)."""
        numbers, logits = self.network.decode(latents.view(len(latents), self.columns, self.width))
        return numbers, self.ragged.argmax(logits) if self.rows.sizes else logits.long()


class LatentModel:
    """EDM diffusion of an autoencoder's latents.

    Args:
        autoencoder: trained.
        options: of the generator.
        seed: of the denoiser's weights.
    """

    def __init__(self, autoencoder: Autoencoder, options: Mapping[str, Any], seed: int) -> None:
        self.autoencoder, self.bf16, self.steps = autoencoder, options["bf16"], options["sample_steps"]
        self.device = autoencoder.rows.device
        latents = autoencoder.latents()
        self.mean = latents.mean(0)
        self.latents = (latents - self.mean) / SCALE
        self.scales = Preconditioning(SIGMA_DATA)
        values = latents.shape[1]
        source = generator("cpu", seed, "weights")
        self.network = initialise(lambda: Denoiser(values, options["width"]), source).to(self.device)

    def denoise(self, noised: Tensor, sigma: Tensor) -> Tensor:
        """D(x; σ) of rows at σ (rows, 1) or ()."""
        sigma = sigma.expand(len(noised), 1)
        scales = self.scales
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            raw = self.network(scales.into(sigma) * noised, noise_label(sigma)[:, 0])
        denoised: Tensor = scales.skip(sigma) * noised + scales.out(sigma) * raw.float()
        return denoised

    def loss(self, chosen: Tensor, source: torch.Generator, share: float) -> Tensor:
        """The weighted squared error of denoised latents; ``share`` is not used."""
        clean = self.latents[chosen]
        sigma = training_sigma(len(clean), source, self.device)
        noise = torch.randn(clean.shape, generator=source, device=self.device)
        denoised = self.denoise(clean + sigma * noise, sigma)
        return (self.scales.weight(sigma) * (denoised - clean).square()).mean()

    def sample(self, rows: int, source: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """Latents by Heun's sampler, decoded."""
        latents = heun(self.denoise, rows, len(self.mean), self.steps, source, device=self.device)
        return *self.autoencoder.decode(latents * SCALE + self.mean), None

    def parameters(self) -> int:
        """How many are trained, autoencoder and denoiser."""
        return count(self.network) + count(self.autoencoder.network)
