"""An OpenAI-compatible endpoint as an in-context model: retries, time-outs, a hard cap on requests, and a key that is never kept."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from harness.errors import TabOrderError
from harness.seeding import rng
from methods.in_context.answers import Answer, Stopped
from methods.in_context.config import InContextConfig

MAX_ANSWER_BYTES = 1 << 24
MAX_ERROR_TEXT = 300
RETRIED = frozenset({408, 409, 425, 429})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another address."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Endpoint:
    """An OpenAI-compatible endpoint, reached by the standard library alone: one kind of POST needs no client package.

    The key is read from the environment when a request is made and is never kept, logged or put into an error.

    Attributes:
        base_url: up to and without ``/chat/completions``, e.g. ``https://api.openai.com/v1``.
        model: its name there.
        api: ``chat`` (``/chat/completions``) or ``completions`` (``/completions``, for models that continue text).
        style: of the prompts: ``chat`` or ``continue``, for the record.
        key_variable: the environment variable that holds the key; ``None`` for servers without keys.
        max_requests: hard cap on requests sent, retries included.
        concurrency: requests under way at once.
        retries: further tries of one request after a failure that may pass (time-out, broken connection or answer, status 408, 409,
            425, 429 or 5xx). Waiting doubles from ``first_wait_seconds``, times a seeded factor in [0.5, 1.5); ``Retry-After`` is
            heeded, and one above ``max_wait_seconds`` ends the sampling.
        timeout_seconds: for one answer, looked at whenever bytes arrive or stop arriving.
        notes: sentences for the record: none.
        on_tokens: nothing is told while an answer is under way.
        fields: more fields of the request body, e.g. ``{"max_completion_tokens": 2048}``; ``null`` leaves a default field out.
    """

    base_url: str
    model: str
    api: str
    style: str
    key_variable: str | None
    max_tokens: int
    temperature: float
    top_p: float | None
    max_requests: int
    concurrency: int
    retries: int
    timeout_seconds: float
    max_wait_seconds: float
    first_wait_seconds: float = 1.0
    fields: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    on_tokens: Callable[..., None] = field(default=lambda **_: None, repr=False)
    sent: int = 0
    retried: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.base_url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.username
            or parts.query
            or parts.fragment
        ):
            raise TabOrderError(
                "base_url must be http(s)://host[:port]/path without user name, password, query or fragment, like "
                "https://api.openai.com/v1: keys belong into the environment variable that api_key_env names."
            )
        self._lock = threading.Lock()
        self._opener = urllib.request.build_opener(_NoRedirects)

    @classmethod
    def of(cls, config: InContextConfig, base_url: str) -> Endpoint:
        """The endpoint that a generator's configuration describes."""
        return cls(
            base_url=base_url,
            model=config.model,
            api=config.api,
            style=config.style or ("chat" if config.api == "chat" else "continue"),
            key_variable=config.api_key_env,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            max_requests=config.max_requests,
            concurrency=config.at_once,
            retries=config.retries,
            timeout_seconds=config.timeout_seconds,
            max_wait_seconds=config.max_wait_seconds,
            fields=config.request_fields,
        )

    def start(self) -> None:
        """Begin a new table: counts start from 0."""
        self.sent = 0
        self.retried = Counter()

    def key(self) -> str | None:
        """The key from the environment."""
        if self.key_variable is None:
            return None
        key = os.environ.get(self.key_variable, "")
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            state = "holds no usable key (spaces, line breaks or non-ASCII characters)" if key else "is not set"
            raise TabOrderError(
                f"the environment variable {self.key_variable} {state}: put the endpoint's key there, or set api_key_env=null for a "
                "server that wants none."
            )
        return key

    def answers(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Answer | Stopped]:
        """Ask for all prompts, ``concurrency`` at a time."""
        with ThreadPoolExecutor(max(1, self.concurrency)) as pool:
            return list(pool.map(self._answer, prompts, seeds))

    def facts(self) -> dict[str, Any]:
        """Style of the prompts, requests sent and tries repeated, by cause."""
        return {"style": self.style, "requests": self.sent, "retries": dict(sorted(self.retried.items()))}

    def _answer(self, prompt: str, seed: int) -> Answer | Stopped:
        """One prompt's answer, after as many tries as it takes and is allowed."""
        jitter = rng(seed, "back-off")
        body = self._body(prompt, seed)
        for turn in range(self.retries + 1):
            with self._lock:
                if self.sent >= self.max_requests:
                    return Stopped(f"the cap of {self.max_requests} requests was reached.", fatal=False)
                self.sent += 1
            try:
                return self._post(body)
            except _Passing as failure:
                wait = min(self.max_wait_seconds, self.first_wait_seconds * 2**turn * (0.5 + float(jitter.random())))
                if failure.retry_after is not None and failure.retry_after > self.max_wait_seconds:
                    return Stopped(
                        f"the endpoint asked to wait {failure.retry_after:.0f} s, more than max_wait_seconds={self.max_wait_seconds:g} "
                        f"({failure}).",
                        fatal=True,
                    )
                last = str(failure)
                if turn < self.retries:
                    with self._lock:
                        self.retried[failure.cause] += 1
                    time.sleep(max(wait, failure.retry_after or 0.0))
            except Stopped as stopped:
                return stopped
        return Stopped(f"a request failed {self.retries + 1} times, at last with: {last}.", fatal=True)

    def _body(self, prompt: str, seed: int) -> bytes:
        asked = {"messages": [{"role": "user", "content": prompt}]} if self.api == "chat" else {"prompt": prompt}
        body = {
            "model": self.model,
            **asked,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": seed,
            **self.fields,
        }
        return json.dumps({name: value for name, value in body.items() if value is not None}).encode()

    def _post(self, body: bytes) -> Answer:
        path = "/chat/completions" if self.api == "chat" else "/completions"
        key = self.key()
        headers = {"Content-Type": "application/json", "User-Agent": "taborder"}
        request = urllib.request.Request(self.base_url.rstrip("/") + path, data=body, headers=headers)
        if key is not None:
            request.add_unredirected_header("Authorization", f"Bearer {key}")
        end = time.monotonic() + self.timeout_seconds
        try:
            with self._opener.open(request, timeout=self.timeout_seconds) as response:
                raw = _read(response, end)
        except urllib.error.HTTPError as error:
            raise _status_failure(error, key) from None
        except TimeoutError:
            raise _Passing("timeout", f"no complete answer within {self.timeout_seconds:g} s") from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, TimeoutError):
                raise _Passing("timeout", f"no complete answer within {self.timeout_seconds:g} s") from None
            raise _Passing("connection", f"{type(cause).__name__}: {cause}") from None
        return _read_answer(raw)


class _Passing(Exception):
    """A failure that may pass when tried again."""

    def __init__(self, cause: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after = retry_after


def _read(response: Any, end: float) -> bytes:
    """A whole body, bounded in size, and in time even when it comes in drops."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise _Passing("malformed", f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        if time.monotonic() > end:
            raise TimeoutError
    return b"".join(parts)


def _status_failure(error: urllib.error.HTTPError, key: str | None) -> _Passing | Stopped:
    """What an HTTP status means: try again, or give up at once."""
    text = ""
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        text = " ".join(error.read(1 << 14).decode(errors="replace").split())
    if key:
        text = text.replace(key, "***")
    message = f"HTTP status {error.code} {error.reason}" + (f": {text[:MAX_ERROR_TEXT]}" if text else "")
    if error.code in RETRIED or error.code >= 500:
        return _Passing(f"http_{error.code}", message, _retry_after(error.headers.get("Retry-After")))
    advice = "check the key in the environment variable that api_key_env names" if error.code in (401, 403) else ""
    advice = advice or "check base_url, model, api and the other settings of the generator"
    return Stopped(f"the endpoint refused the request with {message}; {advice}.", fatal=True)


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a number or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _read_answer(raw: bytes) -> Answer:
    try:
        data = json.loads(raw)
        choice = data["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        usage = data.get("usage") or {}
        if not isinstance(text, str | None):
            raise TypeError(type(text).__name__)
        tokens = [
            int(usage[name]) if usage.get(name) is not None else None for name in ("prompt_tokens", "completion_tokens")
        ]
        return Answer(text or "", choice.get("finish_reason") == "length", tokens[0], tokens[1])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _Passing("malformed", f"the answer is no chat completion ({type(error).__name__})") from None
