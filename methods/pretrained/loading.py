"""A pretrained causal language model and its tokenizer, in single precision, with what a record says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TabOrderError
from methods.pretrained.gguf_cache import origin_of
from methods.pretrained.sources import ALIASES, locate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Report = Callable[..., None]


def load(
    name: str, *, setting: str, report: Report = lambda *_, **__: None, **tokenizer_options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model by any name that :func:`methods.pretrained.locate` takes.

    Args:
        name: of the model.
        setting: the key that holds it, for error messages.
        report: told the progress of unpacking a GGUF file.
        tokenizer_options: of ``AutoTokenizer.from_pretrained``.

    Raises:
        TabOrderError: when there is no such model, or it cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = locate(name, report)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, **tokenizer_options)
        model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)  # fused attention where it has it
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TabOrderError(
            f"{setting}={name} cannot be loaded ({reason}): give {', '.join(ALIASES)}, a .gguf file, package:NAME/FILE.gguf, the "
            "folder of a saved causal language model, or a name of the Hugging Face hub; without network only models already on "
            "this machine work."
        ) from None
    return model, tokenizer


def origin(model: Any) -> dict[str, Any]:
    """Where a loaded model's weights came from: ``file, sha256, architecture, name, licence, quantisation``; empty if not unpacked."""
    known = origin_of(Path(str(getattr(model.config, "_name_or_path", "") or "")))
    return {key: value for key, value in known.items() if key != "files" and value is not None}
