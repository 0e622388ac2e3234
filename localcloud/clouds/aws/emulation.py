"""moto, in this process, one call at a time, made repeatable: ids are drawn from recorded seeds, and a start replays the record.

moto draws every id from one random generator (``moto.moto_api._internal.mock_random``). It is seeded before each call that changes something. A region's
default network is made by the first call to touch it, which may be a read; it is seeded by account and region instead of by order.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote_to_bytes

from localcloud.clouds.aws.compaction import Compaction
from localcloud.clouds.aws.record import Call, Ending, Record
from localcloud.clouds.exchange import HttpAnswer, HttpRequest

log = logging.getLogger("localcloud.aws")

_READS = ("Describe", "Get", "List", "Lookup", "Search", "Head", "Filter", "Decode", "Simulate", "Validate", "Check", "Query", "BatchGet")
MANAGEMENT = "123456789012"
"""moto's account of unknown keys: the organization's management account."""

_SESSION_SECONDS = 12 * 3600.0
"""The longest life of an assumed role's session (AWS STS API reference, AssumeRole)."""


class _Clock:
    """The time that moto stamps on objects: that of the change that it makes, which is recorded with it and stands again in the replay; else now."""

    def __init__(self) -> None:
        self._at: float | None = None

    @contextlib.contextmanager
    def standing(self, at: float) -> Iterator[None]:
        """Stands at ``at`` for as long as the block runs."""
        self._at = at
        try:
            yield
        finally:
            self._at = None

    def utcnow(self) -> datetime:
        now = datetime.now(UTC) if self._at is None else datetime.fromtimestamp(self._at, UTC)
        return now.replace(tzinfo=None)


_clock = _Clock()


class Scope(NamedTuple):
    """Whom a call is for: signed by ``account``'s key for ``service`` in ``region`` (SigV4 credential scope)."""

    account: str
    region: str
    service: str


Lacking = Callable[[Any, HttpRequest], HttpAnswer]
"""``(moto's EC2 backend of the account and region, request) → answer``; what it keeps, it keeps on the backend."""


class Emulation:
    """All of AWS. ``applied(request, scope, answer)`` is told of each change right after moto made it, live and in the replay."""

    def __init__(self, path: Path, applied: Callable[[HttpRequest, Scope, HttpAnswer], None], lacking: Mapping[str, Lacking] | None = None) -> None:
        """``lacking`` answers the EC2 actions that moto doesn't have; they are recorded and replayed like moto's."""
        self._lacking = lacking or {}
        self.lock = threading.RLock()
        self._applied = applied
        self._path = path
        self._touched: set[tuple[str, str]] = set()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        threading.Thread(target=self._start, name="aws-replay", daemon=True).start()

    def wait_ready(self) -> None:
        """Returns when the record is replayed (moto's own imports take about two seconds). Raises what the replay raised."""
        self._ready.wait()
        if self._failure is not None:
            raise RuntimeError(f"{self._path}: could not be replayed: {self._failure}") from self._failure

    @property
    def ready(self) -> bool:
        """Whether calls are answered at once."""
        return self._ready.is_set() and self._failure is None

    @property
    def health(self) -> str:
        """``ok``, ``starting`` or what is wrong."""
        return "starting" if not self._ready.is_set() else "ok" if self._failure is None else str(self._failure)

    def call(self, request: HttpRequest) -> HttpAnswer:
        """moto's answer; a change that succeeded is recorded before it is answered."""
        self.wait_ready()
        with self.lock:
            scope = self.scope(request)
            self._touch(scope)
            return self._recorded(request, scope)

    def end(self, ending: Ending) -> None:
        """An instance ended by itself."""
        self.wait_ready()
        with self.lock:
            if self._end(ending):
                self._record.add_ending(ending)

    def scope(self, request: HttpRequest) -> Scope:
        """Whom ``request`` is for; unknown keys belong to the management account, as in moto."""
        from moto.iam.models import get_account_id_from  # moto's import takes seconds; it is loaded in the replay's thread

        try:
            key, _, region, service, _ = request.headers.get("authorization", "").split("Credential=")[1].split(",")[0].split("/")
        except (IndexError, ValueError):
            return Scope(get_account_id_from(""), "us-east-1", request.host.split(".")[0])
        return Scope(get_account_id_from(key), region, service.lower())

    def backends(self, service: str) -> Any:
        """moto's backends of ``service``: account → region → backend. To be used under :attr:`lock`."""
        from moto.backends import get_backend  # as above

        return get_backend(service)

    def close(self) -> None:
        """Closes the record."""
        with self.lock:
            if self.ready:
                self._record.close()

    def _start(self) -> None:
        try:
            with self.lock:
                began = time.monotonic()
                self._load()
                self._record = Record(self._path)
                replayed = self._replay()
                if replayed == 0:
                    self._found_organization()
                log.info("aws: %d calls replayed, ready after %.1f s", replayed, time.monotonic() - began)
        except BaseException as error:
            self._failure = error
            log.exception("aws: %s could not be replayed", self._path)
        finally:
            self._ready.set()

    def _load(self) -> None:
        # Instead of moto's 1,277 images, through which it searches for every instance that it starts (a second each).
        os.environ["MOTO_AMIS_PATH"] = str(Path(__file__).with_name("images.json"))
        import moto.core.utils  # as above

        # Before any other module of moto takes it from there.
        moto.core.utils.utcnow = _clock.utcnow
        from moto.moto_api._internal import mock_random  # as above
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # as above

        self._random = mock_random
        self._application = DomainDispatcherApplication(create_backend_app)
        self._touch(Scope(MANAGEMENT, "us-east-1", "ec2"))

    def _replay(self) -> int:
        count = 0
        compaction = Compaction()
        for entry in self._record.entries():
            count += 1
            if isinstance(entry, Ending):
                self._end(entry)
            elif _expired(entry):
                compaction.over(entry)
            else:
                scope = self.scope(entry.request)
                self._touch(scope)
                answer = self._seeded(entry.request, scope, entry.seed, entry.at)
                if answer.status >= 400:
                    log.warning("aws: call %d answered %d in the replay: %s", entry.seq, answer.status, answer.body[:300].decode(errors="replace"))
                elif scope.service == "ec2" and action(entry.request) == "RunInstances":
                    compaction.launched(entry, answer)
        self._record.compact(compaction.dropped, compaction.shrunk(self._gone))
        return count

    def _gone(self, instance_id: str) -> bool:
        """Whether the instance is terminated: it can't be started again."""
        found = (backend.get_instance_by_id(instance_id) for regions in self.backends("ec2").values() for backend in regions.values())
        return any(instance is not None and instance.state == "terminated" for instance in found)

    def _found_organization(self) -> None:
        """Every AWS customer of this product has an organization with service control policies; ours is founded at the first start."""
        for action, body in (("CreateOrganization", b'{"FeatureSet":"ALL"}'), ("ListRoots", b"{}")):
            answer = self._recorded_json(action, body)
        root = answer.body.split(b'"Id": "')[-1].split(b'"')[0] if b'"Id": "' in answer.body else answer.body.split(b'"Id":"')[-1].split(b'"')[0]
        self._recorded_json("EnablePolicyType", b'{"RootId":"' + root + b'","PolicyType":"SERVICE_CONTROL_POLICY"}')

    def _recorded_json(self, action: str, body: bytes) -> HttpAnswer:
        headers = {
            "authorization": "AWS4-HMAC-SHA256 Credential=LOCALCLOUD/20260101/us-east-1/organizations/aws4_request, SignedHeaders=host, Signature=0",
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"AWSOrganizationsV20161128.{action}",
        }
        request = HttpRequest("POST", "organizations.us-east-1.amazonaws.com", "/", "", headers, body)
        return self._recorded(request, self.scope(request))

    def _recorded(self, request: HttpRequest, scope: Scope) -> HttpAnswer:
        """moto's answer; a change that succeeded is recorded with what it depends on, its seed and its time."""
        if not changes(request):
            return self._moto(request)
        seed, at = self._record.next_seed(), time.time()
        answer = self._seeded(request, scope, seed, at)
        if answer.status < 400:
            self._record.add_call(request, seed, at)
        return answer

    def _touch(self, scope: Scope) -> None:
        if scope.service != "ec2" or (scope.account, scope.region) in self._touched:
            return
        self._touched.add((scope.account, scope.region))
        self._random.seed(zlib.crc32(f"{scope.account}/{scope.region}".encode()))
        backends = self.backends("ec2")
        if scope.region in backends[scope.account]:
            backends[scope.account][scope.region].describe_vpcs()

    def _seeded(self, request: HttpRequest, scope: Scope, seed: int, at: float) -> HttpAnswer:
        self._random.seed(seed)
        with _clock.standing(at):
            answer = self._moto(request)
        if answer.status < 400:
            self._applied(request, scope, answer)
        return answer

    def _end(self, ending: Ending) -> bool:
        from moto.ec2.models.instances import StateReason  # as above

        backend = self.backends("ec2")[ending.account][ending.region]
        instance = backend.get_instance_by_id(ending.instance)
        if instance is None or instance.state in ("terminated", ending.state):
            return False
        with _clock.standing(ending.at):
            if ending.state == "terminated":
                instance.terminate()
            else:
                instance.stop()
        instance.state_reason = StateReason(f"{ending.code}: {ending.message}", ending.code)
        instance._reason = f"{ending.code} ({datetime.fromtimestamp(ending.at, UTC):%Y-%m-%d %H:%M:%S} UTC)"
        return True

    def _moto(self, request: HttpRequest) -> HttpAnswer:
        scope = self.scope(request)
        if scope.service == "ec2" and (lacking := self._lacking.get(action(request))) is not None:
            return lacking(self.backends("ec2")[scope.account][scope.region], request)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
            "RAW_URI": request.path + (f"?{request.query}" if request.query else ""),
            "QUERY_STRING": request.query,
            "CONTENT_LENGTH": str(len(request.body)),
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "SERVER_NAME": request.host,
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            if name not in ("content-length", "content-type", "transfer-encoding"):
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        environ["HTTP_HOST"] = request.host
        status: list[Any] = []

        def start_response(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            status[:] = [int(line.split()[0]), {name.lower(): value for name, value in headers}]
            return lambda data: None

        chunks = self._application(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        headers = {name: value for name, value in status[1].items() if name not in ("content-length", "server", "date", "connection")}
        return HttpAnswer(status[0], body, headers)


def action(request: HttpRequest) -> str:
    """The API action that ``request`` calls, for the protocols that name it (query and JSON); else empty."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2]
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return parse_qs(request.body.decode()).get("Action", [""])[0]
    return parse_qs(request.query).get("Action", [""])[0]


def changes(request: HttpRequest) -> bool:
    """Whether ``request`` may change something."""
    name = action(request)
    return not name.startswith(_READS) if name else request.method not in ("GET", "HEAD", "OPTIONS")


def _expired(call: Call) -> bool:
    return action(call.request) == "AssumeRole" and time.time() - call.at > _SESSION_SECONDS
