"""Which tokens may follow, as a finite automaton over tokens: the grammar behind constrained decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Edges = Mapping[int, int]
"""Token → next state."""


class Automaton:
    """Sparse transitions. The last state is the end: only padding follows it.

    Args:
        states: the edges of each state.
        begin: the state in which each column's value begins.
        pad_token: the token after the end.
        vocabulary_size: number of tokens.
        device: where decoding happens.
    """

    def __init__(
        self, states: Sequence[Edges], begin: Sequence[int], pad_token: int, vocabulary_size: int, device: torch.device
    ) -> None:
        edges = [sorted(state.items()) for state in states] + [[(pad_token, len(states))]]
        self.end = len(states)
        self.vocabulary_size = vocabulary_size
        self.begin = torch.tensor(begin, device=device)
        self.counts = torch.tensor([len(state) for state in edges], device=device)
        self.starts = self.counts.cumsum(0) - self.counts
        self.tokens = torch.tensor([token for state in edges for token, _ in state], device=device)
        self.targets = torch.tensor([target for state in edges for _, target in state], device=device)
        self.keys = (
            torch.repeat_interleave(torch.arange(len(edges), device=device), self.counts) * vocabulary_size
            + self.tokens
        )

    def allowed(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """What may follow.

        Args:
            states: shape (rows,).

        Returns:
            tokens that may follow any of the states, ascending, shape (k,), and which of them may follow each, boolean,
            shape (rows, k); ``None`` when all may.
        """
        distinct, which = torch.unique(states, return_inverse=True)
        counts = self.counts[distinct]
        index = torch.repeat_interleave(self.starts[distinct] - counts.cumsum(0) + counts, counts)
        index = index + torch.arange(len(index), device=index.device)
        found = self.tokens[index]
        if len(distinct) == 1:
            return found, None
        tokens, column = torch.unique(found, return_inverse=True)
        mask = torch.zeros((len(distinct), len(tokens)), dtype=torch.bool, device=states.device)
        mask[torch.repeat_interleave(torch.arange(len(distinct), device=states.device), counts), column] = True
        return tokens, mask[which]

    def step(self, states: Tensor, tokens: Tensor) -> Tensor:
        """The states after these tokens; a token that was not allowed leads to the end."""
        wanted = states * self.vocabulary_size + tokens
        place = torch.searchsorted(self.keys, wanted).clamp(max=len(self.keys) - 1)
        return torch.where(self.keys[place] == wanted, self.targets[place], self.end)


class Builder:
    """Collects states and edges."""

    def __init__(self) -> None:
        self.states: list[dict[int, int]] = []
        self.END = -1

    def state(self) -> int:
        """A new state."""
        self.states.append({})
        return len(self.states) - 1

    def trie(self, root: int, sequences: Sequence[Sequence[int]], last: Sequence[int] = ()) -> None:
        """Add token sequences that begin in ``root`` and end where they stop, or with any one token of ``last``."""
        for sequence in sequences:
            state = root
            inner = sequence if last else sequence[:-1]
            for token in inner:
                if self.states[state].get(token, self.END) == self.END:
                    self.states[state][token] = self.state()
                state = self.states[state][token]
            for token in last or sequence[-1:]:
                self.states[state].setdefault(token, self.END)

    def build(self, begin: Sequence[int], pad_token: int, vocabulary_size: int, device: torch.device) -> Automaton:
        """The automaton; edges to :attr:`END` lead to its end."""
        end = len(self.states)
        states = [{token: end if to == self.END else to for token, to in state.items()} for state in self.states]
        return Automaton(states, begin, pad_token, vocabulary_size, device)
