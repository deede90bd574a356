"""A language model used as it is: example rows in its prompt, new rows read from its answers, nothing fine-tuned."""

from methods.in_context.generator import InContextLLM

__all__ = ["InContextLLM"]
