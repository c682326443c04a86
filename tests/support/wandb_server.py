"""A small server that speaks as much of W&B's protocol as a run needs: GraphQL, the file stream and uploads."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "team"
_HISTORY, _SUMMARY, _EVENTS = "wandb-history.jsonl", "wandb-summary.json", "wandb-events.jsonl"


@dataclass
class ServedRun:
    """What the server has of one run."""

    name: str
    project: str
    fields: dict[str, Any] = field(default_factory=dict)
    streams: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        config = json.loads(self.fields.get("config") or "{}")
        return {name: item["value"] for name, item in config.items() if name != "_wandb"}

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines(_HISTORY)]

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.lines(_SUMMARY)
        return json.loads(lines[-1]) if lines else {}

    def lines(self, file: str) -> list[str]:
        stream = self.streams.get(file, {})
        return [stream[number] for number in sorted(stream)]

    def receive(self, sent: dict[str, Any]) -> None:
        """A message of the file stream: chunks of files by their offset in lines, and the exit code."""
        for name, chunk in (sent.get("files") or {}).items():
            for number, line in enumerate(chunk["content"], chunk["offset"]):
                self.streams.setdefault(name, {})[number] = line
        if sent.get("complete"):
            self.exit_codes.append(sent["exitcode"])

    def bucket(self) -> dict[str, Any]:
        """The run as GraphQL has it."""
        project = {"id": "1", "name": self.project, "entity": {"id": "2", "name": ENTITY}}
        lines = {name: self.lines(name) for name in (_HISTORY, _EVENTS)}
        config = self.fields.get("config") or "{}"
        return {
            "id": self.name, "name": self.name, "displayName": self.fields.get("displayName"), "description": None,
            "config": config, "sweepName": self.fields.get("sweep"), "project": project,
            "historyLineCount": len(lines[_HISTORY]), "eventsLineCount": len(lines[_EVENTS]), "logLineCount": 0,
            "historyTail": json.dumps(lines[_HISTORY][-1:]), "eventsTail": json.dumps(lines[_EVENTS][-1:]),
            "summaryMetrics": json.dumps(self.summary), "tags": self.fields.get("tags"),
            "notes": self.fields.get("notes"),
            "wandbConfig": json.dumps(json.loads(config).get("_wandb", {}).get("value", {})),
        }  # fmt: skip


class WandbServer:
    """The server's address, its runs by id, and the faults that it is told to have.

    Attributes:
        url: for ``WANDB_BASE_URL``.
        runs: by id.
        paths: of the requests so far.
        fails: path prefix -> status that it answers instead.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.runs: dict[str, ServedRun] = {}
        self.paths: list[str] = []
        self.fails: dict[str, int] = {}

    def graphql(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        operation = query.split("(")[0].split("{")[0].split()[-1]
        if operation == "Viewer":
            return {"viewer": {"id": "3", "entity": ENTITY, "username": "ada", "email": "ada@example.org",
                               "flags": "{}", "teams": {"edges": []}}}  # fmt: skip
        if operation == "UpsertBucket":
            return {"upsertBucket": self._upsert(given)}
        if operation == "RunResumeStatus":
            run = self.runs.get(given["name"])
            return {"model": {"id": "1", "name": given["project"], "entity": {"id": "2", "name": ENTITY},
                              "bucket": run and run.bucket()}}  # fmt: skip
        if operation == "CreateRunFiles":
            files = [
                {"name": name, "uploadUrl": f"{self.url}/storage/{given['run']}/{name}"} for name in given["files"]
            ]
            return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
        if operation == "MarkRunFilesUploaded":
            return {"markRunFilesUploaded": {"success": True}}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        return {}

    def _upsert(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["name"] or given["id"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, ServedRun(name, given["project"]))
        run.fields |= {key: value for key, value in given.items() if value is not None}
        return {"bucket": run.bucket(), "inserted": inserted}


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """A server on a free port of this machine."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that has gone
    served = http.served = WandbServer(http.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self._body()
        if self._refused():
            return
        if self.path == "/graphql":
            asked = json.loads(content)
            self._answer({"data": self._served.graphql(asked["query"], asked.get("variables") or {})})
            return
        if self.path.endswith("/file_stream"):  # /files/ENTITY/PROJECT/RUN/file_stream
            self._served.runs[self.path.split("/")[4]].receive(json.loads(content))
        self._answer({})

    def do_PUT(self) -> None:
        content = self._body()
        if self._refused():
            return
        _, _, run, name = self.path.split("/", 3)
        self._served.runs[run].files[name] = content
        self._answer({})

    def do_GET(self) -> None:
        self._answer({})

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    @property
    def _served(self) -> WandbServer:
        return self.server.served  # type: ignore[attr-defined, no-any-return]

    def _refused(self) -> bool:
        self._served.paths.append(self.path)
        for prefix, status in self._served.fails.items():
            if self.path.startswith(prefix):
                self._answer({"errors": [{"message": "out of order"}]}, status)
                return True
        return False

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, content: dict[str, Any], status: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
