"""Weights & Biases: every record as a run, written after the record, within a bounded time, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import netrc
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from harness.errors import TabOrderError, choices
from harness.execution.messages import Event, Json
from harness.processes.json_lines import Late, LineProcess
from harness.records.files import write_atomic
from harness.records.record import Cell, Record
from harness.records.redaction import Redactor
from harness.records.store import ResultStore
from harness.tracking.live import Kind, Watch
from harness.tracking.messages import Place, Request, RunDescription
from harness.tracking.publication import PATIENCE, Attempt, Published
from harness.tracking.run_description import describe_cell, describe_leaderboard, identify_cell, run_id

Mode = Literal["auto", "online", "offline"]
DEFAULT_SERVER = "https://api.wandb.ai"


def under_agent() -> bool:
    """Whether a W&B sweep agent started this process; the agent has chosen the run's id then."""
    return "WANDB_SWEEP_ID" in os.environ


def logged_in() -> bool:
    """Whether W&B credentials are configured, without asking W&B: an API key or token in the environment, or netrc."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or DEFAULT_SERVER).netloc
    named = os.environ.get("NETRC")
    for path in [named] if named else ["~/.netrc", "~/_netrc"]:
        try:
            if netrc.netrc(os.path.expanduser(path)).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


@dataclass
class WandbTracker:
    """Publishes records as W&B runs.

    Args:
        project: W&B project.
        entity: W&B user or team; ``None`` means the default of whoever is logged in.
        mode: ``online``, ``offline``, or ``auto``: what ``WANDB_MODE`` says, else online when logged in, else offline.
        group: run group; ``None`` means the record's sweep.
        dir: where W&B files go (in a folder ``wandb``); ``None`` means the store.
        timeout: seconds one call to :meth:`publish` may wait for a server (drawing figures not counted). One that has not accepted a
            run after 0.6 of it is given up for the life of this tracker: runs are written offline from then on.
        tables: whether rows of synthetic tables are published (a sample in the run, the table as artifact).
        figures: whether each cell's figures are published as images (overlaid columns, pair trends, violations, map, column order),
            and the leaderboard's; ``"leaderboard"`` for the latter alone.
    """

    project: str = "taborder"
    entity: str | None = None
    mode: Mode = "auto"
    group: str | None = None
    dir: str | None = None
    timeout: float = 10.0
    tables: bool = True
    figures: bool | Literal["leaderboard"] = True
    _client: LineProcess | None = field(default=None, init=False, repr=False)
    _mode: str = field(default="", init=False, repr=False)
    _under_way: tuple[str, Attempt] | None = field(default=None, init=False, repr=False)
    _told: bool = field(default=False, init=False, repr=False)
    _broken: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise TabOrderError(choices(self.mode, get_args(Mode), "tracker.mode"))
        for name, more in (("tables", []), ("figures", ["leaderboard"])):
            value = getattr(self, name)
            if not isinstance(value, bool) and value not in more:
                raise TabOrderError(choices(str(value), ["true", "false", *more], f"tracker.{name}"))
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, (int, float)) or self.timeout <= 0:
            raise TabOrderError(f"tracker.timeout={self.timeout!r} is not a positive number of seconds.")

    def watch(self, cell: Cell, sweep: str | None, store: ResultStore) -> Callable[[Event], None] | None:
        """What to tell the events of a cell while it trains: online, so that its loss can be watched.

        Only a view of the moment: the record decides what the run says in the end, and :meth:`publish` finishes the same run.
        Offline nothing is sent, but the client starts while the cell trains, not after it.
        """
        if self._resolved() == "disabled" or self._broken:
            return None
        if self._mode == "offline":
            return lambda event: self._warm(store) if event.stage == "fit" else None
        identity = identify_cell(cell, self.group or sweep)
        return Watch(lambda kind, run, values: self._tell(kind, run, values, store), identity).event

    def _warm(self, store: ResultStore) -> None:
        with contextlib.suppress(OSError):  # publishing will find out, and say so
            if self._client is None:
                self._client = _start(self._root(store) / "wandb")

    def _tell(self, kind: Kind, run: RunDescription, values: Json, store: ResultStore) -> None:
        """Send what needs no answer, unless that would have to wait."""
        if self._mode != "online" or self._broken:
            return
        self._warm(store)
        with contextlib.suppress(Late, OSError):
            if self._client is not None and self._client.ready():
                self._client.send(Request(kind=kind, run=run, place=self._place(store), values=values).to_json())

    def publish(self, record: Record, store: ResultStore, *, wait: bool = True) -> str | None:
        """Mirror one stored record; returns a one-line note for the user, or ``None``. Never raises.

        With ``wait=False`` figures are drawn and files written or uploaded while the caller goes on; what then goes wrong is the note
        of the next call.
        """
        try:
            return self.publish_cell(record, store, wait=wait).note
        except Exception as error:  # a mirror never fails a cell
            return f"W&B: not published ({error}); the record is stored, python -m harness.sync can publish it later"

    def publish_cell(self, record: Record, store: ResultStore, *, wait: bool = True) -> Published:
        """Like :meth:`publish`, saying what became of it.

        Raises:
            TabOrderError: when the record's table cannot be read.
        """
        if self._resolved() == "disabled":
            return Published("skipped")
        begin = time.monotonic()
        run = describe_cell(record, store, group=self.group, tables=self.tables, figures=self.figures is True)
        return self._publish(run, store, record.to_json(), begin, wait=wait)

    def publish_board(self, store: ResultStore, output: Path) -> str | None:
        """Mirror the leaderboard written to ``output``; returns a one-line note for the user, or ``None``. Never raises."""
        try:
            return self.publish_leaderboard(store.records()[0], store, output).note
        except Exception as error:  # a mirror never fails a sweep
            return f"W&B: leaderboard not published ({error}); python -m harness.sync can publish it later"

    def publish_leaderboard(self, records: Sequence[Record], store: ResultStore, output: Path) -> Published:
        """Publish the leaderboard written to ``output`` as a run of its own.

        Raises:
            TabOrderError: when ``output`` holds no ``leaderboard.csv``.
        """
        if self._resolved() == "disabled":
            return Published("skipped")
        run = describe_leaderboard(
            records, store, output, group=self.group, tables=self.tables, figures=bool(self.figures)
        )
        run = replace(run, id=self._board_id(store, output, run.id))
        # W&B links inputs one by one, asking the server each time.
        patience = 2.0 * len(run.inputs)
        return self._publish(run, store, json.dumps(run.to_json(), sort_keys=True), time.monotonic(), patience)

    def close(self) -> None:
        """Let the W&B process finish its uploads and end; returns at once."""
        self._under_way = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _resolved(self) -> str:
        if not self._mode:
            asked = os.environ.get("WANDB_MODE", "").lower() if self.mode == "auto" else self.mode
            automatic = "online" if logged_in() else "offline"
            self._mode = {"dryrun": "offline", "run": "online"}.get(asked, asked) or automatic
        return self._mode

    def _publish(
        self,
        run: RunDescription,
        store: ResultStore,
        content: str,
        begin: float,
        patience: float = 0.0,
        wait: bool = True,
    ) -> Published:
        """Publish after the run before, whose note comes first."""
        waiting = time.monotonic()
        earlier = self._settle()  # at most one run is on its way at a time
        made = self._take(run, store, content, begin + time.monotonic() - waiting, patience, wait)
        return replace(made, note="; ".join(filter(None, (earlier, made.note))) or None)

    def _take(
        self, run: RunDescription, store: ResultStore, content: str, begin: float, patience: float, wait: bool
    ) -> Published:
        deadline = begin + self.timeout
        hidden = Redactor()  # records are clean; one made by other means may not be
        run = replace(
            run, config=hidden.value(run.config), summary=hidden.value(run.summary), pages=hidden.value(run.pages)
        )
        root = self._root(store)
        ledger = root / "wandb" / "published" / f"{run.id}.json"
        identity = {
            "content": hashlib.sha256(content.encode()).hexdigest(),
            "project": self.project,
            "entity": self.entity,
            "group": run.group,
            "tables": self.tables,
            "figures": self.figures,
        }
        if self._known(ledger, identity):
            return Published("skipped")
        place = self._place(store)
        if self._broken:
            return Published("failed")
        problem = None
        if self._mode == "online":
            try:
                start_by = deadline - 0.4 * self.timeout
                return self._attempt(run, place, ledger, identity, start_by, deadline + patience, wait)
            except (Late, OSError) as error:
                problem = f"W&B did not take the run ({error}); writing offline runs to {root / 'wandb'} from now on"
                self._give_up()
                self._mode = "offline"
        if problem is None:
            deadline += PATIENCE * self.timeout
        try:
            made = self._attempt(run, replace(place, mode=self._mode), ledger, identity, deadline, deadline, wait)
        except (Late, OSError) as error:
            self._give_up()
            self._broken = True
            return Published(
                "failed", note=f"W&B: runs cannot be written ({error}); not trying again, records are stored"
            )
        note = problem or (None if self._told or self.mode == "offline" else "W&B: not logged in, writing offline runs")
        self._told = True
        if note:
            note += f"; python -m harness.sync store.root={store.root} tracker.mode=online publishes them"
        return Published(made.how, made.where, "; ".join(filter(None, (note, made.note))) or None)

    def _root(self, store: ResultStore) -> Path:
        return Path(self.dir) if self.dir else store.root

    def _place(self, store: ResultStore) -> Place:
        return Place(
            mode=self._mode,
            project=self.project,
            entity=self.entity,
            dir=str(self._root(store).resolve()),
            init_timeout=max(1.0, 0.5 * self.timeout),
        )

    def _board_id(self, store: ResultStore, output: Path, new: str) -> str:
        """One run for a leaderboard, however often it changes: the id it got the first time."""
        place = run_id(os.path.relpath(output.resolve(), store.root.resolve()))
        path = self._root(store) / "wandb" / "published" / f"leaderboard-{place}.json"
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["id"])
        except (OSError, ValueError, KeyError, TypeError):
            write_atomic(path, (json.dumps({"id": new}) + "\n").encode())
            return new

    def _known(self, ledger: Path, identity: Json) -> bool:
        try:
            known = json.loads(ledger.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if under_agent():  # its run has another id
            return False
        same = all(known.get(name) == value for name, value in identity.items())
        return same and (self._mode == "offline" or known.get("mode") == "online")

    def _attempt(
        self,
        run: RunDescription,
        place: Place,
        ledger: Path,
        identity: Json,
        start_by: float,
        deadline: float,
        wait: bool,
    ) -> Published:
        """Send one run; wait for its start by ``start_by`` and, if ``wait``, for its end by ``deadline``."""
        if self._client is None:
            self._client = _start(Path(place.dir) / "wandb")
        told = {**identity, "mode": self._mode}
        request = Request(kind="publish", run=run, place=place, ledger=str(ledger.resolve()), identity=told)
        self._client.send(request.to_json())
        online, draw_within = self._mode == "online", PATIENCE * self.timeout
        attempt = Attempt(
            self._client, run.id, online=online, start_by=start_by, deadline=deadline, draw_within=draw_within
        )
        made = attempt.follow(to_start=not wait)
        self._under_way = None if wait else (run.name, attempt)
        return made

    def _settle(self) -> str | None:
        """Wait for the run that :meth:`publish` left on its way; what went wrong with it, or could not be drawn."""
        if self._under_way is None:
            return None
        (name, attempt), self._under_way = self._under_way, None
        try:
            note = attempt.follow().note
            return note and f"{note} ({name})"
        except (Late, OSError) as error:
            self._give_up()
            return f"W&B: {name} is not published ({error}); the record is stored, python -m harness.sync can publish it later"

    def _give_up(self) -> None:
        self._under_way = None
        if self._client is not None:
            self._client.kill()
            self._client = None


def _start(folder: Path) -> LineProcess:
    folder.mkdir(parents=True, exist_ok=True)
    # Offline runs refer to copies of their artifacts' files: these must stay with the runs, not in the home folder.
    data = os.environ.get("WANDB_DATA_DIR") or str(folder.resolve() / "data")
    with (folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "harness.tracking.wandb_process"]
        return LineProcess(command, {"WANDB_DATA_DIR": data}, log, own_session=True)
