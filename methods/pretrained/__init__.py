"""Pretrained language models by hub name, folder, GGUF file or installed package, and what a record says of them."""

from methods.pretrained.loading import load, origin
from methods.pretrained.sources import ALIASES, locate

__all__ = ["ALIASES", "load", "locate", "origin"]
