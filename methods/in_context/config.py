"""What an in-context model can be told; every value is checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import TabOrderError, choices

BACKENDS = ("local", "endpoint")
APIS = ("chat", "completions")
STYLES = ("chat", "continue")
DECODINGS = ("free", "constrained")
LOCAL_BATCH = 8
"""Answers a local model writes at once by default: on a CPU eight cost little more than one."""


@dataclass(frozen=True, kw_only=True)
class InContextConfig:
    """Everything about an in-context model but its column order and its seeds: the arguments of
    :class:`methods.in_context.InContextLLM`, which says what they mean.
    """

    model: str
    backend: str
    base_url: str | None
    api: str
    api_key_env: str | None
    style: str | None
    decoding: str
    examples: int
    rows_per_request: int
    requests_per_prompt: int
    describe_columns: bool
    temperature: float
    top_p: float | None
    max_tokens: int
    max_requests: int
    give_up_after: int
    concurrency: int | None
    retries: int
    timeout_seconds: float
    max_wait_seconds: float
    price_per_million: Mapping[str, float] | None
    request_fields: Mapping[str, Any]
    device: str

    def __post_init__(self) -> None:
        for value, legal, what in (
            (self.backend, BACKENDS, "backend"),
            (self.api, APIS, "api"),
            (self.style or "chat", STYLES, "style"),
            (self.decoding, DECODINGS, "decoding"),
        ):
            if value not in legal:
                raise TabOrderError(choices(value, legal, what))
        self._check_backend()
        self._check_numbers()

    def _check_backend(self) -> None:
        remote = self.backend == "endpoint"
        if (self.base_url is not None) != remote:
            raise TabOrderError(
                f"backend={self.backend} and base_url={self.base_url} do not fit: backend=endpoint needs one, backend=local none."
            )
        if remote and self.decoding == "constrained":
            raise TabOrderError(
                "decoding=constrained needs the model's probabilities, which backend=endpoint does not give: set decoding=free or "
                "backend=local."
            )
        if self.decoding == "constrained" and self.temperature == 0:
            raise TabOrderError(
                "temperature=0 would make all rows of a prompt equal with decoding=constrained: set more than 0."
            )
        if remote and self.api == "chat" and self.style == "continue":
            raise TabOrderError("style=continue needs a model that continues text: set api=completions, or style=chat.")

    def _check_numbers(self) -> None:
        for name in (
            "examples",
            "rows_per_request",
            "requests_per_prompt",
            "max_tokens",
            "max_requests",
            "give_up_after",
            "concurrency",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TabOrderError(f"{name}={value} must be at least 1.")
        for name in ("retries", "max_wait_seconds", "temperature"):
            if getattr(self, name) < 0:
                raise TabOrderError(f"{name}={getattr(self, name)} must not be negative.")
        if self.timeout_seconds <= 0:
            raise TabOrderError(f"timeout_seconds={self.timeout_seconds} must be positive.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise TabOrderError(f"top_p={self.top_p} must be in (0, 1], or null.")
        if set(self.price_per_million or {}) - {"prompt", "completion"}:
            raise TabOrderError(
                f"price_per_million={dict(self.price_per_million or {})} takes the keys 'prompt' and 'completion'."
            )

    @property
    def at_once(self) -> int:
        """Requests under way, or local answers written, at once."""
        return self.concurrency or (LOCAL_BATCH if self.backend == "local" else 1)

    @property
    def public_name(self) -> str:
        """The model; a folder or file by its last part, so that a record does not name places of this machine."""
        return Path(self.model).name if Path(self.model).exists() else self.model
