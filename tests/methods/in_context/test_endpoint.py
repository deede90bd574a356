"""An endpoint that works, misbehaves, or refuses; and the server that ships with transformers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.errors import TabOrderError
from harness.generator import Context
from harness.table import Schema
from methods.in_context import InContextLLM
from tests.methods.in_context.llm_server import KEY, Server
from tests.methods.in_context.parts import SCHEMA, TRAIN, assert_accounts, fitted, remote


def test_order_reaches_the_prompt(server: Server) -> None:
    for order, first_keys in (("original", {"state"}), ("fd", {"lat"}), ("given", {"bird"})):
        given = ["bird", "n", "lat", "state"] if order == "given" else None
        frame = TRAIN.assign(lat=np.arange(60) % 12 / 2)  # lat → state
        generator = remote(
            server, order=order, given_order=given, mining={"min_support": 0, "max_lhs": 1}, max_requests=1
        )
        columns = Schema((SCHEMA["state"], SCHEMA["bird"], SCHEMA["n"], SCHEMA["lat"]))
        generator.fit(frame, columns, seed=0)
        generator.sample(1, seed=0)
        prompt = server.requests[-1]["messages"][0]["content"]
        rows = [json.loads(line) for line in prompt.splitlines() if line.startswith("{")]
        assert {next(iter(row)) for row in rows} == first_keys
    generator = fitted(remote(server, order="random", max_requests=1))
    generator.sample(1, seed=0)
    rows = [
        json.loads(line) for line in server.requests[-1]["messages"][0]["content"].splitlines() if line.startswith("{")
    ]
    assert len({tuple(row) for row in rows}) > 1
    assert generator.describe()["column_order"] is None


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_endpoint_delivers_rows_and_counts_tokens_and_cost(server: Server, api: str) -> None:
    generator = fitted(remote(server, api=api, concurrency=2, price_per_million={"prompt": 2.0, "completion": 10.0}))
    sample = generator.sample(15, seed=0)
    assert_accounts(sample, 15)
    assert len(sample.frame) == 15
    facts = generator.describe()
    assert facts["requests"] == len(server.requests) == facts["answers_asked_for"]
    assert facts["cost"] == pytest.approx((2 * facts["prompt_tokens"] + 10 * facts["completion_tokens"]) / 1e6)
    assert facts["completion_tokens"] == sample.yield_.tokens > 0
    pd.testing.assert_frame_equal(sample.frame, fitted(remote(server, api=api, concurrency=2)).sample(15, seed=0).frame)


def test_key_is_sent_but_kept_nowhere(server: Server) -> None:
    generator = fitted(remote(server))
    generator.sample(3, seed=0)
    assert KEY not in repr(vars(generator)) + repr(generator._model) + json.dumps(generator.describe())


def test_wrong_key_is_refused_at_once_without_being_shown(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-wrong-key")
    with pytest.raises(TabOrderError, match=r"HTTP status 401.*api_key_env") as caught:
        fitted(remote(server)).sample(3, seed=0)
    assert "sk-wrong-key" not in str(caught.value)
    assert "***" in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("key", "state"), [(None, "is not set"), ("", "is not set"), ("sk-1\n", "no usable key"), ("sk ü", "no usable key")]
)
def test_unusable_keys_are_named_before_any_request(
    server: Server, monkeypatch: pytest.MonkeyPatch, key: str | None, state: str
) -> None:
    monkeypatch.delenv("TEST_KEY") if key is None else monkeypatch.setenv("TEST_KEY", key)
    with pytest.raises(TabOrderError, match=f"environment variable TEST_KEY .*{state}") as caught:
        fitted(remote(server))
    assert not key or key not in str(caught.value)
    assert server.requests == []


def test_servers_without_keys_need_none(server: Server) -> None:
    server.key = None
    assert len(fitted(remote(server, api_key_env=None)).sample(3, seed=0).frame) == 3


def test_failures_that_pass_are_tried_again(server: Server) -> None:
    server.faults = [
        ("status", 500, {}),
        ("status", 429, {}),
        ("close",),
        ("body", "<html>busy</html>"),
        ("body", '{"choices": []}'),
        None,
    ]
    generator = fitted(remote(server))
    assert len(generator.sample(3, seed=0).frame) == 3
    assert generator.describe()["retries"] == {"connection": 1, "http_429": 1, "http_500": 1, "malformed": 2}
    assert generator.describe()["requests"] == len(server.requests)


def test_retry_after_is_heeded(server: Server) -> None:
    server.faults = [("status", 429, {"Retry-After": "1"})]
    fitted(remote(server)).sample(1, seed=0)
    assert server.times[1] - server.times[0] >= 1.0


def test_retry_after_may_be_a_date_and_one_too_far_off_ends_it(server: Server) -> None:
    server.faults = [
        ("status", 503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        ("status", 429, {"Retry-After": "3600"}),
    ]
    with pytest.raises(TabOrderError, match="asked to wait 3600 s, more than max_wait_seconds=2"):
        fitted(remote(server)).sample(1, seed=0)
    assert len(server.requests) == 2


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_answers_that_do_not_end_are_given_up(server: Server, fault: str) -> None:
    server.faults = [(fault, 20)]
    generator = fitted(remote(server, timeout_seconds=1.0, retries=0))
    began = time.monotonic()
    with pytest.raises(TabOrderError, match="no complete answer within 1 s"):
        generator.sample(1, seed=0)
    assert time.monotonic() - began < 10


def test_a_lasting_failure_ends_after_the_retries(server: Server) -> None:
    server.faults = [("status", 503, {})] * 50
    with pytest.raises(TabOrderError, match="failed 4 times, at last with: HTTP status 503"):
        fitted(remote(server, retries=3)).sample(1, seed=0)
    assert len(server.requests) == 4


def test_rows_paid_for_are_kept_when_the_endpoint_then_fails(server: Server) -> None:
    server.faults = [None, *[("status", 400, {}, "context too long")] * 50]
    generator = fitted(remote(server))
    sample = generator.sample(1000, seed=0)
    assert_accounts(sample, 1000)
    assert 0 < len(sample.frame) < 1000
    assert len(server.requests) == 2
    [note] = [note for note in generator.describe()["notes"] if "sampling ended" in note]
    assert "HTTP status 400" in note
    assert "context too long" in note


def test_a_killed_run_does_not_pay_for_its_answers_again(server: Server, tmp_path: Path) -> None:
    def bound(folder: Path, report: Callable[..., None], **changes: Any) -> InContextLLM:
        folder.mkdir(exist_ok=True)
        generator = remote(server, concurrency=2, **changes)
        generator.bind(Context(folder, 1, report))
        return fitted(generator)

    expected = bound(tmp_path / "whole", lambda *_, **__: None).sample(25, seed=0)
    asked = len(server.requests)

    def die(*_: Any, **given: Any) -> None:
        if given.get("requests") == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bound(tmp_path / "killed", die).sample(25, seed=0)
    with (tmp_path / "killed" / "answers.jsonl").open("a") as file:
        file.write('{"key": "torn')
    server.requests.clear()
    again = bound(tmp_path / "killed", lambda *_, **__: None)
    sample = again.sample(25, seed=0)
    assert len(server.requests) == asked - 4
    assert sample.frame.equals(expected.frame)
    assert sample.yield_ == expected.yield_
    assert again.describe()["requests"] == asked
    assert any("4 answers are from a run that was interrupted" in note for note in again.describe()["notes"])
    assert not (tmp_path / "killed" / "answers.jsonl").exists()
    assert len(bound(tmp_path / "killed", lambda *_, **__: None, max_requests=2).sample(25, seed=0).frame) <= 10


def test_hard_cap_counts_repeated_tries(server: Server) -> None:
    server.faults = [("status", 500, {})] * 50
    generator = fitted(remote(server, max_requests=3, retries=10))
    sample = generator.sample(5, seed=0)
    assert len(server.requests) == 3
    assert len(sample.frame) == 0
    assert "sampling ended with 0 of 5 rows: the cap of 3 requests was reached." in generator.describe()["notes"]


def test_redirects_are_not_followed_with_the_key(server: Server) -> None:
    server.faults = [("redirect", server.base_url + "/elsewhere")]
    with pytest.raises(TabOrderError, match="HTTP status 307"):
        fitted(remote(server)).sample(1, seed=0)
    assert len(server.requests) == 1


def test_an_unreachable_endpoint_says_so(server: Server) -> None:
    with pytest.raises(TabOrderError, match="failed 2 times, at last with: ConnectionRefusedError"):
        fitted(remote(server, base_url="http://127.0.0.1:9/v1", retries=1)).sample(1, seed=0)


def test_endpoints_that_do_not_count_tokens_leave_them_unknown(server: Server) -> None:
    server.usage = False
    generator = fitted(remote(server, price_per_million={"prompt": 1.0}))
    assert generator.sample(3, seed=0).yield_.tokens is None
    assert generator.describe()["cost"] is None


def test_request_fields_are_added_or_left_out(server: Server) -> None:
    server.faults = [("status", 400, {})]
    with pytest.raises(TabOrderError, match="HTTP status 400"):
        fitted(remote(server, request_fields={"max_completion_tokens": 9, "max_tokens": None})).sample(1, seed=0)
    assert server.requests[0]["max_completion_tokens"] == 9
    assert "max_tokens" not in server.requests[0]


@pytest.mark.slow
def test_the_server_that_ships_with_transformers(fluent: Path) -> None:
    for package in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(package, reason="transformers[serving] is not installed")
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = "from transformers.cli.transformers import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", run, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        generator = InContextLLM(
            backend="endpoint",
            model=str(fluent),
            base_url=f"http://127.0.0.1:{port}/v1",
            api="completions",
            examples=6,
            rows_per_request=5,
            max_tokens=160,
            describe_columns=False,
            max_requests=30,
        )
        sample = fitted(generator).sample(10, seed=0)
        assert_accounts(sample, 10)
        assert len(sample.frame) == 10
        assert generator.describe()["prompt_tokens"] > 100
    finally:
        process.terminate()
        process.wait(20)
