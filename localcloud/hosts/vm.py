"""A machine's first process (its pid 1): boots it, serves its metadata, runs its services, reaps what dies.

    python -S -m localcloud.hosts.vm --dir $SPOTLANE_HOME/hosts/<id>

Reads ``boot.json`` (written by the machine room), starts within a few hundredths of a second of CPU time, and therefore imports only the standard
library, and little of it. It goes on without the local cloud: a notice is a file beside it, ``notice.json``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from localcloud.hosts import metadata
from localcloud.hosts.journald import Journal
from localcloud.hosts.services import Paths, Services

BOOT_UNIT = "cloud-final.service"
"""What cloud-init runs a boot's commands and scripts in."""

SHUTDOWN_SECONDS = 20.0
"""How long services may take to stop when the machine is told to; the machine room's own deadline is shorter."""

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

_HANDLED = (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT)


class Init:
    """The event loop of one machine."""

    def __init__(self, directory: str) -> None:
        os.chdir(directory)  # sockets are named relatively: their paths are limited to 107 bytes
        with open("boot.json", encoding="utf-8") as file:
            self.machine: dict[str, Any] = json.load(file)
        self._root = os.path.join(directory, "root")
        paths = Paths(f"{self._root}/etc/systemd/system", self.machine["environment"], lambda path: self._root + path)
        self._services = Services(paths, self.spawn, self._told)
        self._journal = Journal()
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._boot = 0
        self._down_at: float | None = None
        self._hanging: list[tuple[_Connection, metadata.Request, float]] = []

    def log(self, line: str) -> None:
        """One line on the machine's console."""
        print(time.strftime("%Y-%m-%dT%H:%M:%S"), line, flush=True)

    def _told(self, line: str) -> None:
        """A line about a unit, which it begins with."""
        self.log(line)
        self._journal.say(line.partition(":")[0], line)

    def spawn(self, argv: list[str], environment: dict[str, str], directory: str, unit: str) -> int:
        """Starts ``argv`` in a process group of its own; its output goes to the console and, as ``unit``'s, to the journal. Raises OSError if it can't run."""
        if not os.access(argv[0], os.X_OK):
            raise FileNotFoundError(2, "No such program", argv[0])
        # Held back until the child has none of our handlers: a SIGTERM for a child that has only begun would take the machine down from within it, or be lost.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        output, written = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)
                for number in _HANDLED:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(written, 1)
                os.dup2(written, 2)
                os.chdir(directory if os.path.isdir(directory) else self._root)
                os.execve(argv[0], argv, environment)
            except OSError as error:
                print(f"{argv[0]}: {error}", file=sys.stderr, flush=True)
            os._exit(203)
        with contextlib.suppress(OSError):  # the child was quicker
            os.setpgid(pid, pid)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(written)
        os.set_blocking(output, False)
        self._watch(output, lambda: self._output(output, unit))
        return pid

    def _output(self, output: int, unit: str) -> None:
        try:
            data = os.read(output, 65536)
        except BlockingIOError:
            return
        self._journal.output(output, unit, data)
        if data:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        else:
            self.forget(output)
            os.close(output)

    def run(self) -> None:
        """Boots, then serves until told to go down."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, lambda number, frame: self._go_down())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._watch(wake_read, lambda: _drain(wake_read))
        self._listen(socket.AF_UNIX, "init.sock", self._control)
        try:
            self._listen(socket.AF_INET, (self.machine["address"], metadata.PORT), self._metadata)
        except OSError as error:
            self.log(f"metadata: {self.machine['address']}:{metadata.PORT}: {error.strerror}; on macOS add the address with ifconfig lo0 alias")
        if not os.path.exists("booted"):
            open("booted", "w", encoding="ascii").close()
            self._boot = self.spawn(["/bin/sh", os.path.abspath("boot.sh")], self.machine["environment"], self._root, BOOT_UNIT)
        while not (self._down_at is not None and (time.monotonic() >= self._down_at or not self._services.running())):
            for fd, _ in self._poll.poll(self._patience()):
                self._readers.get(fd, lambda: None)()
            self._reap()
            self._services.tick(time.monotonic())
            self._release_hanging()
        for output in [fd for fd, _ in self._poll.poll(0)]:
            self._readers.get(output, lambda: None)()
        self.log("powered off")

    def _patience(self) -> int | None:
        due = [time for time in (self._services.next_due(), self._down_at) if time is not None]
        if self._hanging:
            due.append(time.monotonic() + 0.2)
        return max(0, int((min(due) - time.monotonic()) * 1000) + 1) if due else None

    def _go_down(self) -> None:
        if self._down_at is None:
            self._down_at = time.monotonic() + SHUTDOWN_SECONDS
            self.log("going down")
            self._services.stop_all(time.monotonic())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if pid == self._boot:
                self.log(f"boot script ended with {code}")
            else:
                self._services.exited(pid, code, time.monotonic())

    def _watch(self, fd: int, reader: Callable[[], None]) -> None:
        self._readers[fd] = reader
        self._poll.register(fd, select.POLLIN)

    def forget(self, fd: int) -> None:
        """Stops watching ``fd``."""
        if self._readers.pop(fd, None):
            self._poll.unregister(fd)

    def _listen(self, family: int, address: Any, handler: Callable[[_Connection], None]) -> None:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_UNIX and os.path.exists(address):
            os.unlink(address)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
        listener.setblocking(False)

        def accept() -> None:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setblocking(False)
            connection = _Connection(self, client, handler)
            self._watch(client.fileno(), connection.readable)

        self._watch(listener.fileno(), accept)

    def _control(self, connection: _Connection) -> None:
        if b"\n" not in connection.data:
            return
        verb, flags, names = json.loads(connection.data)

        def reply(code: int, output: str) -> None:
            connection.finish(json.dumps([code, output]).encode())

        self._services.call(verb, names, "--now" in flags, time.monotonic(), reply)

    def _metadata(self, connection: _Connection) -> None:
        request = _request(bytes(connection.data))
        if request is None:
            return
        if metadata.watches(self.machine, request):
            limit = float(request.query.get("timeout_sec", "3600"))
            if "last_etag" not in request.query:
                first = dict(metadata.answer(self.machine, self._notice(), request).headers).get("ETag", "0")
                request = request._replace(query={**request.query, "last_etag": first})
            self._hanging.append((connection, request, time.monotonic() + limit))
            return
        if self.machine["cloud"] == "azure" and request.method == "POST" and request.path == "/metadata/scheduledevents":
            with open("approved", "wb") as file:  # the machine room brings the event forward
                file.write(request.body)
        self._answer(connection, metadata.answer(self.machine, self._notice(), request))

    def _release_hanging(self) -> None:
        still = []
        for connection, request, limit in self._hanging:
            given = metadata.answer(self.machine, self._notice(), request)
            if dict(given.headers).get("ETag") != request.query["last_etag"] or time.monotonic() >= limit:
                self._answer(connection, given)
            elif connection.open:
                still.append((connection, request, limit))
        self._hanging = still

    def _notice(self) -> metadata.Notice | None:
        try:
            with open("notice.json", encoding="utf-8") as file:
                notice: metadata.Notice = json.load(file)
                return notice
        except FileNotFoundError:
            return None

    def _answer(self, connection: _Connection, given: metadata.Answer) -> None:
        headers = [("Content-Type", given.content_type), ("Content-Length", str(len(given.body))), ("Connection", "close"), *given.headers]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        connection.finish(f"HTTP/1.1 {given.status} {_REASONS.get(given.status, 'Status')}\r\n{lines}\r\n".encode() + given.body)


class _Connection:
    """A client of the control socket or of the metadata service: one request, one answer."""

    def __init__(self, init: Init, client: socket.socket, handler: Callable[[_Connection], None]) -> None:
        self._init = init
        self._client = client
        self._handler = handler
        self.data = bytearray()
        self.open = True

    def readable(self) -> None:
        try:
            chunk = self._client.recv(65536)
        except OSError:
            chunk = b""
        self.data += chunk
        if not chunk or len(self.data) > 1 << 20:
            self.close()
            return
        try:
            self._handler(self)
        except (ValueError, OSError) as error:
            self._init.log(f"bad request: {error}")
            self.close()

    def finish(self, answer: bytes) -> None:
        if self.open:
            try:
                self._client.setblocking(True)
                self._client.settimeout(1.0)
                self._client.sendall(answer)
            except OSError:
                pass
            self.close()

    def close(self) -> None:
        if self.open:
            self.open = False
            self._init.forget(self._client.fileno())
            self._client.close()


_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


def _drain(fd: int) -> None:
    os.read(fd, 4096)


def _request(data: bytes) -> metadata.Request | None:
    """The HTTP/1.1 request in ``data``; None while it isn't whole."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if len(body) < int(headers.get("content-length", "0")):
        return None
    method, target, _ = first.split(" ", 2)
    path, _, query = target.partition("?")
    return metadata.Request(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, body)


if __name__ == "__main__":
    Init(sys.argv[sys.argv.index("--dir") + 1]).run()
