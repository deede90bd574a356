"""Answers as they came, kept in the cell's folder: a run that was killed does not pay for them again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from methods.in_context.answers import Answer


class AnswerLog:
    """One line of JSON for every batch of prompts that was answered.

    Args:
        path: the file; ``None`` keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[str, tuple[list[Answer], int]] = {}

    def open(self) -> None:
        """Read what an earlier run left; a line that was not written to its end is passed over."""
        self._known = {}
        if self.path is None or not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                self._known[entry["key"]] = [Answer(**answer) for answer in entry["answers"]], int(entry["sent"])
            except (ValueError, TypeError, KeyError):
                continue

    def find(self, prompts: Sequence[str], seeds: Sequence[int]) -> tuple[list[Answer], int] | None:
        """The answers to these prompts, and how many requests had been sent by then; ``None`` where there are none."""
        return self._known.get(_key(prompts, seeds))

    def add(self, prompts: Sequence[str], seeds: Sequence[int], answers: Sequence[Answer], sent: int) -> None:
        """Keep a batch's answers, durably."""
        if self.path is None:
            return
        entry = {"key": _key(prompts, seeds), "sent": sent, "answers": [asdict(answer) for answer in answers]}
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(entry) + "\n")  # a line that a kill left without its end spoils no other
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """The table is made: later tables ask anew."""
        self._known = {}
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _key(prompts: Sequence[str], seeds: Sequence[int]) -> str:
    return hashlib.sha256(json.dumps([list(prompts), list(seeds)]).encode()).hexdigest()
