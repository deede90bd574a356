"""A local Hugging Face causal language model as an in-context model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import Incompatible, TabOrderError
from harness.seeding import global_seed
from methods.in_context.answers import Answer, Stopped


@dataclass
class LocalModel:
    """Any Hugging Face causal language model, by hub name or local folder.

    With a chat template in its tokenizer the prompt is the user's message; without one the model continues the prompt.
    """

    name: str
    max_tokens: int
    temperature: float
    top_p: float | None
    device: str
    sent: int = 0  # requests: none

    def load(self) -> None:
        """Load the model (from the hub's cache or the network when ``name`` is no folder)."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(self.name, padding_side="left")
            self.model = AutoModelForCausalLM.from_pretrained(self.name).eval()
        except (OSError, ValueError, KeyError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise TabOrderError(
                f"the language model '{self.name}' could not be loaded ({first}): give a Hugging Face hub name or the folder of a saved "
                "causal language model; without network only folders and models already in the cache work."
            ) from error
        device = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        self.model.to(device)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        config = self.model.config
        self.context = int(
            getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 1 << 30
        )

    def start(self) -> None:
        """Nothing is counted here."""

    def count(self, prompt: str) -> int:
        """Tokens of a prompt."""
        return len(self._encode([prompt])["input_ids"][0])

    def _encode(self, prompts: Sequence[str]) -> Any:
        texts = list(prompts)
        chat = getattr(self.tokenizer, "chat_template", None) is not None
        if chat:
            texts = [
                self.tokenizer.apply_chat_template(
                    [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
                )
                for text in texts
            ]
        return self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=not chat)

    def answers(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Answer | Stopped]:
        """Sample one continuation a prompt, as one batch."""
        import torch

        batch = self._encode(prompts).to(self.model.device)
        ends = {self.tokenizer.eos_token_id, *_as_list(self.model.generation_config.eos_token_id)} - {None}
        with torch.inference_mode(), global_seed(seeds[0]):
            out = self.model.generate(
                **batch,
                do_sample=self.temperature > 0,
                max_new_tokens=self.max_tokens,
                pad_token_id=self.tokenizer.pad_token_id,
                repetition_penalty=1.0,
                **(
                    {"temperature": self.temperature, "top_k": 0, "top_p": self.top_p or 1.0}
                    if self.temperature > 0
                    else {}
                ),
            )
        width = batch["input_ids"].shape[1]
        result: list[Answer | Stopped] = []
        for prompt_mask, row in zip(batch["attention_mask"], out[:, width:].tolist(), strict=True):
            end = next((i for i, token in enumerate(row) if token in ends), len(row))
            text = self.tokenizer.decode(row[:end], skip_special_tokens=True)
            result.append(Answer(text, end == len(row), int(prompt_mask.sum()), min(end + 1, len(row))))
        return result

    def facts(self) -> dict[str, Any]:
        """Its size."""
        return {"parameters": sum(parameter.numel() for parameter in self.model.parameters())}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def fit_context(model: LocalModel, lines: Sequence[str], write: Callable[[Sequence[str]], str]) -> int:
    """How many of ``lines``, from the first, ``write`` can put into a prompt so that it and an answer fit the model's context.

    Raises:
        Incompatible: when not even one does.
    """
    for count in range(len(lines), 0, -1):
        needed = model.count(write(lines[:count])) + model.max_tokens
        if needed <= model.context:
            return count
    raise Incompatible(
        f"one example row and an answer of max_tokens={model.max_tokens} need {needed} tokens, but the model reads at most "
        f"{model.context}: lower max_tokens, set describe_columns=false, or choose a model of longer context."
    )
