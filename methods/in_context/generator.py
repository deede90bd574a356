"""The language model used as it is: example rows in the prompt, new rows read from the answer, nothing fine-tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import Incompatible, TabOrderError
from harness.generator import Context, Sample
from harness.seeding import derive_seed, rng
from harness.table import Schema, conform
from methods.column_order import ColumnOrder, check_policy, column_order
from methods.in_context.answer_log import AnswerLog
from methods.in_context.answers import Answer, Stopped
from methods.in_context.config import InContextConfig
from methods.in_context.endpoint import Endpoint
from methods.in_context.prompts import describe_column, write_prompt
from methods.in_context.rows import domains, write_row
from methods.in_context.tally import Tally

if TYPE_CHECKING:  # torch takes seconds to import, and an endpoint does without
    from methods.in_context.local import LocalModel


class InContextLLM:
    """Draw rows from a language model that sees a description of the columns and some training rows.

    Sampling ends when ``n`` rows are there, ``max_requests`` is spent, or ``give_up_after`` answers in a row gave none: fewer rows are
    a short yield, never padded. With an endpoint, training rows leave this machine. The rows of a local model do not depend on
    ``concurrency`` (but for the last digits of sums, as with another number of threads).

    Args:
        backend: ``local`` (a Hugging Face causal language model) or ``endpoint`` (OpenAI-compatible).
        model: ``smollm2``, a ``.gguf`` file, ``package:NAME/FILE.gguf``, a folder, or a hub name (:mod:`methods.pretrained`); or the
            endpoint's name of the model.
        base_url: of the endpoint, e.g. ``https://api.openai.com/v1``.
        api: ``chat`` or ``completions``, for endpoints.
        api_key_env: the environment variable that holds the endpoint's key; ``null`` for servers without keys.
        style: ``chat`` (what is wanted is said; a local model's chat template is used) or ``continue`` (a text that stops amid its
            rows). ``null``: ``chat`` for endpoints' chats and for local models with a chat template, else ``continue``.
        decoding: ``free`` (rows are read from the answer, and those that are none are counted) or ``constrained`` (a local model's own
            probabilities under the grammar of the table: names forced, values within the column's domain).
        order: in which order prompt rows show their columns: a policy of :func:`methods.column_order.column_order`, or the
            columns in the order wanted.
        order_seed: what the order of ``fixed_random`` is drawn from; ``null`` for a seed derived from that of ``fit``.
        given_order: the columns, for ``order="given"``.
        mining: options of the dependency mining behind the ``fd`` orders.
        examples: training rows in a prompt; a local model of short context gets as many as fit, and the record says so.
        rows_per_request: rows asked for in a prompt; a local model's answer ends with the last of them.
        requests_per_prompt: requests that show the same examples, which a local model then reads once.
        describe_columns: whether the prompt says each column's kind, range or categories (of all training rows).
        temperature: 1 is the model's own distribution.
        top_p: keep the most probable tokens that reach this probability.
        max_tokens: of one answer.
        max_requests: hard cap on requests (with an endpoint, repeated tries count too).
        give_up_after: answers in a row without any row that end the sampling.
        concurrency: endpoint requests under way, or local answers written, at once; ``null``: 1 and 8.
        retries: further tries of an endpoint's request, see :class:`methods.in_context.endpoint.Endpoint`.
        timeout_seconds: for one answer of an endpoint.
        max_wait_seconds: longest pause between tries.
        price_per_million: ``{"prompt": …, "completion": …}`` per million tokens, for the cost in the record.
        request_fields: more fields of an endpoint's request body (no secrets: they are part of the record).
        device: of a local model: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        max_train_seconds: accepted like every generator's budget; nothing is trained.
    """

    version = "2"

    def __init__(
        self,
        *,
        model: str,
        backend: str = "local",
        base_url: str | None = None,
        api: str = "chat",
        api_key_env: str | None = None,
        style: str | None = None,
        decoding: str = "free",
        order: str | Sequence[str] = "original",
        order_seed: int | None = None,
        given_order: Sequence[str] | None = None,
        mining: Mapping[str, Any] | None = None,
        examples: int = 30,
        rows_per_request: int = 20,
        requests_per_prompt: int = 1,
        describe_columns: bool = True,
        temperature: float = 1.0,
        top_p: float | None = None,
        max_tokens: int = 2048,
        max_requests: int = 200,
        give_up_after: int = 20,
        concurrency: int | None = None,
        retries: int = 5,
        timeout_seconds: float = 120.0,
        max_wait_seconds: float = 60.0,
        price_per_million: Mapping[str, float] | None = None,
        request_fields: Mapping[str, Any] | None = None,
        device: str = "auto",
        max_train_seconds: float | None = None,
    ) -> None:
        self.config = InContextConfig(
            model=model,
            backend=backend,
            base_url=base_url,
            api=api,
            api_key_env=api_key_env,
            style=style,
            decoding=decoding,
            examples=examples,
            rows_per_request=rows_per_request,
            requests_per_prompt=requests_per_prompt,
            describe_columns=describe_columns,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            max_requests=max_requests,
            give_up_after=give_up_after,
            concurrency=concurrency,
            retries=retries,
            timeout_seconds=timeout_seconds,
            max_wait_seconds=max_wait_seconds,
            price_per_million=price_per_million,
            request_fields=dict(request_fields or {}),
            device=device,
        )
        check_policy(order, given_order, order_seed)
        self.order, self.order_seed, self.given_order, self.mining = order, order_seed, given_order, dict(mining or {})
        self._report: Callable[..., None] = lambda *_, **__: None
        self._log = AnswerLog(None)
        self._shown = examples
        self._model: LocalModel | Endpoint | None = None if base_url is None else Endpoint.of(self.config, base_url)

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
            self.order,
            train,
            schema,
            seed=seed,
            order_seed=self.order_seed,
            given=self.given_order,
            mining=self.mining,
        )
        described = [describe_column(column, train) for column in schema.columns]
        self._columns = described if self.config.describe_columns else []
        self._write_row: Callable[[Mapping[str, Any], Sequence[str]], str] = lambda row, order: write_row(
            row, schema, order
        )
        self._form = ""
        if isinstance(self._model, Endpoint):
            self._ask = self._model.style == "chat"
            self._model.key()
        else:
            self._open(train, schema)

    def _open(self, train: pd.DataFrame, schema: Schema) -> None:
        """Load the local model, and make sure that the longest row and an answer fit its context."""
        from methods.in_context.constrained import FORM, ConstrainedModel
        from methods.in_context.local import LocalModel

        constrained = self.config.decoding == "constrained"
        model = ConstrainedModel(self.config) if constrained else LocalModel(self.config)
        model.load(self._report)
        if isinstance(model, ConstrainedModel):
            model.learn(train, schema, self._order.names)
            self._write_row, self._form = model.codec.line, FORM
        self._ask, self._model = model.style == "chat", model
        names = self._order.names or schema.names
        longest = max((self._write_row(row, names) for row in _records(train)), key=len)
        model.expect(longest)
        model.fitting([longest], self._write)

    def _lines(self, seed: int, count: int) -> list[str]:
        """Example rows, drawn without replacement."""
        random = rng(seed, "examples")
        picked = random.permutation(len(self._train))[:count]
        names = self._schema.names
        lines = []
        for row in _records(self._train.iloc[picked]):
            order = self._order.names or [names[i] for i in random.permutation(len(names))]
            lines.append(self._write_row(row, order))
        return lines

    def _write(self, lines: Sequence[str]) -> str:
        return write_prompt(self._columns, lines, self.config.rows_per_request, ask=self._ask, form=self._form)

    def _prompt(self, seed: int, request: int) -> str:
        """A request's prompt, with as many examples as fit."""
        lines = self._lines(
            derive_seed(seed, "request", request - request % self.config.requests_per_prompt), self.config.examples
        )
        if self._model is not None and not isinstance(self._model, Endpoint):
            lines = lines[: self._model.fitting(lines, self._write)]
        self._shown = min(self._shown, len(lines))
        return self._write(lines)

    def sample(self, n: int, *, seed: int) -> Sample:
        """Ask until ``n`` rows are there, the cap on requests is reached, or the model keeps giving none.

        Raises:
            TabOrderError: when an endpoint refuses or keeps failing before a single row has come; later failures end the
                sampling with the rows that are there.
        """
        model, config = self._model, self.config
        assert model is not None
        self._tally = tally = Tally(self._schema, self._known, n)
        self._asked = self._kept = 0
        self._shown, self._end = min(config.examples, len(self._train)), ""
        model.start()
        model.on_tokens = lambda **numbers: self._report("sample", len(tally.rows), n, **numbers)
        self._log.open()
        stopped: Stopped | None = None
        while not tally.full and self._asked < config.max_requests and stopped is None:
            count = min(config.at_once, config.max_requests - self._asked, tally.wanted(config.rows_per_request))
            batch = range(self._asked, self._asked + count)
            self._asked = batch.stop
            seeds = [derive_seed(seed, "request", request) for request in batch]
            for answer in self._answers([self._prompt(seed, request) for request in batch], seeds):
                stopped = stopped or self._take(answer)
            self._report("sample", len(tally.rows), n, requests=self._asked)
        self._explain_end(stopped)
        self._log.close()
        frame = pd.DataFrame(tally.rows, columns=pd.Index(self._schema.names), dtype=object)
        return Sample(conform(frame, self._schema)[0], tally.yielded())

    def _take(self, answer: Answer | Stopped) -> Stopped | None:
        """Count an answer; says why no more should be asked for. After that only tokens count."""
        if isinstance(answer, Stopped):
            return answer
        self._tally.pay(answer)
        if self._tally.fruitless < self.config.give_up_after:
            self._tally.take(answer)
        if self._tally.fruitless >= self.config.give_up_after:
            return Stopped(f"{self.config.give_up_after} answers in a row gave no row (give_up_after).", fatal=False)
        return None

    def _answers(self, prompts: Sequence[str], seeds: Sequence[int]) -> Sequence[Answer | Stopped]:
        """Answers that an interrupted run left, or new ones."""
        assert self._model is not None
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

    def _explain_end(self, stopped: Stopped | None) -> None:
        rows, n = len(self._tally.rows), self._tally.n
        if rows >= n:
            return
        if stopped is not None and stopped.fatal and rows == 0:
            raise TabOrderError(str(stopped))
        reason = str(stopped) if stopped else f"the cap of {self.config.max_requests} requests was reached."
        self._end = f"sampling ended with {rows} of {n} rows: {reason}"

    def describe(self) -> Mapping[str, Any]:
        """Order, requests, tokens and cost, for the record."""
        assert self._model is not None
        order = self._order.to_json()
        notes = [*order.pop("notes"), *([self._end] if self._end else []), *self._model.notes]
        if self._kept:
            notes.append(f"{self._kept} answers are from a run that was interrupted: they were not asked for again.")
        notes += self._tally.notes()
        if self._shown < min(self.config.examples, len(self._train)):
            notes.append(
                f"prompts hold as few as {self._shown} example rows: more than fit the model's context were asked for."
            )
        model: dict[str, Any] = {"backend": self.config.backend, "model": self.config.public_name}
        return {
            **order,
            **model,
            **self._model.facts(),
            "decoding": self.config.decoding,
            "answers_asked_for": self._asked,
            "fewest_examples_per_prompt": self._shown,
            **self._tally.tokens,
            "cost": self._cost(),
            "notes": notes,
        }

    def _cost(self) -> float | None:
        """In the currency of ``price_per_million``; ``None`` without prices or token counts."""
        tokens, price = self._tally.tokens, self.config.price_per_million
        if price is None or None in tokens.values():
            return None
        return sum((tokens[f"{name}_tokens"] or 0) * float(each) / 1e6 for name, each in price.items())


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
