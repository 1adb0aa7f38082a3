"""A real server that takes the activities: they are posted with libcurl, which `responses` cannot fake."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What is answered to a message: status, headers, body. Or None: the connection is cut.
Answer = tuple[int, dict[str, str], str] | None


@contextlib.contextmanager
def receiving(settings: Any, answer: Callable[[dict[str, Any]], Answer]) -> Iterator[str]:
    """Have FLOWDOCK_API_URL lead to a server that answers the messages posted to /activities; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answered = answer(message) if self.path == "/activities" else (404, {}, "{}")
            if answered is None:
                self.close_connection = True
                return
            status, headers, text = answered
            body = text.encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        settings.FLOWDOCK_API_URL = f"http://127.0.0.1:{server.server_port}"
        try:
            yield settings.FLOWDOCK_API_URL
        finally:
            server.shutdown()
            thread.join()
