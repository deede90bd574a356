"""What the harness tells the process that talks to W&B: frozen values, written as JSON lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from harness.errors import TabOrderError
from harness.execution.messages import Json

Mode: TypeAlias = Literal["online", "offline"]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A versioned thing of a store; equal content is one version, whichever run names it.

    Attributes:
        name: legal for W&B (:func:`harness.tracking.artifacts.artifact_name`).
        type: ``dataset``, ``record``, ``synthetic`` or ``leaderboard``.
        metadata: shown beside it.
        files: name in the artifact to path.
        texts: name in the artifact to content.
    """

    name: str
    type: str
    metadata: Json = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Figures to draw for a run.

    Attributes:
        record: path of a cell's record; ``None`` for a leaderboard.
        store: root of its store.
        tables: whether pictures of rows are wanted, or only what the record alone says.
        board: path of a ``leaderboard.json``.
    """

    record: str | None = None
    store: str = ""
    tables: bool = False
    board: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunDescription:
    """What a W&B run says.

    Attributes:
        id: the same for the same cell, everywhere.
        name: shown.
        group: of runs.
        job_type: ``cell`` or ``leaderboard``.
        tags: to filter by.
        config: what was asked for.
        summary: what came out.
        history: points of the training curve.
        tables: ``{name: {"columns": [...], "rows": [...]}}``.
        html: name to path of an HTML file.
        pages: name to HTML text.
        images: name to path.
        draw: figures that are drawn by the process itself.
        inputs: artifacts it was made from.
        outputs: artifacts it made.
        failed: whether the cell has no usable result.
    """

    id: str
    name: str
    group: str | None
    job_type: str
    tags: Sequence[str] = ()
    config: Json = field(default_factory=dict)
    summary: Json = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    tables: Mapping[str, Mapping[str, Sequence[object]]] = field(default_factory=dict)
    html: Mapping[str, str] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    draw: Drawing | None = None
    inputs: Sequence[Artifact] = ()
    outputs: Sequence[Artifact] = ()
    failed: bool = False

    def to_json(self) -> Json:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where runs go.

    Attributes:
        mode: ``online`` or ``offline``.
        project: W&B project.
        entity: user or team.
        dir: where W&B's files go.
        init_timeout: seconds a server may take to accept a run.
    """

    mode: str
    project: str
    entity: str | None
    dir: str
    init_timeout: float


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        kind: ``watch`` opens the run of a cell that is still training, ``point`` adds to it, ``publish`` writes the whole run.
        run: which run.
        place: where it goes.
        values: of a point.
        ledger: where to note that the content is published.
        identity: of that content.
    """

    kind: Literal["watch", "point", "publish"]
    run: RunDescription
    place: Place
    values: Json = field(default_factory=dict)
    ledger: str = ""
    identity: Json = field(default_factory=dict)

    def to_json(self) -> Json:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Json) -> Request:
        """Read what :meth:`to_json` wrote.

        Raises:
            TabOrderError: for anything else.
        """
        values: dict[str, Any] = dict(data)
        try:
            run = dict(values["run"])
            run["draw"] = None if run["draw"] is None else Drawing(**run["draw"])
            for part in ("inputs", "outputs"):
                run[part] = tuple(Artifact(**one) for one in run[part])
            return cls(**{**values, "run": RunDescription(**run), "place": Place(**values["place"])})
        except (KeyError, TypeError) as error:
            raise TabOrderError(f"not a request to the W&B process ({error}).") from None
