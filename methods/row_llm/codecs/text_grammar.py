"""What the values of each column may be as text: tries of categories, number grammars over the tokenizer's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.table import Column
from methods.row_llm.codecs.automaton import Automaton, Builder
from methods.row_llm.codecs.escaping import MISSING, write_cell
from methods.row_llm.codecs.number_grammar import NUMBER_CHARACTERS, CharStates, NumberGrammar, with_literals
from methods.row_llm.codecs.pieces import PieceTokenizer


def text_automaton(
    pieces: PieceTokenizer,
    columns: Sequence[Column],
    categories: Sequence[Sequence[str] | None],
    grammars: Sequence[NumberGrammar | None],
    missing: Sequence[bool],
    vocabulary_size: int,
    device: torch.device,
) -> Automaton:
    """Tries of the categories' tokens, and number grammars over all tokens made of number characters.

    Args:
        pieces: the tokenizer.
        columns: of the table.
        categories: training categories of each column, ``None`` for numbers.
        grammars: of each number column, ``None`` for categories.
        missing: whether each column has missing values.
        vocabulary_size: tokens the model can emit.
        device: where decoding happens.
    """
    builder = Builder()
    begin = []
    ends = (pieces.separator, pieces.end_token)
    numeric = _number_tokens(pieces)
    for index, grammar in enumerate(grammars):
        root = builder.state()
        begin.append(root)
        if grammar is not None:
            states, accept = with_literals(*grammar.states(), [MISSING] * missing[index])
            _spell(builder, root, states, accept, numeric, ends)
            continue
        cells = [*(categories[index] or ()), *([None] * missing[index])]
        builder.trie(root, [pieces.value(write_cell(columns[index], cell)) for cell in cells], ends)
    return builder.build(begin, pieces.separator, vocabulary_size, device)


def _number_tokens(pieces: PieceTokenizer) -> dict[int, str]:
    """Tokens that consist of number characters, a leading space allowed, or of the letters of the missing word."""
    characters = set(NUMBER_CHARACTERS) | set(MISSING)
    ids = sorted(set(pieces.tokenizer.get_vocab().values()) - set(pieces.tokenizer.all_special_ids))
    texts = [_raw(text) for text in pieces.texts([[token] for token in ids])]
    return {token: text for token, text in zip(ids, texts, strict=True) if text and set(text.lstrip(" ")) <= characters}


def _raw(text: str) -> str:
    """:meth:`PieceTokenizer.texts` takes one leading space away, or marks its absence by a line break."""
    return text[1:] if text.startswith("\n") else f" {text}"


def _spell(
    builder: Builder,
    root: int,
    states: CharStates,
    accept: set[Any],
    tokens: Mapping[int, str],
    ends: Sequence[int],
) -> None:
    """Translate a grammar over characters into one over tokens; a value begins with a space."""
    start = ("start", 0)
    numbers = {state: builder.state() for state in states}
    starts = [(root, token, text[1:]) for token, text in tokens.items() if text.startswith(" ")]
    inner = [(None, token, text) for token, text in tokens.items() if not text.startswith(" ")]
    for state, number in numbers.items():
        edges = inner if state != start else inner + starts
        for source, token, text in edges:
            target: Any = state
            for character in text:
                target = states[target].get(character)
                if target is None:
                    break
            if target is not None and (text or source is not None):
                builder.states[number if source is None else source][token] = numbers[target]
        if state in accept:
            builder.states[number].update(dict.fromkeys(ends, builder.END))
