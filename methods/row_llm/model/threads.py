"""As many CPU threads as pay at present, without a trace in the numbers.

Two threads that wait for each other gain a third on an idle machine of two cores, and lose a factor of twenty on a busy
one, where the one that is waited for has to wait for a core. So a small model runs on all the threads it may use or on
one, whichever is faster when tried, and what it takes is watched while it runs.

That must not change results, but a sum that threads share out can depend on their number. Measured for GPT-2's
operations with up to eight threads, these do: the gradients of a layer norm's own weights (:class:`RepeatableLayerNorm`
sums them on one thread), products of a few rows (run on one thread), and from three threads on products of few columns
(an output layer of a small vocabulary runs on two at most). All threads are used only after a piece of the work gave
the same bits on them as on one: the numbers are always those of one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

SMALL = 10_000_000
"""Parameters up to which threads are chosen; products of larger models are long beside the waiting."""
RECHECK_SECONDS = 2.0
"""Time until all threads are tried again after one thread was faster; doubled each time it still is, up to
:data:`LONGEST_SECONDS`."""
LONGEST_SECONDS = 32.0
TURNS = 2
"""How often each number is tried."""
GAIN = 1.05
"""All threads are taken when they are faster by this factor."""
BUSY = 2.0
"""All threads slower by this factor: no need to look closer."""
WINDOW_SECONDS = 0.1
"""Time over which is judged whether all threads keep up."""
PACE_STEPS = 3
"""Pieces of work after which one thread's pace is known."""
NEWEST = 0.1
"""Weight of the newest piece in that pace."""
LEAST_ROWS = 16
"""Rows that each thread must get: products of fewer are rounded otherwise, and gain nothing from threads."""
NARROW = 512
NARROW_THREADS = 2
"""Threads of a product of fewer than :data:`NARROW` columns, at most: more share columns out and round otherwise."""
PRODUCTS, PRODUCT_ROWS, PRODUCT_WIDTH = 10, 512, 64
"""Products of a first look: about a millisecond on one thread."""

Work = Callable[[], Sequence[Tensor | None]]


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Bound torch's CPU threads for a while."""
    before = torch.get_num_threads()
    if before > count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class ThreadChoice:
    """Sets torch's threads to one or to all that are configured, piece of work by piece of work.

    Attributes:
        most: threads configured: torch's number when :meth:`watch` was entered; 1 where nothing is chosen.
        count: threads chosen.
        free: whether results were found not to depend on the number; ``None`` before that is known.
    """

    def __init__(self) -> None:
        self.most = self.count = 1
        self.free: bool | None = None
        self._slack = 1.0
        self._due = self._wait = 0.0
        self._pieces = 0  # that have run on one thread
        self._pace = 0.0  # seconds a row on one thread
        self._running: tuple[float, int] | None = None  # when the present piece began, and its rows
        self._window = 0.0, 0  # seconds and rows on all threads

    @contextmanager
    def watch(self, model: nn.Module, slack: float) -> Iterator[None]:
        """Choose threads inside for a small model on a CPU, and set those configured afterwards.

        Args:
            model: what runs.
            slack: all threads are left when they have become slower than one thread was by this factor.
        """
        configured = torch.get_num_threads()
        parameters = list(model.parameters())
        on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
        small = sum(parameter.numel() for parameter in parameters) <= SMALL
        most = configured if on_cpu and small else 1
        if most != self.most:
            self.most, self.count, self.free, self._due, self._wait = most, 1, None, 0.0, 0.0
        self._slack, self._pieces, self._running, self._window = slack, 0, None, (0.0, 0)
        try:
            yield
        finally:
            torch.set_num_threads(configured)

    def settle(self, rows: int, work: Work) -> None:
        """Set the threads of the next piece of work.

        Args:
            rows: of its matrix products.
            work: a piece of its kind and size; it is run for its time and thrown away, and must give the same whenever
                it is run.
        """
        if self.most == 1:
            return
        now = time.perf_counter()
        self._judge(now)
        if rows < LEAST_ROWS * self.most:
            torch.set_num_threads(1)
            return
        if self.count == 1 and self.free is not False and self._pieces >= PACE_STEPS and now >= self._due:
            self._try(work)
        torch.set_num_threads(self.count)
        self._running = time.perf_counter(), rows

    def _judge(self, now: float) -> None:
        """What the last piece took: one thread's pace, or whether all threads keep up with it."""
        if self._running is None:
            return
        (started, rows), self._running = self._running, None
        if self.count == 1:
            self._pieces += 1
            self._pace += max(1.0 / self._pieces, NEWEST) * ((now - started) / rows - self._pace)
            return
        self._window = self._window[0] + now - started, self._window[1] + rows
        if self._window[0] >= WINDOW_SECONDS:
            if self._window[0] > self._slack * self._pace * self._window[1]:
                self._leave()
            self._window = 0.0, 0

    def _leave(self) -> None:
        """One thread from here on, for a while."""
        self.count = 1
        self._wait = min(max(2.0 * self._wait, RECHECK_SECONDS), LONGEST_SECONDS)
        self._due = time.perf_counter() + self._wait

    def _try(self, work: Work) -> None:
        """Take turns on one thread and on all, after a first look that is cheap also where threads wait in vain."""
        one = _seconds_of_products(1)
        if _seconds_of_products(self.most, BUSY * one) > BUSY * one:
            self._leave()
            return
        seconds = {1: 0.0, self.most: 0.0}
        results = {}
        for _ in range(TURNS):
            for count in seconds:
                torch.set_num_threads(count)
                started = time.perf_counter()
                results[count] = work()
                seconds[count] += time.perf_counter() - started
            if self.free is None:
                self.free = _equal(results[1], results[self.most])
            if not self.free or seconds[self.most] > BUSY * seconds[1]:
                break
        if self.free and seconds[self.most] * GAIN < seconds[1]:
            self.count, self._window = self.most, (0.0, 0)
        else:
            self._leave()


def _seconds_of_products(threads: int, enough: float = float("inf")) -> float:
    """Time of some small products on so many threads; broken off after ``enough`` seconds."""
    torch.set_num_threads(threads)
    rows, weight = torch.ones(PRODUCT_ROWS, PRODUCT_WIDTH), torch.ones(PRODUCT_WIDTH, PRODUCT_WIDTH)
    torch.mm(rows, weight)  # wakes the threads
    started = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.mm(rows, weight)
        if time.perf_counter() - started > enough:
            break
    return time.perf_counter() - started


def _equal(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> bool:
    """Whether two results agree bit by bit."""
    return all(
        a is b is None or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(first, second, strict=True)
    )


class _Norm(torch.autograd.Function):
    """Layer norm whose gradients are summed on one thread."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """As :func:`torch.nn.functional.layer_norm` over the last dimension."""
        shape = x.shape[-1:]
        normed, mean, rstd = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        return normed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Gradients of input, weight and bias."""
        x, weight, bias, mean, rstd = ctx.saved_tensors
        needed = list(ctx.needs_input_grad[:3])
        with at_most(1):
            gx, gw, gb = torch.ops.aten.native_layer_norm_backward(
                gradients[0].contiguous(), x, x.shape[-1:], mean, rstd, weight, bias, needed
            )
        return gx, gw, gb, None


class RepeatableLayerNorm(nn.LayerNorm):
    """A layer norm whose gradients do not depend on the number of CPU threads."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension, shape (…, width)."""
        if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        normed: Tensor = _Norm.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        return normed


def make_repeatable(model: nn.Module) -> None:
    """Replace plain layer norms over one dimension by :class:`RepeatableLayerNorm`; parameters and names stay."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.LayerNorm and len(child.normalized_shape) == 1 and child.bias is not None:
                norm = RepeatableLayerNorm(child.normalized_shape[0], eps=child.eps)
                norm.weight, norm.bias = child.weight, child.bias
                norm.train(child.training)
                setattr(module, name, norm)
