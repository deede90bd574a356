"""A W&B server of the kind the client needs to publish a run: real HTTP on the loopback, everything it is told is kept."""

import gzip
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

VIEWER = {"id": "VXNlcjox", "entity": "me", "username": "me", "email": "", "flags": "{}", "teams": {"edges": []}}
PROJECT = {"id": "UHJvamVjdDox", "internalId": "UHJvamVjdDox", "name": "taborder", "entity": {"id": "e", "name": "me"}}


class Server(ThreadingHTTPServer):
    """Attributes: ``runs`` (id → variables of each upsert), ``artifacts`` (id → input), ``used`` and ``logged`` (pairs of run id and
    artifact name), ``streams`` (run id → file → lines), ``uploads`` (names), ``sweep`` (its configuration), ``ordered`` (commands to the
    sweep's agent)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.runs, self.artifacts, self.streams = {}, {}, {}
        self.used, self.logged, self.uploads = set(), set(), []
        self.sweep, self.ordered = None, []

    def handle_error(self, request, client_address):  # clients that are killed hang up
        pass

    def answer(self, operation, given):
        name = operation[0].lower() + operation[1:]
        given = {**given, **(given.get("input") or {})}
        upload = {"uploadHeaders": [], "uploadUrl": f"{self.url}/upload"}
        match operation:
            case "Viewer":
                return {"viewer": VIEWER}
            case "RunResumeStatus":
                return {"model": {**PROJECT, "bucket": self._resumed(given["name"])}}
            case "UpsertBucket":
                self.runs.setdefault(given["name"], []).append(given)
                bucket = {
                    "id": "b",
                    "name": given["name"],
                    "displayName": "",
                    "config": "{}",
                    "historyLineCount": 0,
                    "project": PROJECT,
                }
                return {name: {"bucket": bucket, "inserted": len(self.runs[given["name"]]) == 1}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
            case "CreateArtifact":
                identifier = f"QXJ0aWZhY3Q6{len(self.artifacts)}"
                self.artifacts[identifier] = given
                self.logged.add((given["runName"], given["artifactCollectionName"]))
                sequence = {"id": "s", "latestArtifact": None}
                return {name: {"artifact": {"id": identifier, "state": "PENDING", "artifactSequence": sequence}}}
            case "CreateArtifactManifest" | "UpdateArtifactManifest":
                return {
                    name: {
                        "artifactManifest": {"id": "m", "file": {"id": "f", "name": "m", "displayName": "m", **upload}}
                    }
                }
            case "CreateArtifactFiles":
                nodes = [
                    {
                        "storagePath": "x",
                        "uploadMultipartUrls": None,
                        "artifact": {"id": "a"},
                        "name": file["name"],
                        **upload,
                    }
                    for file in given["artifactFiles"]
                ]
                self.uploads += [file["name"] for file in given["artifactFiles"]]
                return {name: {"files": {"edges": [{"node": node} for node in nodes]}}}
            case "CreateRunFiles":
                self.uploads += given["files"]
                files = [{"name": file, "uploadUrl": upload["uploadUrl"]} for file in given["files"]]
                return {name: {"runID": "b", "uploadHeaders": [], "files": files}}
            case "UseArtifact":
                collection = self.artifacts[given["artifactID"]]["artifactCollectionName"]
                self.used.add((given["runName"], collection))
                self.logged.discard((given["runName"], collection))
                return {name: {"artifact": {"id": given["artifactID"], "digest": "d"}}}
            case "CommitArtifact":
                return {name: {"artifact": {"id": given["artifactID"], "digest": "d"}}}
            case "UpsertSweep":
                self.sweep = given["config"]
                return {name: {"sweep": {"name": "sweep1", "project": PROJECT}, "configValidationWarnings": []}}
            case "SweepWithRuns":
                sweep = {"id": "s", "name": given["sweep"], "config": self.sweep, "runs": {"edges": []}}
                return {"project": {"sweep": sweep}}
            case "CreateAgent":
                return {name: {"agent": {"id": "a"}}}
            case "Heartbeat":
                return {"agentHeartbeat": {"agent": {"id": "a"}, "commands": json.dumps(self._commands(given))}}
            case "ArtifactByID":
                return {"artifact": self._artifact(given["id"])}
        return {}

    def _commands(self, given):
        """The first cell of the sweep's grid, then, when that has ended, the order to leave."""
        if not self.ordered:
            chosen = yaml.safe_load(self.sweep)["parameters"]
            arguments = {key: {"value": one.get("value", one.get("values", [None])[0])} for key, one in chosen.items()}
            self.ordered.append({"type": "run", "run_id": "agentrun", "program": "", "args": arguments})
            return self.ordered
        return [] if json.loads(given["runState"]) else [{"type": "exit"}]

    def _resumed(self, run):
        if run not in self.runs:
            return None
        counts = {"logLineCount": 0, "historyLineCount": 0, "eventsLineCount": 0}
        said = self.streams.get(run, {}).get("wandb-summary.json") or ["{}"]
        tails = {
            "historyTail": "[]",
            "eventsTail": "[]",
            "summaryMetrics": said[-1],
            "config": "{}",
            "wandbConfig": '{"t": 1}',
        }
        return {"id": "b", "name": run, "displayName": run, "tags": [], "notes": None, **counts, **tails}

    def _artifact(self, identifier):
        made = self.artifacts[identifier]
        named = {"name": made["artifactCollectionName"], "project": PROJECT}
        return {
            "__typename": "Artifact",
            "id": identifier,
            "artifactSequence": {"__typename": "ArtifactSequence", **named},
            "artifactType": {"name": made["artifactTypeName"]},
            "versionIndex": 0,
            "description": None,
            "metadata": made.get("metadata"),
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": "COMMITTED",
            "size": 1,
            "digest": "d",
            "commitHash": "c",
            "fileCount": 1,
            "createdAt": "2026-01-01T00:00:00",
            "updatedAt": None,
            "aliases": [],
        }


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _reply(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def do_PUT(self):
        self._body()
        self._reply({})

    do_GET = do_PUT

    def do_POST(self):
        body = self._body()
        if self.path == "/graphql":
            request = json.loads(body)
            operation = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])[1]
            return self._reply({"data": self.server.answer(operation, request.get("variables") or {})})
        if stream := re.fullmatch(r"/files/me/taborder/(\w+)/file_stream", self.path):
            files = self.server.streams.setdefault(stream[1], {})
            for name, part in (json.loads(body).get("files") or {}).items():
                files.setdefault(name, []).extend(part["content"])
        return self._reply({})


@contextmanager
def serve():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
