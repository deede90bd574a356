"""Pieces of a row's text in the tokens of a pretrained model's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from harness.errors import Incompatible


class PieceTokenizer:
    """Tokenises each piece of a row on its own, so that columns can be permuted as tokens.

    Args:
        tokenizer: the pretrained model's.

    Attributes:
        bos_token: begins rows.
        end_token: ends them.
        separator: the comma between columns.

    Raises:
        Incompatible: when the tokenizer has no token that ends a text, or none for a comma.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        end_token = tokenizer.eos_token_id
        if end_token is None:
            raise Incompatible(
                "the pretrained model's tokenizer has no end-of-text token, which ends a row: choose another model."
            )
        self.end_token = int(end_token)
        self.bos_token = self.end_token if tokenizer.bos_token_id is None else int(tokenizer.bos_token_id)
        comma = self.piece("a", ",")
        if len(comma) != 1:
            raise Incompatible("the pretrained model's tokenizer has no token for a comma: choose another model.")
        self.separator = comma[0]

    def beginning(self, text: str) -> list[int]:
        """The tokens of a text that nothing precedes."""
        tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def piece(self, before: str, text: str) -> list[int]:
        """The tokens of a text that follows another.

        Raises:
            Incompatible: when they depend on the text before.
        """
        prefix, whole = self.beginning(before), self.beginning(before + text)
        if whole[: len(prefix)] != prefix:
            raise Incompatible(
                f"the pretrained model's tokenizer joins {text!r} with the text before it, so rows cannot be built "
                "from columns: choose another model."
            )
        return whole[len(prefix) :]

    def value(self, text: str) -> list[int]:
        """The tokens of a value, which follows `` is``."""
        return self.piece("is", f" {text}")

    def texts(self, values: Sequence[Sequence[int]]) -> list[str]:
        """Reverse :meth:`value`; where the space before a value is lacking, a line break stands before its text."""
        prefix = self.beginning("is")
        options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        prefix_text = self.tokenizer.decode(prefix, **options)
        whole = self.tokenizer.batch_decode([[*prefix, *value] for value in values], **options)
        rest = [text.removeprefix(prefix_text) for text in whole]
        return [text[1:] if text.startswith(" ") else f"\n{text}" for text in rest]
