"""Whether a process answers: ``GET /healthz`` where it speaks HTTP, a TCP connection where it speaks gRPC."""

from __future__ import annotations

import http.client
import socket

from localcloud.state import LOOPBACK, LocalState
from localcloud.supervisor.catalog import ProcessSpec

_TIMEOUT_SECONDS = 3.0


def fault_of(spec: ProcessSpec, state: LocalState) -> str | None:
    """What is wrong with the process; None where it is well."""
    for endpoint in spec.listens:
        port = state.port(endpoint)
        try:
            socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT_SECONDS).close()
        except OSError as error:
            return f"{endpoint} (port {port}) doesn't accept connections: {error.strerror or error}"
    if spec.healthz is not None:
        return _healthz(state.port(spec.healthz))
    return None


def _healthz(port: int) -> str | None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        text = answer.read(300).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"GET /healthz on port {port} failed: {error!r}"
    finally:
        connection.close()
    return None if 200 <= answer.status < 300 else f"GET /healthz on port {port} answered {answer.status}: {text.strip()}"
