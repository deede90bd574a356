"""Sequential trees: column after column, each drawn from the leaves of a classification or regression tree."""

from methods.sequential_trees.generator import SequentialTrees

__all__ = ["SequentialTrees"]
