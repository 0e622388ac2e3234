"""The provider protocol (``pulumi/provider.proto``): one servicer, whatever the cloud.

An engine opens one connection for each provider instance (default, explicit, other version) and later calls don't say which they mean, so the
configuration is kept by the connection's peer address.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.providers import check, diff, implied, naming, ports, replacement
from localcloud.providers.faults import Cancelled, CloudFault, Conflict, Denied, NotFound, PartlyMade, TimedOut, Unreachable, Unsupported
from localcloud.providers.ports import Cloud, Connection, Handler, Made
from localcloud.providers.record import CreationRecord
from localcloud.providers.schema import Schemas, UnknownResourceType
from localcloud.providers.values import Props, from_struct, has_unknown, to_struct, unknown

log = logging.getLogger("localcloud.providers")

Result = TypeVar("Result")

_DEFAULT_TIMEOUT = 1200.0
"""Seconds for one operation that has no ``custom_timeouts``: the twenty minutes that most resources of the bridged providers allow."""

_PEERS = 4096
"""Configurations kept. gRPC doesn't tell when an engine's connection is closed; the least recently used one is forgotten."""

_FILLED_BY_THE_CLOUD: dict[str, tuple[str, ...]] = {
    "azure-native:subscription:Alias": ("properties",),
    "azure-native:network:NetworkInterface": ("ipConfigurations",),
    "azure-native:compute:VirtualMachine": ("identity",),
    "azure-native:compute:DiskEncryptionSet": ("identity",),
    "gcp:compute/instance:Instance": ("networkInterfaces",),
}
"""Inputs into which the cloud writes figures of its own (a subscription's id, a private address) or which it shows in another form:
unknown as a whole until they are made."""

_STATUS: dict[type[CloudFault], grpc.StatusCode] = {
    NotFound: grpc.StatusCode.NOT_FOUND,
    Conflict: grpc.StatusCode.ALREADY_EXISTS,
    Denied: grpc.StatusCode.PERMISSION_DENIED,
    Unreachable: grpc.StatusCode.FAILED_PRECONDITION,  # not UNAVAILABLE: the engine takes that for a dead provider
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    Cancelled: grpc.StatusCode.CANCELLED,
    TimedOut: grpc.StatusCode.DEADLINE_EXCEEDED,
}


@dataclass(frozen=True)
class _Peer:
    """What an engine configured on one connection."""

    connection: Connection
    cancelled: threading.Event = field(default_factory=threading.Event)


class ResourceProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one package (``cloud``) to any number of engines."""

    def __init__(self, cloud: Cloud, schemas: Schemas, record: CreationRecord) -> None:
        self._cloud = cloud
        self._schemas = schemas
        self._record = record
        self._lock = threading.Lock()
        self._peers: OrderedDict[str, _Peer] = OrderedDict()

    # The plugin itself

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._schemas.source.version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the local {self._cloud.package} provider has no package schema; the installed SDK is its source")

    def GetMapping(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingResponse(provider="", data=b"")

    def GetMappings(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingsResponse(providers=[])

    def Cancel(self, request: Any, context: Any) -> Any:
        with self._lock:
            peer = self._peers.get(context.peer())
        if peer is not None:
            peer.cancelled.set()
        return empty_pb2.Empty()

    # Its configuration

    def CheckConfig(self, request: Any, context: Any) -> Any:
        news = from_struct(request.news)
        found = check.faults(self._schemas, f"pulumi:providers:{self._cloud.package}", _typed_config(news))
        of_engine = ("version", "pluginDownloadURL")
        failures = [provider_pb2.CheckFailure(property=fault.path, reason=fault.reason) for fault in found if not fault.path.startswith(of_engine)]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        changed = diff.changes(_typed_config(from_struct(request.olds)), _typed_config(from_struct(request.news)))
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, diffs=[change.path for change in changed])

    def Configure(self, request: Any, context: Any) -> Any:
        config = from_struct(request.args) if request.HasField("args") else {key.rpartition(":")[2]: value for key, value in request.variables.items()}
        connection = self._cloud.connect(_typed_config(config))
        with self._lock:
            self._peers[context.peer()] = _Peer(connection)
            while len(self._peers) > _PEERS:
                self._peers.popitem(last=False)
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False)

    # Its resources

    def Check(self, request: Any, context: Any) -> Any:
        token, logical = _type(request.urn), request.urn.rsplit("::", 1)[-1]
        olds, news = from_struct(request.olds), from_struct(request.news)
        if olds:
            self._record.forget(request.urn)
        try:
            connection = self._connection(context)
            wanted = connection.prepare(token, news)
            mode = request.autonaming.mode if request.HasField("autonaming") else None
            if mode != provider_pb2.CheckRequest.AutonamingOptions.DISABLE:
                proposed = request.autonaming.proposed_name if mode == provider_pb2.CheckRequest.AutonamingOptions.ENFORCE else ""
                wanted = naming.with_name(token, logical, wanted, olds, request.randomSeed or logical.encode(), proposed)
            found = check.faults(self._schemas, token, wanted)
        except UnknownResourceType as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        failures = [provider_pb2.CheckFailure(property=fault.path, reason=fault.reason) for fault in found]
        return provider_pb2.CheckResponse(inputs=to_struct(wanted), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        self._record.forget(request.urn)
        token = _type(request.urn)
        state, news = from_struct(request.olds), from_struct(request.news)
        olds = from_struct(request.old_inputs) if request.HasField("old_inputs") else {key: value for key, value in state.items() if key in news}
        ignored = tuple(request.ignoreChanges)
        found = [change for change in diff.changes(olds, news) if not any(_below(change.path, path) for path in ignored)]
        changed = implied.meant(token, found, olds, news)
        old_places, new_places = {**olds}, {**news}
        for name, place in self._connection(context).places(token, news).items():
            was = state.get(name, place)
            old_places[name], new_places[name] = was, place
            if place is not None and not diff.same(was, place) and all(change.path != name for change in changed):
                changed.append(diff.Change(name, "update"))
            elif diff.same(was, place):  # writing down the default that was in force changes nothing
                changed = [change for change in changed if change.path != name]
        verdict = replacement.decide(token, changed, old_places, new_places)
        detailed = {change.path: provider_pb2.PropertyDiff(kind=_kind(change, change.path in verdict.replaces), inputDiff=True) for change in changed}
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({change.top for change in changed}),
            replaces=list(verdict.replaces),
            deleteBeforeReplace=verdict.delete_first,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        token, inputs = _type(request.urn), from_struct(request.properties)
        handler = self._handler(token, context)
        _refuse_unsupported(context, token, handler, inputs)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=to_struct(self._previewed(token, inputs, {})))
        if has_unknown(inputs):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{request.urn}: inputs are unknown outside a preview")
        with self._record.alone(request.urn):
            made = self._answer(context, request.urn, "create", lambda: self._create(handler, request, context, inputs))
        return provider_pb2.CreateResponse(id=made.id, properties=to_struct(_state(inputs, made.outputs)))

    def _create(self, handler: Handler, request: Any, context: Any, inputs: Props) -> Made:
        intent = self._record.begin(request.urn, inputs)
        call = replace(self._operation(request, context), token=intent.token, resumed=intent.resumed)
        if intent.made is not None:
            living = handler.read(call, intent.made.id, _state(inputs, intent.made.outputs))
            if living is not None:
                log.info("%s: %s was created before and never acknowledged; given again", request.urn, living.id)
                return living
        try:
            made = handler.create(call, inputs)
        except PartlyMade:
            self._record.forget(request.urn)  # the engine is told the id, and acknowledges it with its next call
            raise
        except (Cancelled, TimedOut, Unreachable):
            raise  # it may exist: the same token is used again
        except CloudFault:
            self._record.forget(request.urn)
            raise
        self._record.made(request.urn, made)
        return made

    def Read(self, request: Any, context: Any) -> Any:
        self._record.forget(request.urn)
        token = _type(request.urn)
        handler = self._handler(token, context)
        inputs, known = from_struct(request.inputs), from_struct(request.properties)
        found = self._answer(context, request.urn, "read", lambda: handler.read(self._operation(request, context), request.id, known))
        if found is None:
            return provider_pb2.ReadResponse(id="")
        schema = self._schemas.resource(token)
        if inputs:
            maps = frozenset(name for name, one in schema.inputs.items() if one.type.kind == "map")
            real = diff.drifted(inputs, found.outputs, maps)
        else:
            real = {name: value for name, value in found.outputs.items() if name in schema.inputs and not diff.same(value, None) and value is not False}
        return provider_pb2.ReadResponse(id=found.id, properties=to_struct(_state(inputs, {**real, **found.outputs})), inputs=to_struct(real))

    def Update(self, request: Any, context: Any) -> Any:
        self._record.forget(request.urn)
        token, state, news = _type(request.urn), from_struct(request.olds), from_struct(request.news)
        olds = from_struct(request.old_inputs) if request.HasField("old_inputs") else state
        handler = self._handler(token, context)
        _refuse_unsupported(context, token, handler, news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=to_struct(self._previewed(token, news, state)))
        outputs = self._answer(context, request.urn, "update", lambda: handler.update(self._operation(request, context), request.id, state, olds, news))
        return provider_pb2.UpdateResponse(properties=to_struct(_state(news, outputs)))

    def Delete(self, request: Any, context: Any) -> Any:
        handler = self._handler(_type(request.urn), context)
        with self._record.alone(request.urn):
            self._answer(context, request.urn, "delete", lambda: handler.delete(self._operation(request, context), request.id, from_struct(request.properties)))
            self._record.forget(request.urn)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        connection = self._connection(context)
        result = self._answer(context, request.tok, "invoke", lambda: connection.invoke(request.tok, from_struct(request.args)))
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(result))
        return response

    def Call(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{request.tok}: the local {self._cloud.package} provider has no methods of resources")

    def Construct(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{request.type}: the local {self._cloud.package} provider has no remote components")

    # What they share

    def _connection(self, context: Any) -> Connection:
        return self._peer(context).connection

    def _peer(self, context: Any) -> _Peer:
        with self._lock:
            peer = self._peers.get(context.peer())
            if peer is not None:
                self._peers.move_to_end(context.peer())
                return peer
        # The engine doesn't configure a provider whose config is still unknown in a preview.
        return _Peer(self._cloud.connect({}))

    def _handler(self, token: str, context: Any) -> Handler:
        handler = self._connection(context).handler(token)
        if handler is None:
            have = ", ".join(sorted(name.rsplit(":", 1)[-1] for name in self._cloud.types))
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{token}: the local cloud doesn't have this resource type; of {self._cloud.package} it has {have}")
            raise AssertionError("abort raises")
        return handler

    def _operation(self, request: Any, context: Any) -> ports.Call:
        seconds = getattr(request, "timeout", 0.0) or _DEFAULT_TIMEOUT
        return ports.Call(request.urn, "", time.monotonic() + seconds, self._peer(context).cancelled)

    def _previewed(self, token: str, inputs: Props, state: Props) -> Props:
        """What a preview knows of the outputs: the inputs; for an update also what was there before; the rest is unknown."""
        schema = self._schemas.resource(token)
        computed = dict.fromkeys(schema.outputs - set(schema.inputs), unknown)
        filled = {name: state.get(name, unknown) for name in _FILLED_BY_THE_CLOUD.get(token, ()) if name in inputs}
        return {**computed, **{n: v for n, v in state.items() if n not in schema.inputs}, **inputs, **filled}

    def _answer(self, context: Any, subject: str, verb: str, operation: Callable[[], Result]) -> Result:
        try:
            return operation()
        except PartlyMade as error:
            log.warning("%s: created, but %s", subject, error)
            _abort_partly_made(context, error)
            raise
        except CloudFault as error:
            log.info("%s: %s failed: %s", subject, verb, error)
            text = f"{error.code}: {error}" if error.code else str(error)
            context.abort(_STATUS.get(type(error), grpc.StatusCode.UNKNOWN), text)
            raise
        except Exception as error:
            log.exception("%s: %s failed", subject, verb)
            context.abort(grpc.StatusCode.INTERNAL, f"{verb} of {subject} failed in the local cloud's provider: {error!r}; see logs/localcloud.log")
            raise


def _refuse_unsupported(context: Any, token: str, handler: Handler, inputs: Mapping[str, Any]) -> None:
    """A valid input that this cloud would drop silently is refused instead."""
    dropped = [] if handler.fields is None else sorted(name for name in inputs if name not in handler.fields and not name.startswith("__"))
    if dropped:
        have = f"of this type it has {', '.join(sorted(handler.fields or ()))}"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{token}: the local cloud doesn't carry {', '.join(dropped)} to the cloud's API; {have}")


def _abort_partly_made(context: Any, error: PartlyMade) -> None:
    """Tells the engine the id of a half-made resource (``ErrorResourceInitFailed`` in the status's details), so that it keeps and later finishes it."""
    init = provider_pb2.ErrorResourceInitFailed(id=error.id, properties=to_struct(error.outputs), reasons=[str(error)])
    packed = any_pb2.Any()
    packed.Pack(init)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _state(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Props:
    return {**inputs, **outputs}


def _type(urn: str) -> str:
    """The resource's type out of ``urn:pulumi:stack::project::parent$type::name``."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _typed_config(config: Mapping[str, Any]) -> Props:
    """A provider's config as values: the engine hands nested ones over as JSON text."""
    typed: Props = {}
    for name, value in config.items():
        if isinstance(value, str) and (value[:1] in ("{", "[") or value in ("true", "false")):
            with contextlib.suppress(ValueError):
                value = json.loads(value)
        typed[name] = value
    return typed


def _below(path: str, ancestor: str) -> bool:
    return ancestor == "*" or path == ancestor or path.startswith((ancestor + ".", ancestor + "["))


def _kind(change: diff.Change, replaces: bool) -> Any:
    return getattr(provider_pb2.PropertyDiff, change.kind.upper() + ("_REPLACE" if replaces else ""))
