"""A loopback HTTP server for the programs of a machine, which answers by functions."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable
from typing import Any

Answered = tuple[int, bytes, dict[str, str]]
Answer = Callable[[str, dict[str, str]], Answered]
"""Of a path and headers in lower case: status, body, headers."""
Take = Callable[[dict[str, str], bytes], Answered]
"""The same of a POST's headers and body."""


class Loopback:
    """Serves until :meth:`close`. GET is answered by ``answer``, POST by ``take``, PUT with a session."""

    def __init__(self, answer: Answer, take: Take) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(*answer(self.path, self._lower()))

            def do_PUT(self) -> None:
                self._send(200, b"session", {})

            def do_POST(self) -> None:
                self._send(*take(self._lower(), self.rfile.read(int(self.headers["content-length"]))))

            def _lower(self) -> dict[str, str]:
                return {name.lower(): value for name, value in self.headers.items()}

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Ends it."""
        self._http.shutdown()
        self._http.server_close()
