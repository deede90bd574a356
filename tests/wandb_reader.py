"""Read an offline ``.wandb`` file: a LevelDB-style log of protobuf records (7-byte header, 32 KiB blocks, 7-byte chunk headers)."""

import json
import struct
from pathlib import Path

from wandb.proto import wandb_internal_pb2

BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path):
    data = Path(path).read_bytes()
    position, parts = 7, []
    while position + 7 <= len(data):
        if BLOCK - position % BLOCK < 7:  # too little is left of the block for a chunk header
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        parts.append(data[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def _items(updates):
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in updates}


def read_run(folder):
    """The run in an ``offline-run-…`` folder: id, name, group, job_type, tags, config, summary, history, artifacts, inputs, exit_code.

    ``artifacts`` are what the run made; ``inputs`` what it used, each name → type, digest, metadata, files.
    """
    (path,) = Path(folder).glob("run-*.wandb")
    run = {"config": {}, "summary": {}, "history": [], "artifacts": {}, "inputs": {}, "axes": {}, "exit_code": None}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run |= {"id": record.run.run_id, "name": record.run.display_name, "group": record.run.run_group}
            run |= {"job_type": record.run.job_type, "tags": list(record.run.tags), "project": record.run.project}
            run["config"] |= _items(record.run.config.update)
        elif kind == "config":
            run["config"] |= _items(record.config.update)
        elif kind == "summary":
            run["summary"] |= _items(record.summary.update)
        elif kind == "history":
            run["history"].append(_items(record.history.item))
        elif kind == "artifact":
            artifact = record.artifact
            contents = {entry.path: entry.local_path for entry in artifact.manifest.contents}
            run["inputs" if artifact.use_after_commit else "artifacts"][artifact.name] = {
                "type": artifact.type,
                "digest": artifact.digest,
                "metadata": json.loads(artifact.metadata or "{}"),
                "files": contents,
            }
        elif kind == "metric":
            run["axes"][record.metric.glob_name or record.metric.name] = record.metric.step_metric
        elif kind == "exit":
            run["exit_code"] = record.exit.exit_code
    return run


def offline_runs(folder):
    """Every offline run under ``folder/wandb``, oldest first."""
    return [
        read_run(path)
        for path in sorted(Path(folder).glob("wandb/offline-run-*"), key=lambda path: path.stat().st_mtime_ns)
    ]
