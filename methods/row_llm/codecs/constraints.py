"""What each column may hold, as an automaton over tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from methods.row_llm.codecs.automaton import Automaton, Builder
from methods.row_llm.codecs.columns import NUMBER_CHARACTERS, CategoryCodec, DigitCodec, NumberTextCodec
from methods.row_llm.codecs.number_grammar import CharStates, with_literals
from methods.row_llm.codecs.text_codec import MISSING, TextCodec
from methods.row_llm.codecs.tokenizer import Words, category_token, missing_token, number_token

if TYPE_CHECKING:
    from methods.row_llm.codecs.table_codec import TableCodec


def table_automaton(codec: TableCodec, device: torch.device) -> Automaton:
    """Categories of the column; numbers of as many digits within training's range; missing where it occurs."""
    builder = Builder()
    begin = []
    for column in codec.codecs:
        root = builder.state()
        begin.append(root)
        if isinstance(column, CategoryCodec):
            words = [category_token(column.index, category) for category in column.categories]
            builder.trie(root, [[codec.words.ids[word]] for word in words])
        elif isinstance(column, DigitCodec):
            _digits(builder, root, column, codec.words)
        else:
            _characters(builder, root, column, codec.words)
        if column.missing:
            builder.states[root][codec.words.ids[missing_token(column.index)]] = builder.END
    return builder.build(begin, codec.blank, len(codec.words), device)


def _digits(builder: Builder, root: int, column: DigitCodec, words: Words) -> None:
    """Numbers from the least to the greatest of training, by sign: digits are free once the number is inside for certain."""
    known: dict[tuple[int, int, int], int] = {}

    def state(place: int, least: int, most: int) -> int:
        """Where ``place`` groups are read and the others may make any number from ``least`` to ``most``."""
        if place == len(column.groups):
            return builder.END
        if (place, least, most) not in known:
            known[place, least, most] = builder.state()
            edges(known[place, least, most], place, least, most, False)
        return known[place, least, most]

    def edges(source: int, place: int, least: int, most: int, sign: bool) -> None:
        size, unit = column.groups[place], 10 ** sum(column.groups[place + 1 :])
        for value in range(least // unit, most // unit + 1):
            rest = max(least - value * unit, 0), min(most - value * unit, unit - 1)
            builder.states[source][words.ids[number_token(value, size, sign)]] = state(place + 1, *rest)

    for sign, (least, most) in column.bounds():
        edges(root, 0, least, most, sign)


def _characters(builder: Builder, root: int, column: NumberTextCodec, words: Words) -> None:
    states, accept = column.grammar.states()
    numbers = {state: root if state == ("start", 0) else builder.state() for state in states}
    for state, edges in states.items():
        for character, target in edges.items():
            full = target[1] == column.width
            builder.states[numbers[state]][words.ids[character]] = builder.END if full else numbers[target]
        if state in accept and state[1] < column.width:
            builder.states[numbers[state]][words.blank] = builder.END


def text_automaton(codec: TextCodec, vocabulary: int, device: torch.device) -> Automaton:
    """Tries of the categories' tokens, and number grammars over all tokens made of number characters."""
    builder = Builder()
    begin = []
    ends = (codec.separator, codec.end)
    numeric = _number_tokens(codec)
    for index, grammar in enumerate(codec.grammars):
        root = builder.state()
        begin.append(root)
        if grammar is not None:
            states, accept = with_literals(*grammar.states(), [MISSING] * codec.missing[index])
            _spell(builder, root, states, accept, numeric, ends)
            continue
        cells = [*(codec.categories[index] or ()), *([None] * codec.missing[index])]
        bodies = [codec.piece("is", f" {codec.write(codec.schema.columns[index], cell)}") for cell in cells]
        builder.trie(root, bodies, ends)
    return builder.build(begin, codec.separator, vocabulary, device)


def _number_tokens(codec: TextCodec) -> dict[int, str]:
    """Tokens that consist of number characters, a leading space allowed, or of the letters of the missing word."""
    characters = set(NUMBER_CHARACTERS) | set(MISSING)
    ids = sorted(set(codec.tokenizer.get_vocab().values()) - set(codec.tokenizer.all_special_ids))
    texts = zip(ids, codec.texts([[token] for token in ids]), strict=True)
    return {
        token: text
        for token, text in ((t, _raw(text)) for t, text in texts)
        if text and set(text.lstrip(" ")) <= characters
    }


def _raw(text: str) -> str:
    """:meth:`TextCodec.texts` takes one leading space away, or marks its absence by a line break."""
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
