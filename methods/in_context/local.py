"""A local causal language model as an in-context model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.errors import Incompatible, TabOrderError
from methods.in_context.answers import Answer, Stopped
from methods.in_context.config import InContextConfig
from methods.in_context.writing import Wish, Writer
from methods.pretrained import load, origin

Report = Callable[..., None]

PATIENCE = 4
"""Longest rows' worth of tokens after which an answer without a row is hopeless."""
LEAST_PATIENCE = 128
"""Tokens for a few sentences before the first row."""


class LocalModel:
    """Any causal language model that :mod:`methods.pretrained` can load.

    In style ``chat`` the prompt is the user's message, written by the tokenizer's chat template; in style ``continue`` the model
    goes on with the prompt as it is. An answer ends with the model's end token, after as many rows as were asked for, at
    ``max_tokens``, or when it goes on for long without a row.

    Args:
        config: of the generator.

    Attributes:
        patience: tokens without a row that end an answer.
        on_tokens: told ``(prompt_tokens=, tokens=, tokens_per_second=, elapsed=)``, the totals since :meth:`start`, after every pass.
        sent: requests: none.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    def __init__(self, config: InContextConfig) -> None:
        self.config = config
        self.patience = config.max_tokens
        self.on_tokens: Report = lambda **_: None
        self.sent = 0
        self.start()

    def load(self, report: Report) -> None:
        """Load the model, from the cache or the network where ``config.model`` is no folder.

        Raises:
            TabOrderError: when it cannot be loaded, or has no chat template and ``style=chat`` wants one.
        """
        name = self.config.model
        self.model, self.tokenizer = load(name, setting="generator.model", report=report)
        device = self.config.device
        self.model.eval().to(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        template = getattr(self.tokenizer, "chat_template", None) is not None
        self.style = self.config.style or ("chat" if template else "continue")
        if self.style == "chat" and not template:
            raise TabOrderError(
                f"style=chat needs a chat template, which the tokenizer of '{name}' has not: set generator.style=continue, or choose "
                "an instruction-tuned model."
            )
        settings = self.model.config
        self.context = int(
            getattr(settings, "max_position_embeddings", None) or getattr(settings, "n_positions", None) or 1 << 30
        )
        ends = {self.tokenizer.eos_token_id, *_as_list(self.model.generation_config.eos_token_id)} - {None}
        ids = sorted(set(self.tokenizer.get_vocab().values()))
        texts = self.tokenizer.batch_decode([[token] for token in ids])
        closing = frozenset(token for token, text in zip(ids, texts, strict=True) if "}" in text)
        self.writer = Writer(self.model, frozenset(ends), closing, self.config.temperature, self.config.top_p)

    def start(self) -> None:
        """Begin a new table: counts start from 0."""
        self._read = self._written = 0
        self._began = time.monotonic()

    def expect(self, row: str) -> None:
        """Learn how long a row can be: an answer that goes on for :data:`PATIENCE` of them without closing one is ended."""
        self.patience = max(LEAST_PATIENCE, PATIENCE * len(self.tokenizer.encode(row, add_special_tokens=False)))

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The tokens of a prompt, in the model's style."""
        chat = self.style == "chat"
        if chat:
            message = [{"role": "user", "content": prompt}]
            prompt = self.tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        return tuple(self.tokenizer(prompt, add_special_tokens=not chat)["input_ids"])

    def fitting(self, lines: Sequence[str], write: Callable[[Sequence[str]], str]) -> int:
        """How many of ``lines``, from the first, ``write`` can put into a prompt so that it and an answer fit the model's context.

        Raises:
            Incompatible: when not even one does.
        """
        needed = 0
        for count in range(len(lines), 0, -1):
            needed = len(self.encode(write(lines[:count]))) + self.answer_tokens
            if needed <= self.context:
                return count
        raise Incompatible(
            f"one example row and an answer of {self.answer_tokens} tokens need {needed} tokens, but the model reads at most "
            f"{self.context}: lower max_tokens, set describe_columns=false, or choose a model of longer context."
        )

    @property
    def answer_tokens(self) -> int:
        """The room that an answer needs."""
        return self.config.max_tokens

    def answers(self, prompts: Sequence[str], seeds: Sequence[int]) -> Sequence[Answer | Stopped]:
        """Write one answer a prompt, all at once."""
        wishes = [
            Wish(self.encode(prompt), seed, self.config.max_tokens, self.config.rows_per_request, self.patience)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        result = []
        for wish, tokens in zip(wishes, self.writer.write(wishes, self.tell), strict=True):
            ended = tokens[-1] in self.writer.ends
            text = self.tokenizer.decode(tokens[: len(tokens) - ended], skip_special_tokens=True)
            cut = not ended and wish.closed < wish.closings
            result.append(Answer(text, cut, len(wish.prompt), len(tokens), cut and wish.stalled))
        return result

    def tell(self, read: int, written: int) -> None:
        """Count tokens read and written, and pass the totals on."""
        self._read, self._written = self._read + read, self._written + written
        elapsed = time.monotonic() - self._began
        numbers = {"tokens_per_second": self._written / elapsed} if self._written else {}
        self.on_tokens(prompt_tokens=self._read, tokens=self._written, elapsed=elapsed, **numbers)

    def facts(self) -> dict[str, Any]:
        """Its size, where its weights came from, and how it was asked."""
        weights = origin(self.model)
        return {
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            **({"weights": weights} if weights else {}),
            "style": self.style,
            "tokens_read": self._read,
            "answer_ended_after_tokens_without_row": self.patience,
        }

    @property
    def notes(self) -> list[str]:
        """Sentences for the record."""
        if self.writer.shares:
            return []
        return ["prompts were answered one at a time: this model attends in a way that cannot share them."]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
