"""The process that talks to W&B: requests in, one JSON line each on stdin; events out, one JSON line each on stdout.

It is a process of its own so that whatever W&B does, it can be killed. ``publish`` is answered with ``{"event": "started", "id": …}``
when W&B has accepted the run, ``{"event": "drawn", "id": …}`` when its figures are there, then with ``{"event": "done", "id": …,
"url": …, "path": …, "problems": […]}`` when all is written or uploaded (``problems``: what could not be drawn), or ``{"event": "failed",
"id": …, "error": …}``. ``watch`` opens the run of a cell that is still training and ``point`` adds to it; they are not answered. What
they show is a view of the moment under ``live/``; everything else comes from the record, with ``publish``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from harness.execution.messages import Json
from harness.records.files import write_atomic
from harness.tracking import under_agent
from harness.tracking.messages import Artifact, Request, RunDescription

if TYPE_CHECKING:  # the process imports wandb when it starts, not when it is looked at
    from wandb import Artifact as WandbArtifact
    from wandb import Run as LiveRun

LINGER_SECONDS = 120.0
"""After its parent is gone, uploads may take this much longer."""


def main() -> None:
    """Serve until stdin closes."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever W&B prints must not be taken for an answer

    def say(event: Json) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    import wandb

    publisher = Publisher(wandb, say)
    requests: list[str] = []
    arrived = threading.Semaphore(0)
    threading.Thread(target=_read, args=(requests, arrived), daemon=True).start()
    while arrived.acquire() and (line := requests.pop(0)):
        publisher.handle(Request.from_json(json.loads(line)))
    publisher.abandon()  # a cell whose harness is gone


def _read(requests: list[str], arrived: threading.Semaphore) -> None:
    for line in sys.stdin:
        requests.append(line)
        arrived.release()
    requests.append("")
    arrived.release()
    timer = threading.Timer(LINGER_SECONDS, os._exit, args=(1,))
    timer.daemon = True
    timer.start()


def remember(ledger: Path, facts: Json) -> None:
    """Note that this content is published, so that publishing it again can be skipped."""
    write_atomic(ledger, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())


class Publisher:
    """Answers requests; at most one run is open, that of the cell being watched.

    Args:
        wandb: the module.
        say: passes an event on.
    """

    def __init__(self, wandb: ModuleType, say: Callable[[Json], None]) -> None:
        self._wandb, self._say = wandb, say
        self._live: LiveRun | None = None
        self._live_id = ""
        self._refused: dict[str, str] = {}

    def handle(self, request: Request) -> None:
        """Do one request; whatever W&B raises becomes an answer."""
        kind, known = request.kind, {"id": request.run.id}
        try:
            if kind == "watch":
                self._watch(request)
            elif kind == "point":
                if self._live is not None and self._live_id == known["id"]:
                    self._live.log(dict(request.values))
            else:
                self._publish(request, known)
        except Exception as error:  # any failure of a mirror is an answer, not a crash
            said = f"{type(error).__name__}: {error}"
            if kind == "publish":
                self._say({"event": "failed", **known, "error": said})
            else:
                self._refused[known["id"]] = said

    def abandon(self) -> None:
        """End the open run as one that did not finish; its cell, run again, goes on in the same run."""
        if self._live is not None:
            self._live.finish(exit_code=1)
        self._live, self._live_id = None, ""

    def _watch(self, request: Request) -> None:
        self.abandon()
        self._live = _open(self._wandb, request)
        self._live_id = request.run.id
        self._live.define_metric("live/*", step_metric="live/seconds")

    def _publish(self, request: Request, known: Mapping[str, str]) -> None:
        run = request.run
        if refused := self._refused.pop(known["id"], None):
            raise RuntimeError(refused)  # the server did not take this run a moment ago; it is not asked twice
        if self._live is not None and self._live_id == known["id"]:
            live, self._live, self._live_id = self._live, None, ""
            live.config.update(run.config, allow_val_change=True)
            live.tags = list(run.tags)
        else:
            self.abandon()
            live = _open(self._wandb, request)
        self._say({"event": "started", **known})
        with _drawn(request) as (images, problems):
            self._say({"event": "drawn", **known})
            fill(self._wandb, live, request, images)
        where = {"url": None if request.place.mode == "offline" else live.url, "path": os.path.dirname(live.dir)}
        live.finish(exit_code=1 if run.failed else 0)
        remember(Path(request.ledger), {**request.identity, **where})
        self._say({"event": "done", **known, **where, "problems": problems})


@contextmanager
def _drawn(request: Request) -> Iterator[tuple[Mapping[str, str], list[str]]]:
    """The run's images, those that have to be drawn included, and what could not be drawn; the drawn files go at the end."""
    run = request.run
    if run.draw is None:
        yield run.images, []
        return
    from harness.tracking.pictures import draw  # matplotlib

    # One place a run: what a killed process leaves there is drawn over the next time.
    folder = Path(request.place.dir) / "wandb" / "drawn" / run.id
    folder.mkdir(parents=True, exist_ok=True)
    drawn, problems = draw(run.draw, folder)
    try:
        yield {**run.images, **drawn}, problems
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()


def _open(wandb: ModuleType, request: Request) -> LiveRun:
    """Create the run, or go on in it when W&B has it already."""
    run, offline = request.run, request.place.mode == "offline"
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        disable_job_creation=True,
        init_timeout=request.place.init_timeout,
        # A replayed run must not show the load and packages of the machine that replays it.
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
    return wandb.init(
        project=request.place.project,
        entity=request.place.entity,
        dir=request.place.dir,
        id=None if under_agent() else run.id,
        name=run.name,
        group=run.group,
        job_type=run.job_type,
        tags=run.tags,
        mode=request.place.mode,
        resume=None if offline or under_agent() else "allow",
        config=run.config,
        allow_val_change=True,
        settings=settings,
    )


def fill(wandb: ModuleType, live: LiveRun, request: Request, images: Mapping[str, str]) -> None:
    """Write what the record says into an open run."""
    run = request.run
    live.define_metric("train/*", step_metric="train/step")
    curve = _digest(run.history)
    if not (live.resumed and live.summary.get("curve") == curve):  # else the run has these points already
        for point in run.history:
            live.log(point)
    _show(wandb, live, run, images)
    live.summary.update({**run.summary, **({"curve": curve} if run.history else {})})
    if under_agent():  # a sweep's metric must be a plain identifier
        plain = {name.replace(".", "_"): value for name, value in run.summary.items() if "/" not in name}
        live.summary.update(plain)
    for described in run.inputs:
        if request.place.mode == "offline":
            # use_artifact refuses to work offline because it waits for the server; the run file can hold what it would have
            # sent, and `wandb sync` then links the input.
            live._log_artifact(_artifact(wandb, described), is_user_created=True, use_after_commit=True)
        else:
            live.use_artifact(_artifact(wandb, described))
    for described in run.outputs:
        live.log_artifact(_artifact(wandb, described))


def _show(wandb: ModuleType, live: LiveRun, run: RunDescription, images: Mapping[str, str]) -> None:
    """Log tables, pages and figures but those that the run, gone on in, shows already."""
    shown: dict[str, tuple[bytes, Callable[[], object]]] = {
        name: (json.dumps(t, sort_keys=True).encode(), partial(wandb.Table, columns=t["columns"], data=t["rows"]))
        for name, t in run.tables.items()
    }
    shown |= {name: (Path(path).read_bytes(), partial(wandb.Html, path)) for name, path in run.html.items()}
    shown |= {name: (text.encode(), partial(wandb.Html, text, inject=False)) for name, text in run.pages.items()}
    shown |= {name: (Path(path).read_bytes(), partial(wandb.Image, path)) for name, path in images.items()}
    digests = {name: hashlib.sha256(content).hexdigest()[:16] for name, (content, _) in shown.items()}
    known = dict(live.summary.get("shown") or {}) if live.resumed else {}
    new = {name: make() for name, (_, make) in shown.items() if known.get(name) != digests[name]}
    if new:
        live.log(new)
        live.summary.update({"shown": digests})


def _digest(points: Sequence[Mapping[str, float]]) -> str:
    return hashlib.sha256(json.dumps(points, sort_keys=True).encode()).hexdigest()[:16]


def _artifact(wandb: ModuleType, described: Artifact) -> WandbArtifact:
    artifact = wandb.Artifact(described.name, described.type, metadata=described.metadata)
    for name, path in described.files.items():
        # Tables are large and only ever replaced whole, with a record that is then published anew: no copy is staged.
        artifact.add_file(path, name=name, policy="immutable" if path.endswith(".parquet") else "mutable")
    for name, text in described.texts.items():
        with artifact.new_file(name, encoding="utf-8") as file:
            file.write(text)
    return artifact


if __name__ == "__main__":
    main()
