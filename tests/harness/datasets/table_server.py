"""A server on loopback that speaks as OpenML, UCI and the Hugging Face hub do, truthful or not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Handler(http.server.BaseHTTPRequestHandler):
    pages: dict[str, Any]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        page = self.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        if isinstance(page, int):
            self.send_error(page)
            return
        data, promised = page if isinstance(page, tuple) else (page, len(page))
        self.send_response(200)
        if promised is not None:
            self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving(pages: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Serve pages by path (bytes, bytes with a promised length, or a status); yields the address and the paths asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"pages": pages, "asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()
