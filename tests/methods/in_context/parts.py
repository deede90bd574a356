"""A small table, and generators over it that need no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.table import Column, Schema, conform
from methods.in_context import InContextLLM
from methods.in_context.rows import domains
from tests.methods.in_context.llm_server import Server

SCHEMA = Schema(
    (Column("state", "categorical"), Column("bird", "categorical"), Column("n", "integer"), Column("lat", "float", 1))
)
UGLY = Schema(
    (
        Column('na"me', "categorical"),
        Column("größe", "float", None),
        Column("id", "integer"),
        Column("t", "categorical"),
    )
)


def states(rows: int = 60) -> pd.DataFrame:
    k = np.arange(rows) % 4
    frame = pd.DataFrame(
        {
            "state": np.array(["MA", "AZ", "ME", "TX"])[k],
            "bird": np.array(["tit", "wren", "tit", "jay"])[k],
            "n": k,
            "lat": 30 + k / 2,
        }
    )
    return conform(frame.astype(object), SCHEMA)[0]


TRAIN = states()
KNOWN = domains(TRAIN, SCHEMA)
ROW = '{"state": "MA", "bird": "tit", "n": 0, "lat": 30.0}'


def local(folder: Path, **changes: Any) -> InContextLLM:
    settings: dict[str, Any] = {
        "examples": 6,
        "rows_per_request": 5,
        "max_tokens": 160,
        "describe_columns": False,
        "device": "cpu",
    }
    return InContextLLM(model=str(folder), **{**settings, **changes})


def remote(server: Server, **changes: Any) -> InContextLLM:
    settings: dict[str, Any] = {
        "model": "tiny",
        "backend": "endpoint",
        "base_url": server.base_url,
        "api_key_env": "TEST_KEY",
        "examples": 6,
        "rows_per_request": 5,
        "max_tokens": 160,
        "describe_columns": False,
        "timeout_seconds": 30.0,
        "max_wait_seconds": 2.0,
    }
    generator = InContextLLM(**{**settings, **changes})
    generator._model.first_wait_seconds = 0.01  # type: ignore[union-attr]  # no test should wait
    return generator


def fitted(generator: InContextLLM, train: pd.DataFrame = TRAIN) -> InContextLLM:
    generator.fit(train, SCHEMA, seed=0)
    return generator


def assert_accounts(sample: Any, n: int) -> None:
    assert sample.yield_.attempted == sample.yield_.accepted + sum(sample.yield_.rejected.values())
    assert sample.yield_.accepted == len(sample.frame) <= n
    assert list(sample.frame.columns) == SCHEMA.names
