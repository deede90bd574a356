"""An OpenAI-compatible server on loopback that serves a Hugging Face model, and misbehaves on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.seeding import global_seed

KEY = "sk-secret-0123456789"


@dataclass
class Server:
    """What the server does and what it saw.

    ``faults`` are used up one a request, before anything else: ``("status", 429, {"Retry-After": "1"})``, ``("hang", seconds)``,
    ``("drip", seconds)``, ``("body", text)``, ``("close",)``, ``("redirect", url)`` or ``None`` for a proper answer.
    """

    model: Any
    tokenizer: Any
    key: str | None = KEY
    faults: list[tuple[Any, ...] | None] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    usage: bool = True
    base_url: str = ""
    lock: Any = field(default_factory=threading.Lock)

    def complete(self, body: dict[str, Any], chat: bool) -> dict[str, Any]:
        text = body["messages"][-1]["content"] if chat else body["prompt"]
        if chat and getattr(self.tokenizer, "chat_template", None):
            text = self.tokenizer.apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=True)
        batch = self.tokenizer(text, return_tensors="pt")
        with self.lock, global_seed(body["seed"]):
            out = self.model.generate(
                **batch, do_sample=True, top_k=0, temperature=body["temperature"], max_new_tokens=body["max_tokens"]
            )
        new = out[0, batch["input_ids"].shape[1] :].tolist()
        ended = self.tokenizer.eos_token_id in new
        content = self.tokenizer.decode(new, skip_special_tokens=True)
        answer = {"message": {"role": "assistant", "content": content}} if chat else {"text": content}
        usage = {"prompt_tokens": batch["input_ids"].shape[1], "completion_tokens": len(new)}
        return {
            "choices": [{"index": 0, "finish_reason": "stop" if ended else "length", **answer}],
            **({"usage": usage} if self.usage else {}),
        }


@contextmanager
def serve(model: Any, tokenizer: Any, **settings: Any) -> Iterator[Server]:
    server = Server(model, tokenizer, **settings)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.requests.append(body)
                server.times.append(time.monotonic())
                fault = server.faults.pop(0) if server.faults else None
            if fault and fault[0] == "status":
                self.reply(fault[1], {"error": {"message": fault[3] if len(fault) > 3 else "no"}}, fault[2])
            elif fault and fault[0] == "redirect":
                self.reply(307, {}, {"Location": fault[1]})
            elif fault and fault[0] == "hang":
                time.sleep(fault[1])
            elif fault and fault[0] == "drip":
                self.send_response(200)
                self.end_headers()
                for _ in range(int(fault[1] / 0.05)):
                    self.wfile.write(b" ")
                    time.sleep(0.05)
            elif fault and fault[0] == "body":
                self.reply(200, fault[1], {})
            elif fault and fault[0] == "close":
                self.connection.close()
            elif server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
                self.reply(401, {"error": {"message": f"Incorrect API key provided: {shown}"}}, {})
            else:
                self.reply(200, server.complete(body, self.path.endswith("/chat/completions")), {})

        def reply(self, status: int, content: Any, headers: dict[str, str]) -> None:
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are part of the tests
    server.base_url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
