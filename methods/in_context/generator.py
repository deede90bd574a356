"""The language model used as it is: example rows in the prompt, new rows read from the answer, nothing fine-tuned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import Incompatible, TabOrderError, choices
from harness.generator import Context, Sample, Yield
from harness.seeding import derive_seed, rng
from harness.table import Schema, conform
from methods.column_order import ColumnOrder, column_order
from methods.in_context.answer_log import AnswerLog
from methods.in_context.answers import Answer, Stopped
from methods.in_context.endpoint import Endpoint
from methods.in_context.local import LocalModel, fit_context
from methods.in_context.prompts import describe_column, write_prompt
from methods.in_context.rows import Attempt, domains, parse_answer, write_row


class InContextLLM:
    """Draw rows from a language model that sees a description of the columns and some training rows, drawn afresh per request.

    Sampling ends when ``n`` rows are there or ``max_requests`` is spent: fewer rows are a short yield, never padded. With an
    endpoint, training rows leave this machine.

    Args:
        backend: ``local`` (a Hugging Face causal language model) or ``endpoint`` (OpenAI-compatible).
        model: hub name or local folder; or the endpoint's name of the model.
        base_url: of the endpoint, e.g. ``https://api.openai.com/v1``.
        api: ``chat`` or ``completions``, for endpoints.
        api_key_env: the environment variable that holds the endpoint's key; ``null`` for servers without keys.
        order: in which order prompt rows show their columns: a policy of :func:`methods.column_order.column_order`.
        given_order: the columns, for ``order="given"``.
        mining: options of the dependency mining behind the ``fd`` orders.
        examples: training rows in a prompt; a local model of short context gets as many as fit, and the record says so.
        rows_per_request: rows asked for in a prompt.
        describe_columns: whether the prompt says each column's kind, range or categories (of all training rows).
        temperature: 1 is the model's own distribution.
        top_p: keep the most probable tokens that reach this probability.
        max_tokens: of one answer.
        max_requests: hard cap on requests (with an endpoint, repeated tries count too).
        concurrency: endpoint requests under way, or local prompts in a batch, at once.
        retries: further tries of an endpoint's request, see :class:`methods.in_context.endpoint.Endpoint`.
        timeout_seconds: for one answer of an endpoint.
        max_wait_seconds: longest pause between tries.
        price_per_million: ``{"prompt": …, "completion": …}`` per million tokens, for the cost in the record.
        request_fields: more fields of an endpoint's request body (no secrets: they are part of the record).
        device: of a local model: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        max_train_seconds: accepted like every generator's budget; nothing is trained.
    """

    version = "1"

    def __init__(
        self,
        *,
        model: str,
        backend: str = "local",
        base_url: str | None = None,
        api: str = "chat",
        api_key_env: str | None = None,
        order: str = "original",
        given_order: Sequence[str] | None = None,
        mining: Mapping[str, Any] | None = None,
        examples: int = 30,
        rows_per_request: int = 20,
        describe_columns: bool = True,
        temperature: float = 1.0,
        top_p: float | None = None,
        max_tokens: int = 2048,
        max_requests: int = 200,
        concurrency: int = 1,
        retries: int = 5,
        timeout_seconds: float = 120.0,
        max_wait_seconds: float = 60.0,
        price_per_million: Mapping[str, float] | None = None,
        request_fields: Mapping[str, Any] | None = None,
        device: str = "auto",
        max_train_seconds: float | None = None,
    ) -> None:
        _check_choices(backend, api, base_url)
        _check_numbers(
            at_least_one={
                "examples": examples,
                "rows_per_request": rows_per_request,
                "max_tokens": max_tokens,
                "max_requests": max_requests,
                "concurrency": concurrency,
            },
            not_negative={"retries": retries, "max_wait_seconds": max_wait_seconds, "temperature": temperature},
        )
        if timeout_seconds <= 0:
            raise TabOrderError(f"timeout_seconds={timeout_seconds} must be positive.")
        if set(price_per_million or {}) - {"prompt", "completion"}:
            raise TabOrderError(
                f"price_per_million={dict(price_per_million or {})} takes the keys 'prompt' and 'completion'."
            )
        self.backend, self.model_name, self.order = backend, model, order
        self.given_order, self.mining = given_order, dict(mining or {})
        self.examples, self.rows_per_request, self.describe_columns = examples, rows_per_request, describe_columns
        self.max_requests, self.concurrency, self.price = max_requests, concurrency, price_per_million
        self._report: Callable[..., None] = lambda *_, **__: None
        self._log = AnswerLog(None)
        self._notes: list[str] = []
        self._shown = examples
        self._model: LocalModel | Endpoint
        if base_url is None:
            self._model = LocalModel(model, max_tokens, temperature, top_p, device)
        else:
            self._model = Endpoint(
                base_url=base_url,
                model=model,
                api=api,
                key_variable=api_key_env,
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                max_requests=max_requests,
                concurrency=concurrency,
                retries=retries,
                timeout_seconds=timeout_seconds,
                max_wait_seconds=max_wait_seconds,
                fields=dict(request_fields or {}),
            )

    def bind(self, context: Context) -> None:
        """Receive the progress reporter, and the folder in which answers are kept until the table is made."""
        self._report = context.report
        self._log = AnswerLog(context.work_dir / "answers.jsonl")

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Choose the column order, keep the rows to draw examples from, and make sure that the model can be asked.

        Raises:
            Incompatible: when the table has no rows, or a row does not fit a local model's context.
            TabOrderError: when the model cannot be loaded, or the key's environment variable is not set.
        """
        if not len(train):
            raise Incompatible("the training table has no rows to show to the language model.")
        self._train, self._schema, self._known = train, schema, domains(train, schema)
        self._order: ColumnOrder = column_order(
            self.order, train, schema, seed=seed, given=self.given_order, mining=self.mining
        )
        self._columns = [describe_column(column, train) for column in schema.columns] if self.describe_columns else []
        if isinstance(self._model, Endpoint):
            self._model.key()
            return
        self._model.load()
        names = self._order.names or schema.names
        longest = max((write_row(row, schema, names) for row in _records(train)), key=len)
        fit_context(self._model, [longest], self._write)

    def _lines(self, seed: int, count: int) -> list[str]:
        """Example rows, drawn without replacement."""
        random = rng(seed, "examples")
        picked = random.permutation(len(self._train))[:count]
        names = self._schema.names
        lines = []
        for row in _records(self._train.iloc[picked]):
            order = self._order.names or [names[i] for i in random.permutation(len(names))]
            lines.append(write_row(row, self._schema, order))
        return lines

    def _write(self, lines: Sequence[str]) -> str:
        return write_prompt(self._columns, lines, self.rows_per_request)

    def _prompt(self, seed: int) -> str:
        """A request's prompt, with as many examples as fit."""
        lines = self._lines(seed, self.examples)
        if isinstance(self._model, LocalModel):
            lines = lines[: fit_context(self._model, lines, self._write)]
        self._shown = min(self._shown, len(lines))
        return self._write(lines)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Ask until ``n`` rows are there or the cap on requests is reached.

        Raises:
            TabOrderError: when an endpoint refuses or keeps failing before a single row has come; later failures end the
                sampling with the rows that are there.
        """
        rows: list[Mapping[str, Any]] = []
        self._rejected: Counter[str] = Counter()
        self._tokens: dict[str, int | None] = {"prompt_tokens": 0, "completion_tokens": 0}
        self._asked = self._ignored = self._kept = 0
        self._notes, self._shown = [], min(self.examples, len(self._train))
        self._model.start()
        self._log.open()
        stopped: Stopped | None = None
        while len(rows) < n and self._asked < self.max_requests and stopped is None:
            batch = min(self.concurrency, self.max_requests - self._asked, -(-(n - len(rows)) // self.rows_per_request))
            seeds = [derive_seed(seed, "request", self._asked + i) for i in range(batch)]
            prompts = [self._prompt(one) for one in seeds]
            self._asked += batch
            for answer in self._answers(prompts, seeds):
                if isinstance(answer, Stopped):
                    stopped = stopped or answer
                else:
                    self._take(answer, rows, n)
            self._report("sample", len(rows), n, requests=self._asked)
        self._explain_end(stopped, len(rows), n)
        self._log.close()
        frame = pd.DataFrame(rows, columns=pd.Index(self._schema.names), dtype=object)
        rejected = sum(self._rejected.values())
        return Sample(
            conform(frame, self._schema)[0],
            Yield(
                len(rows) + rejected, len(rows), dict(sorted(self._rejected.items())), self._tokens["completion_tokens"]
            ),
        )

    def _answers(self, prompts: Sequence[str], seeds: Sequence[int]) -> Sequence[Answer | Stopped]:
        """Answers that an interrupted run left, or new ones."""
        kept = self._log.find(prompts, seeds)
        if kept is not None:
            self._kept += len(kept[0])
            self._model.sent = kept[1]
            return kept[0]
        answers = self._model.answers(prompts, seeds)
        whole = [answer for answer in answers if isinstance(answer, Answer)]
        if len(whole) == len(prompts):
            self._log.add(prompts, seeds, whole, self._model.sent)
        return answers

    def _take(self, answer: Answer, rows: list[Mapping[str, Any]], n: int) -> None:
        """Count an answer and add its rows, up to ``n``."""
        for name in self._tokens:
            count = getattr(answer, name)
            total = self._tokens[name]
            self._tokens[name] = None if count is None or total is None else total + count
        attempts: list[Attempt]
        attempts, ignored = parse_answer(answer.text, self._schema, self._known, cut=answer.cut)
        self._ignored += ignored
        for attempt in attempts:
            if len(rows) >= n:
                return
            if attempt.row is not None:
                rows.append(attempt.row)
            else:
                self._rejected[str(attempt.reason)] += 1

    def _explain_end(self, stopped: Stopped | None, rows: int, n: int) -> None:
        if rows >= n:
            return
        if stopped is not None and stopped.fatal and rows == 0:
            raise TabOrderError(str(stopped))
        reason = str(stopped) if stopped else f"the cap of {self.max_requests} requests was reached."
        self._notes.append(f"sampling ended with {rows} of {n} rows: {reason}")

    def describe(self) -> Mapping[str, Any]:
        """Order, requests, tokens and cost, for the record."""
        order = self._order.to_json()
        notes = [*order.pop("notes"), *self._notes]
        if self._kept:
            notes.append(f"{self._kept} answers are from a run that was interrupted: they were not asked for again.")
        if self._ignored:
            notes.append(f"{self._ignored} lines of the answers were no rows (prose, headings).")
        if self._shown < min(self.examples, len(self._train)):
            notes.append(
                f"prompts hold as few as {self._shown} example rows: more than fit the model's context were asked for."
            )
        model: dict[str, Any] = {"backend": self.backend, "model": _public_name(self.model_name), **self._model.facts()}
        return {
            **order,
            **model,
            "answers_asked_for": self._asked,
            "fewest_examples_per_prompt": self._shown,
            **self._tokens,
            "cost": self._cost(),
            "notes": notes,
        }

    def _cost(self) -> float | None:
        """In the currency of ``price_per_million``; ``None`` without prices or token counts."""
        if self.price is None or None in self._tokens.values():
            return None
        return sum((self._tokens[f"{name}_tokens"] or 0) * float(price) / 1e6 for name, price in self.price.items())


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _check_choices(backend: str, api: str, base_url: str | None) -> None:
    if backend not in ("local", "endpoint"):
        raise TabOrderError(choices(backend, ("local", "endpoint"), "backend"))
    if api not in ("chat", "completions"):
        raise TabOrderError(choices(api, ("chat", "completions"), "api"))
    if (base_url is not None) != (backend == "endpoint"):
        raise TabOrderError(
            f"backend={backend} and base_url={base_url} do not fit: backend=endpoint needs one, backend=local none."
        )


def _check_numbers(at_least_one: Mapping[str, int], not_negative: Mapping[str, float]) -> None:
    for name, value in at_least_one.items():
        if value < 1:
            raise TabOrderError(f"{name}={value} must be at least 1.")
    for name, number in not_negative.items():
        if number < 0:
            raise TabOrderError(f"{name}={number} must not be negative.")


def _public_name(model: str) -> str:
    """A folder by its last part, so that a record does not name places of this machine."""
    return Path(model).name if Path(model).is_dir() else model
