"""Which tokens may follow, as a finite automaton over tokens: the grammar behind constrained decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Edges = Mapping[int, int]
"""Token → next state."""


class Automaton:
    """Sparse transitions. The last state is the end: only filler follows it.

    Args:
        states: the edges of each state.
        begin: the state in which each column's value begins.
        filler: the token after the end.
        vocabulary: number of tokens.
        device: where decoding happens.
    """

    def __init__(
        self, states: Sequence[Edges], begin: Sequence[int], filler: int, vocabulary: int, device: torch.device
    ) -> None:
        edges = [sorted(state.items()) for state in states] + [[(filler, len(states))]]
        self.end = len(states)
        self.vocabulary = vocabulary
        self.begin = torch.tensor(begin, device=device)
        self.counts = torch.tensor([len(state) for state in edges], device=device)
        self.starts = self.counts.cumsum(0) - self.counts
        self.tokens = torch.tensor([token for state in edges for token, _ in state], device=device)
        self.targets = torch.tensor([target for state in edges for _, target in state], device=device)
        self.keys = (
            torch.repeat_interleave(torch.arange(len(edges), device=device), self.counts) * vocabulary + self.tokens
        )

    def allowed(self, states: Tensor) -> Tensor:
        """Tokens that may follow each state, boolean, shape (states, vocabulary), or (1, vocabulary) when all are equal."""
        if len(states) > 1 and bool((states == states[0]).all()):
            states = states[:1]
        counts = self.counts[states]
        ends = counts.cumsum(0)
        index = torch.repeat_interleave(self.starts[states] - ends + counts, counts)
        index = index + torch.arange(len(index), device=index.device)
        mask = torch.zeros((len(states), self.vocabulary), dtype=torch.bool, device=states.device)
        mask[torch.repeat_interleave(torch.arange(len(states), device=states.device), counts), self.tokens[index]] = (
            True
        )
        return mask

    def step(self, states: Tensor, tokens: Tensor) -> Tensor:
        """The states after these tokens; a token that was not allowed leads to the end."""
        wanted = states * self.vocabulary + tokens
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
        """Add token sequences that begin in ``root`` and end there where they stop, or with any one token of ``last``."""
        for sequence in sequences:
            state = root
            inner = sequence if last else sequence[:-1]
            for token in inner:
                if self.states[state].get(token, self.END) == self.END:
                    self.states[state][token] = self.state()
                state = self.states[state][token]
            for token in last or sequence[-1:]:
                self.states[state].setdefault(token, self.END)

    def build(self, begin: Sequence[int], filler: int, vocabulary: int, device: torch.device) -> Automaton:
        """The automaton; edges to :attr:`END` lead to its end."""
        end = len(self.states)
        states = [{token: end if to == self.END else to for token, to in state.items()} for state in self.states]
        return Automaton(states, begin, filler, vocabulary, device)
