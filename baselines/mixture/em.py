"""Expectation-maximisation of a mixture whose components are products of categorical and Gaussian leaves.

Everything is linear in the sufficient statistics: the log-likelihood of a row is its statistics times the natural
parameters, and an M-step needs the statistics weighted by responsibilities. One-hot levels are a sparse matrix, so a
step costs rows × columns × components, however many levels there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import logsumexp

from baselines.mixture.leaves import FloatArray, Leaf

CHUNK = 8192
"""Rows whose responsibilities are held at once."""

LEAST_DEVIATION = 0.02
"""Of a Gaussian leaf, in normal scores (whose deviation is 1): narrower ones would be single values of train."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What rows contribute.

    Attributes:
        hot: (rows, levels) one-hot levels of all columns side by side.
        offsets: where each column's levels begin, and their number at the end.
        present: (rows, numbers) 1 where the score counts.
        scores: (rows, numbers) the score, 0 where it does not count.
    """

    hot: Any
    offsets: tuple[int, ...]
    present: FloatArray
    scores: FloatArray

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.hot.shape[0])

    def of(self, rows: Any) -> Statistics:
        """Some rows."""
        return Statistics(self.hot[rows], self.offsets, self.present[rows], self.scores[rows])


def gather(leaves: Sequence[Leaf]) -> Statistics:
    """Statistics of coded columns."""
    rows = len(leaves[0].levels)
    offsets = np.concatenate([[0], np.cumsum([leaf.size for leaf in leaves])])
    places = np.column_stack([leaf.levels + start for leaf, start in zip(leaves, offsets, strict=False)])
    hot = csr_matrix(
        (np.ones(places.size), places.ravel(), np.arange(0, places.size + 1, len(leaves))),
        shape=(rows, int(offsets[-1])),
    )
    numbers = [leaf for leaf in leaves if leaf.other is not None]
    present = np.zeros((rows, len(numbers)))
    scores = np.zeros((rows, len(numbers)))
    for i, leaf in enumerate(numbers):
        present[:, i] = leaf.levels == leaf.other
        scores[:, i] = leaf.scores
    return Statistics(hot, tuple(int(offset) for offset in offsets), present, scores)


@dataclass(frozen=True, eq=False)
class Parameters:
    """A mixture of K components.

    Attributes:
        weights: (K,) their shares.
        levels: (levels, K) probabilities of each column's levels.
        means: (numbers, K) of the scores.
        deviations: (numbers, K) of the scores.
    """

    weights: FloatArray
    levels: FloatArray
    means: FloatArray
    deviations: FloatArray

    def log_joint(self, rows: Statistics) -> FloatArray:
        """(rows, K) log-probability of each row and component together; a density where numbers are."""
        precision = self.deviations**-2
        constant = -0.5 * self.means**2 * precision - np.log(self.deviations) - 0.5 * np.log(2 * np.pi)
        joint: FloatArray = (
            np.log(self.weights)
            + rows.hot @ np.log(self.levels)
            + rows.scores**2 @ (-0.5 * precision)
            + rows.scores @ (self.means * precision)
            + rows.present @ constant
        )
        return joint

    def log_likelihood(self, rows: Statistics) -> float:
        """Mean over rows, in nats."""
        total = sum(
            float(logsumexp(self.log_joint(rows.of(slice(i, i + CHUNK))), axis=1).sum())
            for i in range(0, rows.rows, CHUNK)
        )
        return total / max(1, rows.rows)


@dataclass(frozen=True, eq=False)
class Prior:
    """What a component is before it has seen a row: the table's marginals, worth some rows.

    Attributes:
        rows: how many rows it counts as.
        marginals: (levels, 1) shares of the levels in train, none of them 0.
        offsets: as in :class:`Statistics`.
    """

    rows: float
    marginals: FloatArray
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, statistics: Statistics, rows: float) -> Prior:
        """The prior of a table."""
        counts = np.asarray(statistics.hot.sum(axis=0)).ravel() + 0.5  # a level may be in held-out rows alone
        sizes = np.add.reduceat(counts, statistics.offsets[:-1])
        return cls(rows, (counts / np.repeat(sizes, np.diff(statistics.offsets)))[:, None], statistics.offsets)

    def log_density(self, parameters: Parameters) -> float:
        """The term that makes EM's objective a posterior, up to a constant: what :func:`step` never lets fall."""
        levels = self.rows * float((self.marginals * np.log(parameters.levels)).sum())
        deviations, means = parameters.deviations, parameters.means
        numbers = -0.5 * self.rows * float((2 * np.log(deviations) + (1 + means**2) / deviations**2).sum())
        return levels + numbers + float(np.log(parameters.weights).sum())


def start(statistics: Statistics, prior: Prior, components: int, random: np.random.Generator) -> Parameters:
    """Each component halfway between the marginals and one row, drawn without replacement where there are enough."""
    rows = random.permutation(np.resize(random.permutation(statistics.rows), components))
    picked = statistics.of(rows)
    return Parameters(
        weights=np.full(components, 1 / components),
        levels=0.5 * (prior.marginals + np.asarray(picked.hot.todense()).T),
        means=picked.scores.T.copy(),
        deviations=np.ones((picked.scores.shape[1], components)),
    )


def step(parameters: Parameters, statistics: Statistics, prior: Prior) -> tuple[Parameters, float]:
    """One step of EM, towards a maximum of likelihood times prior.

    Returns:
        The next parameters, and the mean log-likelihood of the rows under the *given* ones.
    """
    components = len(parameters.weights)
    counts = np.zeros((prior.offsets[-1], components))
    moments = np.zeros((3, statistics.scores.shape[1], components))
    total, mass = 0.0, np.zeros(components)
    for i in range(0, statistics.rows, CHUNK):
        rows = statistics.of(slice(i, i + CHUNK))
        joint = parameters.log_joint(rows)
        likelihood = logsumexp(joint, axis=1, keepdims=True)
        share = np.exp(joint - likelihood)
        total += float(likelihood.sum())
        mass += share.sum(axis=0)
        counts += rows.hot.T @ share
        for power, part in enumerate((rows.present, rows.scores, rows.scores**2)):
            moments[power] += part.T @ share
    seen = moments[0] + prior.rows
    means = moments[1] / seen  # the prior's rows have mean 0 and deviation 1
    variances = (moments[2] + prior.rows) / seen - means**2
    following = Parameters(
        weights=(mass + 1) / (mass + 1).sum(),
        levels=(counts + prior.rows * prior.marginals) / (mass + prior.rows),
        means=means,
        deviations=np.maximum(np.sqrt(variances), LEAST_DEVIATION),
    )
    return following, total / statistics.rows
