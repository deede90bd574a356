"""A causal language model that writes table rows column by column."""

from methods.row_llm.generator import RowLLM

__all__ = ["RowLLM"]
