"""What the small commands ``python -m harness.X key=VALUE …`` share: their help, how mistakes are worded, and exit codes.

Exit codes: 0 done; 1 done in part (the command says what is lacking); 2 a mistake; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import TabOrderError, choices

HELP = ("-h", "--help", "help")
MISTAKE = 2
INTERRUPTED = 130


def say(sentence: str, code: int) -> int:
    """Write a sentence to standard error and return the exit code."""
    print(f"taborder: {sentence}", file=sys.stderr, flush=True)
    return code


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        module: as in ``python -m module``.
        purpose: one sentence.
        keys: what each key means, by how it is written: ``{"store.root=DIR": "the store"}``.
        required: keys (without ``=VALUE``) that must be given.
        examples: command lines that work.
        names: what stands before the keys, e.g. ``[NAME …]``; empty for commands that take keys only.
    """

    module: str
    purpose: str
    keys: Mapping[str, str]
    required: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    names: str = ""

    def legal(self) -> dict[str, str]:
        """How each key is written, by key."""
        return {form.partition("=")[0]: form for form in self.keys}

    def help(self) -> str:
        """The text of ``--help``."""
        written = self.legal()
        must = [self.names, *(written[key] for key in self.required)]
        rest = "[key=VALUE …]" if len(self.keys) > len(self.required) else ""
        usage = " ".join(word for word in [f"usage: python -m {self.module}", *must, rest] if word)
        width = max((len(form) for form in self.keys), default=0)
        lines = [usage, "", self.purpose]
        if self.keys:
            lines += ["", "Keys"]
        for form, text in self.keys.items():
            first, *more = text.splitlines()
            need = " (required)" if form.partition("=")[0] in self.required else ""
            lines += [f"  {form.ljust(width)}  {first}{need}", *(f"  {'':{width}}  {line.strip()}" for line in more)]
        lines += ["", "Examples", *(f"  {example}" for example in self.examples)]
        lines += ["", "Exit codes: 0 done, 1 done in part, 2 a mistake, 130 interrupted."]
        return "\n".join(lines) + "\n"

    def parse(self, words: Sequence[str]) -> dict[str, str]:
        """Read ``key=VALUE`` words.

        Raises:
            TabOrderError: for a word without ``=``, an unknown or repeated key, or a required one missing.
        """
        written = self.legal()
        given: dict[str, str] = {}
        for word in words:
            key, equals, value = word.partition("=")
            if key not in written:
                raise TabOrderError(f"{choices(key, written, 'key')} Write them as key=VALUE.")
            if not equals:
                raise TabOrderError(f"'{word}' has no value: write {written[key]}.")
            if key in given:
                raise TabOrderError(f"{key} is given twice: give it once.")
            given[key] = value
        for key in self.required:
            if not given.get(key):
                raise TabOrderError(
                    f"give {written[key]}: it is required; python -m {self.module} --help explains the keys."
                )
        return given

    def run(self, action: Callable[[Sequence[str]], int], words: Sequence[str] | None = None) -> int:
        """Answer ``--help``, else do ``action`` with the words; returns the exit code, never a traceback for a mistake."""
        words = sys.argv[1:] if words is None else words
        if any(word in HELP for word in words):
            print(self.help(), end="")
            return 0
        try:
            return action(words)
        except TabOrderError as error:
            return say(str(error), MISTAKE)
        except KeyboardInterrupt:
            return say("interrupted.", INTERRUPTED)
        except BrokenPipeError:  # the reader (head, less) has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 0
