"""Where the sides' models come from: configurations as they ship, and weights that both sides share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from harness.datasets import load
from harness.datasets.base import Dataset
from tests.bench.peers.ours import base_model, texts_of
from tests.bench.peers.turns import Side

OURS = "tests.bench.peers.ours."
THEIRS = "tests.bench.peers.sides."
CONF = Path(__file__).resolve().parents[3] / "conf" / "generator"
SMALL, MILLION = (2, 64), (5, 128)
"""Layers and width of the shared models."""
WEIGHT_EPOCHS = {"us_location": 8, "adult": 2, "simulated_base5": 20}
"""Training of the shared weights, until be-great's own sampler yields rows."""
OUR_ROWS = {"us_location": 16320, "adult": 26049, "simulated_base5": 8000}
GREAT_EPOCHS = {"us_location": 2, "simulated_base5": 12}
GREAT_SECONDS = {"us_location": 100.0, "simulated_base5": 480.0}
"""Training of shared weights by be-great, at most."""
TEXT_ROWS = {"us_location": 6144, "adult": 3072, "simulated_base5": 8000}
"""Ours over text."""
THEIR_ROWS = {"us_location": 1000, "adult": 300, "simulated_base5": 1000}


@dataclass
class Bench:
    """Where models are kept, and the sizes.

    Attributes:
        folder: of models and of the sides' files.
        turns: how often sides take turns.
        threads: of each side.
        train_seconds: each side's training, at most, where each trains by its own recipe.
        smoke: tiny sizes, to see that everything runs.
    """

    folder: Path
    turns: int
    threads: int
    train_seconds: float
    smoke: bool = False

    def dataset(self, name: str) -> Dataset:
        """A configured dataset."""
        return load(name, max_train_rows=500) if self.smoke else load(name)

    def rows(self, name: str, text: bool) -> dict[str, int]:
        """Rows to ask each side for in a turn: enough for seconds of work."""
        if self.smoke:
            return {"ours": 500, "theirs": 100, "unshared": 500, "limit": 500}
        ours = (TEXT_ROWS if text else OUR_ROWS)[name]
        return {"ours": ours, "theirs": THEIR_ROWS[name], "unshared": ours, "limit": min(OUR_ROWS[name], 4096)}

    def side(self, name: str, target: str, arguments: Mapping[str, Any], **options: Any) -> Side:
        """A side with a private folder."""
        return Side(target, arguments, self.folder / "work" / name, threads=self.threads, **options)

    @cached_property
    def environments(self) -> dict[str, Mapping[str, Any]]:
        """The peers' environments, from their generators' YAML."""
        return {peer: config(peer)["environment"] for peer in ("great", "realtabformer")}


def config(generator: str) -> dict[str, Any]:
    """A generator's YAML as it ships."""
    scale = OmegaConf.load(CONF.parent / "scale" / "small.yaml")
    loaded: Any = OmegaConf.create({"generator": OmegaConf.load(CONF / f"{generator}.yaml"), "scale": scale})
    found: dict[str, Any] = OmegaConf.to_container(loaded, resolve=True)["generator"]
    return found


def recipe(generator: str, **changes: Any) -> dict[str, Any]:
    """Its arguments."""
    given = {key: value for key, value in config(generator).items() if key not in ("_target_", "environment")}
    return {**given, **changes}


@dataclass(frozen=True)
class Weights:
    """The shared model.

    Attributes:
        base: folder of the untrained model and its tokenizer.
        keep: folder of the trained one.
        model: the part of it that be-great loads.
        tokens: what be-great may generate for a row.
        taught: how it was trained, in words.
    """

    base: Path
    keep: Path
    model: Path
    tokens: int
    taught: str


def weights(bench: Bench, name: str, *, by_great: bool = False, size: tuple[int, int] = SMALL) -> Weights:
    """Train or find the shared weights.

    Args:
        bench: where they are kept.
        name: the table.
        by_great: whether be-great trains them, which never learns where a row ends; else we do, with the end learnt.
        size: layers and width.
    """
    dataset = bench.dataset(name)
    small = size == SMALL
    base = bench.folder / (f"base-{name}" if small else f"base-{name}-{size[0]}x{size[1]}")
    if not (base / "llm" / "config.json").exists():
        base_model(base, dataset.train, dataset.schema, *size)
    if by_great:
        keep = bench.folder / f"weights-{name}-great"
        arguments = recipe(
            "great",
            llm=str(base / "llm"),
            epochs=GREAT_EPOCHS[name],
            device="cpu",
            max_train_seconds=GREAT_SECONDS[name],
        )
        side = bench.side(
            keep.name, f"{THEIRS}KeptGReaT", arguments, keep=keep, environment=bench.environments["great"]
        )
        taught = f"by be-great, {GREAT_EPOCHS[name]} epochs or {GREAT_SECONDS[name]:g} s"
    else:
        epochs = WEIGHT_EPOCHS[name] if small else 2
        keep = bench.folder / f"weights-{base.name.removeprefix('base-')}-random-{epochs}"
        side = bench.side(keep.name, f"{OURS}OurRows", text_training(base, epochs), keep=keep)
        taught = f"by us, {epochs} epochs, the end of a row learnt, columns shuffled for every row as be-great does"
    side.fit(dataset)
    side.close()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base / "llm")
    longest = max(map(len, tokenizer(texts_of(dataset.train, dataset.schema, 1))["input_ids"]))
    return Weights(base, keep, keep / ("weights" if by_great else "model"), max(longest + 8, 100), taught)


def text_training(base: Path, epochs: int) -> dict[str, Any]:
    return {
        "order": "random",
        "decoding": "free",
        "llm": {"pretrained": str(base / "llm")},
        "epochs": epochs,
        "device": "cpu",
    }
