"""What the values of each column may be as tokens of fixed width: categories, digits within training's range."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from methods.row_llm.codecs.automaton import Automaton, Builder
from methods.row_llm.codecs.columns import CategoryCodec, ColumnCodec, DigitCodec, NumberTextCodec
from methods.row_llm.codecs.word_tokenizer import Vocabulary, category_token, missing_token, number_token


def table_automaton(columns: Sequence[ColumnCodec], vocabulary: Vocabulary, device: torch.device) -> Automaton:
    """Categories of the column; numbers of as many digits within training's range; missing where it occurs.

    Args:
        columns: in schema order.
        vocabulary: their tokens.
        device: where decoding happens.
    """
    builder = Builder()
    begin = []
    for column in columns:
        root = builder.state()
        begin.append(root)
        if isinstance(column, CategoryCodec):
            words = [category_token(column.index, category) for category in column.categories]
            builder.trie(root, [[vocabulary.ids[word]] for word in words])
        elif isinstance(column, DigitCodec):
            _digits(builder, root, column, vocabulary)
        else:
            _characters(builder, root, column, vocabulary)
        if column.missing:
            builder.states[root][vocabulary.ids[missing_token(column.index)]] = builder.END
    return builder.build(begin, vocabulary.pad_token, len(vocabulary), device)


def _digits(builder: Builder, root: int, column: DigitCodec, vocabulary: Vocabulary) -> None:
    """Numbers from the least to the greatest of training, by sign: digits are free once the number is surely inside."""
    states: dict[tuple[int, int, int], int] = {}

    def state(place: int, least: int, most: int) -> int:
        """Where ``place`` groups are read and the others may make any number from ``least`` to ``most``."""
        if place == len(column.groups):
            return builder.END
        if (place, least, most) not in states:
            states[place, least, most] = builder.state()
            edges(states[place, least, most], place, least, most, False)
        return states[place, least, most]

    def edges(source: int, place: int, least: int, most: int, negative: bool) -> None:
        size, unit = column.groups[place], 10 ** sum(column.groups[place + 1 :])
        for value in range(least // unit, most // unit + 1):
            rest = max(least - value * unit, 0), min(most - value * unit, unit - 1)
            token = vocabulary.ids[number_token(value, size, negative)]
            builder.states[source][token] = state(place + 1, *rest)

    for negative, (least, most) in column.bounds():
        edges(root, 0, least, most, negative)


def _characters(builder: Builder, root: int, column: NumberTextCodec, vocabulary: Vocabulary) -> None:
    """Numbers as they are written, padded where they are shorter than the longest."""
    states, accept = column.grammar.states()
    numbers = {state: root if state == ("start", 0) else builder.state() for state in states}
    for state, edges in states.items():
        for character, target in edges.items():
            full = target[1] == column.width
            builder.states[numbers[state]][vocabulary.ids[character]] = builder.END if full else numbers[target]
        if state in accept and state[1] < column.width:
            builder.states[numbers[state]][vocabulary.pad_token] = builder.END
