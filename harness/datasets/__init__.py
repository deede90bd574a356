"""Datasets: embedded tables made by code, the paper's tables (downloaded or mirrored) and the user's own CSV files."""

from harness.datasets.base import Dataset

__all__ = ["Dataset"]
