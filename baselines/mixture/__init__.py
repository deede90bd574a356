"""A shallow mixture of product distributions, fitted by EM."""

from baselines.mixture.generator import Mixture

__all__ = ["Mixture"]
