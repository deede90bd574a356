"""The process that talks to W&B: runs in, one JSON line each on stdin; events out, one JSON line each on stdout.

It is a process of its own so that whatever W&B does, it can be killed. For each request it says ``{"event": "started", "id": …}``
when W&B has accepted the run, then ``{"event": "done", "id": …, "url": …, "path": …}`` when all is written or uploaded, or
``{"event": "failed", "id": …, "error": …}``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from harness.store import write_atomic

LINGER_SECONDS = 120.0
"""After its parent is gone, uploads may take this much longer."""


def main() -> None:
    """Serve until stdin closes."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever W&B prints must not be taken for an answer

    def say(event: Mapping[str, Any]) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    import wandb

    requests: list[str] = []
    arrived = threading.Semaphore(0)
    threading.Thread(target=_read, args=(requests, arrived), daemon=True).start()
    while arrived.acquire() and (line := requests.pop(0)):
        request = json.loads(line)
        known = {"id": request["run"]["id"]}
        try:
            where = publish(wandb, request, partial(say, {"event": "started", **known}))
            remember(Path(request["ledger"]), {**request["identity"], **where})
            say({"event": "done", **known, **where})
        except Exception as error:  # any failure of a mirror is an answer, not a crash
            say({"event": "failed", **known, "error": f"{type(error).__name__}: {error}"})


def _read(requests: list[str], arrived: threading.Semaphore) -> None:
    for line in sys.stdin:
        requests.append(line)
        arrived.release()
    requests.append("")
    arrived.release()
    timer = threading.Timer(LINGER_SECONDS, os._exit, args=(1,))
    timer.daemon = True
    timer.start()


def remember(ledger: Path, facts: Mapping[str, Any]) -> None:
    """Note that this content is published, so that publishing it again can be skipped."""
    write_atomic(ledger, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())


def publish(wandb: Any, request: Mapping[str, Any], started: Callable[[], None]) -> dict[str, Any]:
    """Create or update one run; returns where it is."""
    run, offline = request["run"], request["mode"] == "offline"
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        disable_job_creation=True,
        init_timeout=request["init_timeout"],
        # A replayed run must not show the load and packages of the machine that replays it.
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
    under_agent = "WANDB_SWEEP_ID" in os.environ  # then the agent has chosen the run's id
    live = wandb.init(
        project=request["project"],
        entity=request["entity"],
        dir=request["dir"],
        id=None if under_agent else run["id"],
        name=run["name"],
        group=run["group"],
        job_type=run["job_type"],
        tags=run["tags"],
        mode=request["mode"],
        resume=None if offline or under_agent else "allow",
        config=run["config"],
        allow_val_change=True,
        settings=settings,
    )
    started()
    for point in run["history"]:
        live.log(point["values"], step=point["step"])
    media = {name: wandb.Table(columns=t["columns"], data=t["rows"]) for name, t in run["tables"].items()}
    media |= {name: wandb.Html(path) for name, path in run["html"].items()}
    media |= {name: wandb.Image(path) for name, path in run["images"].items()}
    if media:
        live.log(media)
    live.summary.update(run["summary"])
    if under_agent:  # a sweep's metric must be a plain identifier
        live.summary.update(
            {name.replace(".", "_"): value for name, value in run["summary"].items() if "/" not in name}
        )
    if not offline:  # W&B records inputs only when it can ask the server; offline they are in config and metadata
        for described in run["inputs"]:
            live.use_artifact(_artifact(wandb, described))
    for described in run["outputs"]:
        live.log_artifact(_artifact(wandb, described))
    where = {"url": None if offline else live.url, "path": os.path.dirname(live.dir)}
    live.finish(exit_code=1 if run["failed"] else 0)
    return where


def _artifact(wandb: Any, described: Mapping[str, Any]) -> Any:
    artifact = wandb.Artifact(described["name"], described["type"], metadata=described["metadata"])
    for name, path in described["files"].items():
        # Tables are large and only ever replaced whole, with a record that is then published anew: no copy is staged.
        artifact.add_file(path, name=name, policy="immutable" if path.endswith(".parquet") else "mutable")
    for name, text in described["texts"].items():
        with artifact.new_file(name, encoding="utf-8") as file:
            file.write(text)
    return artifact


if __name__ == "__main__":
    main()
