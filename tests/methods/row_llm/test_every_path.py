"""Every fast path against exact enumeration: layout × decoding × order × prefix sharing × truncation (chi-square).

The tokens are taken where the sampler hands them over to be read, so that the path is the one a user's sample takes.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.dependencies import FunctionalDependency
from methods.row_llm import RowLLM
from methods.row_llm.codecs.reasons import FD_VIOLATION, VALID
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.codecs.text_codec import TextCodec
from methods.row_llm.config import DecodingConfig
from methods.row_llm.model import language_model
from methods.row_llm.model.logits_model import LogitsModel
from methods.row_llm.sampling import prefixes
from methods.row_llm.sampling.fd_guide import FDGuide
from methods.row_llm.sampling.row_source import RowSource
from tests.methods.row_llm import table_case, text_case
from tests.methods.row_llm.exact import Exact, p_value

CPU = torch.device("cpu")
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
N = 4000
LEAST = 8e-4
FIXED = (2, 0, 1)


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits - logits.max())


def cooled(logits: np.ndarray) -> np.ndarray:
    return softmax(logits / 0.7)


def top_k(logits: np.ndarray) -> np.ndarray:
    keep = np.argsort(-logits, kind="stable")[:6]
    return np.where(np.isin(np.arange(len(logits)), keep), softmax(logits), 0.0)


def top_p(logits: np.ndarray) -> np.ndarray:
    probs = softmax(logits) / softmax(logits).sum()
    keep = np.argsort(-probs, kind="stable")
    needed = int(np.searchsorted(probs[keep].cumsum(), 0.8)) + 1
    return np.where(np.isin(np.arange(len(logits)), keep[:needed]), probs, 0.0)


CHANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]] = {
    "plain": (softmax, {}),
    "temperature": (cooled, {"temperature": 0.7}),
    "top_k": (top_k, {"top_k": 6}),
    "top_p": (top_p, {"top_p": 0.8}),
}
PATHS = {"shared": (FIXED, True), "row_by_row": (FIXED, False), "random_order": (None, False)}
# Each decoding meets each truncation, and each path each truncation; the plain ones of template and constrained are in
# test_row_llm_sampler_exact and test_row_llm_text.
GRID = [
    ("template", "shared", "temperature"),
    ("template", "row_by_row", "top_k"),
    ("template", "random_order", "top_p"),
    ("constrained", "shared", "top_k"),
    ("constrained", "row_by_row", "top_p"),
    ("constrained", "random_order", "temperature"),
    ("fd_constrained", "shared", "top_p"),
    ("fd_constrained", "row_by_row", "temperature"),
    ("fd_constrained", "random_order", "top_k"),
    ("fd_constrained", "row_by_row", "plain"),
    ("fd_constrained", "random_order", "plain"),
    ("free", "shared", "plain"),
    ("free", "row_by_row", "plain"),
    ("free", "shared", "top_p"),
    ("free", "row_by_row", "temperature"),
    ("free", "shared", "top_k"),
]


class Case:
    """A briefly trained model with what enumeration needs to know of its columns; rows are drawn on ``device``."""

    def __init__(
        self, generator: RowLLM, legal: Any, table: Any, answers: dict[tuple[int, ...], tuple[int, ...]]
    ) -> None:
        self.head, self.codec = generator.fitted.logits_model, generator.fitted.codec
        self.legal, self.answers, self.table = legal, answers, table
        self.memory: dict[tuple[int, ...], np.ndarray] = {}
        self.move("cpu")

    def move(self, device: str) -> None:
        """Enumeration stays on the CPU."""
        place = torch.device(device)
        self.drawer = LogitsModel(copy.deepcopy(self.head.model).to(place).eval())
        self.guide = FDGuide.fit(self.table, [FunctionalDependency(("a",), "b")], self.codec, place)

    def force(self, column: int, values: Any) -> tuple[int, ...] | None:
        """b follows from a, where a is already written."""
        return self.answers.get(values.get(0, ())) if column == 2 else None


@pytest.fixture(scope="module")
def table_layout() -> Case:
    generator = RowLLM("random", epochs=12, decoding="free", llm={"width": 16, "heads": 2}, device="cpu")
    generator.fit(table_case.table(), table_case.SCHEMA, seed=1)
    ids = generator.fitted.codec.vocabulary.ids  # type: ignore[union-attr]
    answers = {(ids["[0] x"],): (ids["[2] u"],), (ids["[0] y"],): (ids["[2]"],), (ids["[0] z"],): (ids["[2] w"],)}
    return Case(generator, table_case.legal(generator), table_case.table(), answers)


@pytest.fixture(scope="module")
def text_layout(tmp_path_factory: pytest.TempPathFactory) -> Case:
    corpus = [f"a is {a}, is n is {n}, b is {b}" for a in ("x", "yy") for n in range(-9, 14) for b in ("w", "None")]
    folder: Path = text_case.pretrained_folder(tmp_path_factory.mktemp("model"), corpus)
    generator = RowLLM(
        "random", epochs=25, batch_size=16, decoding="free", llm={"pretrained": str(folder)}, device="cpu"
    )
    generator.fit(text_case.table(), text_case.SCHEMA, seed=0)
    codec = generator.fitted.codec
    assert isinstance(codec, TextCodec)
    pairs = {"x": "\\None", "yy": "None", "x\\c is": "w"}
    body = {text: tuple(codec.pieces.value(text)) for pair in pairs.items() for text in pair}
    answers = {body[a]: body[b] for a, b in pairs.items()}
    return Case(generator, text_case.legal(codec), text_case.table(), answers)


@pytest.fixture(params=[(layout, device) for layout in ("table", "text") for device in DEVICES], ids="-".join)
def case(request: pytest.FixtureRequest) -> Case:
    layout, device = request.param
    found: Case = request.getfixturevalue(f"{layout}_layout")
    found.move(device)
    return found


def drawn(
    case: Case, mode: str, order: tuple[int, ...] | None, share: bool, options: dict[str, Any]
) -> tuple[Counter[Any], Any]:
    """Token rows that the path hands to the codec, and what became of them."""
    taken: list[Any] = []
    codec = type(case.codec).__new__(type(case.codec))
    codec.__dict__.update(case.codec.__dict__)
    for name in ("decode", "parse"):
        read = getattr(case.codec, name)

        def spy(tokens: Any, *more: Any, read: Any = read) -> Any:
            taken.append((tokens, *more))
            return read(tokens, *more)

        setattr(codec, name, spy)
    source = RowSource(
        case.drawer,
        codec,
        None if order is None else torch.tensor(order),
        DecodingConfig(mode, **options),  # type: ignore[arg-type]
        700,  # not a divisor of N, and fewer than the prefixes
        share,
        case.guide if mode == "fd_constrained" else None,
    )
    _, state, _ = source.draw(N, np.random.default_rng(11), lambda done: None)
    tokens, *more = taken[0]
    if mode == "free":
        end = case.codec.bos_token if isinstance(case.codec, TableCodec) else case.codec.end_token
        return Counter(tuple(row[: row.index(end)]) for row in tokens.tolist() if end in row), state
    if isinstance(case.codec, TableCodec):
        edges = list(pairwise(np.cumsum([0, *case.codec.widths]).tolist()))
        return Counter(tuple(tuple(row[a:b]) for a, b in edges) for row in tokens.tolist()), state
    whole = [np.where(more[0][:, None], -2, value) for value in tokens]  # a cut row is none of the enumerated ones
    return text_case.seen(whole), state


@pytest.mark.parametrize(("mode", "path", "change"), GRID)
def test_frequencies_equal_exact_probabilities(
    case: Case, mode: str, path: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, share = PATHS[path]
    shape, options = CHANGES[change]
    if change.startswith("top"):  # a GPU's bf16 would move tokens across the edge
        monkeypatch.setattr(language_model, "mixed_precision", lambda device, width=0: "no")
    seen, state = drawn(case, mode, order, share, options)
    allowed = case.legal if mode.endswith("constrained") else (lambda column, value: None)
    force = case.force if mode == "fd_constrained" else (lambda column, values: None)
    exact = Exact(case.head, case.codec, LEAST / (6 if order is None else 1), shape, allowed, force, case.memory)
    expected: Counter[Any] = Counter()
    if mode == "free":
        layout = case.codec.free_layout(case.head.vocabulary_size, CPU)
        expected.update(exact.free(layout.length, layout.stop_token))
    else:
        orders = list(permutations(range(3))) if order is None else [order]
        for one in orders:
            expected.update({row: prob / len(orders) for row, prob in exact.rows(one).items()})
    assert p_value(expected, seen, N, least_cells=8) > 1e-3
    if mode == "constrained":
        assert (state == VALID).all()
    if mode == "fd_constrained":
        assert set(np.unique(state)) <= {VALID, FD_VIOLATION}


@pytest.mark.parametrize("mode", ["template", "free"])
def test_rows_set_apart_follow_the_same_probabilities(case: Case, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared prefixes become rows of their own as soon as there are two."""
    monkeypatch.setattr(prefixes, "LEAST_SHARED", 2000.0)
    test_frequencies_equal_exact_probabilities(case, mode, "shared", "plain", monkeypatch)


def test_a_wrong_temperature_is_noticed(case: Case) -> None:
    seen, _ = drawn(case, "template", FIXED, True, {"temperature": 0.85})
    expected = Exact(case.head, case.codec, LEAST, memory=case.memory).rows(FIXED)
    assert p_value(expected, seen, N, least_cells=8) < 1e-6
