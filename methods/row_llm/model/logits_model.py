"""The transformer and its output layer, run apart: logits only where they are needed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from methods.row_llm.model.threads import NARROW, NARROW_THREADS, ThreadChoice, at_most


class LogitsModel:
    """Runs the transformer and then the output layer only at the places where logits are needed.

    Some architectures scale or cap logits after the output layer: where the parts do not give the model's own logits,
    the whole model is run instead.

    Args:
        model: the language model.
        threads: what is known of the CPU threads that pay, from the model this one comes from.
    """

    def __init__(self, model: PreTrainedModel, threads: ThreadChoice | None = None) -> None:
        self.model = model
        self.threads = threads or ThreadChoice()
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.body: nn.Module = inner.base_model
        self.output: nn.Module = inner.get_output_embeddings()
        self.split = self._same()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.model.device
        return device

    @property
    def vocabulary_size(self) -> int:
        """Tokens the model can emit; at least as many as its tokenizer knows."""
        weight: Tensor = self.output.weight  # type: ignore[assignment]
        return len(weight)

    def _same(self) -> bool:
        ids = torch.zeros((1, 2), dtype=torch.int64, device=self.model.device)
        ids[0, 1] = 1
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            whole = self.model(input_ids=ids, use_cache=False).logits
            parts = self.output(self.body(input_ids=ids, use_cache=False).last_hidden_state)
        self.model.train(training)
        return whole.shape == parts.shape and bool(torch.allclose(whole, parts.to(whole.dtype), atol=1e-5))

    def logits(self, positions: Tensor, tokens: Tensor | None = None, **inputs: Any) -> Tensor:
        """Logits at flat ``positions`` (row · length + place in the row).

        Args:
            positions: shape (positions,).
            tokens: whose logits are needed, shape (k,); ``None`` for the whole vocabulary.
            inputs: of the model.

        Returns:
            shape (positions, k) or (positions, vocabulary).
        """
        if not self.split:
            logits: Tensor = self.model(**inputs).logits.flatten(0, 1).index_select(0, positions)
        else:
            hidden = self.body(**inputs).last_hidden_state.flatten(0, 1).index_select(0, positions)
            columns = self.vocabulary_size if tokens is None else len(tokens)
            with at_most(NARROW_THREADS if columns < NARROW else torch.get_num_threads()):
                if tokens is not None and type(self.output) is nn.Linear:  # other layers may do more than multiply
                    bias = None if self.output.bias is None else self.output.bias[tokens]
                    return nn.functional.linear(hidden, self.output.weight[tokens], bias)
                logits = self.output(hidden)
        return logits if tokens is None else logits[:, tokens]
