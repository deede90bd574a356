"""What comes back from a language model: an answer, or why there are no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class Stopped(Exception):
    """No more answers can be had; the sentence says why. ``fatal`` where the user has to mend something."""

    def __init__(self, reason: str, *, fatal: bool) -> None:
        super().__init__(reason)
        self.fatal = fatal


@dataclass(frozen=True)
class Answer:
    """What a model wrote, and what it cost.

    Attributes:
        text: the new text alone.
        cut: whether it ended for lack of tokens.
        prompt_tokens: as counted by the model or endpoint; ``None`` when an endpoint does not say.
        completion_tokens: likewise.
        stalled: whether it was ended because it went on without a row.
        rejected: rows begun that are not part of the text, by reason.
    """

    text: str
    cut: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    stalled: bool = False
    rejected: Mapping[str, int] = field(default_factory=dict)
