"""HTTP/2 towards an upstream, for what HTTP/1.1 can't carry: gRPC, whose end is told in trailers. One exchange at a time on a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h11

from policies.proxy.request import ApiRequest
from policies.proxy.upstream import ANSWER_SECONDS, HOP_BY_HOP, Line

_CHUNK = 65536
Pairs = Sequence[tuple[bytes, bytes]]


class Http2Connection(Line):
    """HTTP/2."""

    protocol = "h2"

    def begin(self) -> None:
        """See :class:`Line`."""
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=False))
        self._http.initiate_connection()

    async def exchange(self, request: ApiRequest, headers: Pairs) -> AsyncGenerator[h11.Response | h11.Data | h11.EndOfMessage, None]:
        """Sends the request and yields the answer's head, its data as they come, and its end with the trailers.

        Raises ``OSError``, ``TimeoutError``, ``h2.exceptions.ProtocolError`` and :class:`policies.proxy.request.Refused`.
        """
        patience, _, writer = await self._open()
        number = self._http.get_next_available_stream_id()
        try:
            target = request.path + (f"?{request.query}" if request.query else "")
            pseudo = [(b":method", request.method), (b":scheme", "https"), (b":authority", self._host), (b":path", target)]
            plain = [(name, value) for name, value in headers if name not in HOP_BY_HOP and name not in (b"host", b"content-length")]
            whole = [*((name, value.encode()) for name, value in pseudo), *plain, (b"te", b"trailers")]
            self._http.send_headers(number, whole, end_stream=not request.body)
            rest = memoryview(request.body)
            while True:
                rest = self._send(number, rest)
                await self._flush(writer)
                data = await patience.read(_CHUNK, ANSWER_SECONDS)
                if not data:
                    raise ConnectionError(f"{self._host} closed the connection before it answered")
                for event in self._http.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        yield _head(event)
                    elif isinstance(event, h2.events.DataReceived):
                        self._http.acknowledge_received_data(event.flow_controlled_length, number)
                        if event.data:
                            yield h11.Data(data=event.data)
                    elif isinstance(event, h2.events.TrailersReceived):
                        yield h11.EndOfMessage(headers=[(bytes(name), bytes(value)) for name, value in event.headers])
                    elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                        raise ConnectionError(f"{self._host} ended the call (HTTP/2 error {event.error_code})")
                    elif isinstance(event, h2.events.StreamEnded):
                        await self._flush(writer)
                        return
        except BaseException:
            self.close()
            raise

    def _send(self, number: int, rest: memoryview) -> memoryview:
        """Sends as much of the body as the upstream takes now."""
        while rest:
            size = min(self._http.local_flow_control_window(number), self._http.max_outbound_frame_size, len(rest))
            if size <= 0:
                break
            self._http.send_data(number, bytes(rest[:size]), end_stream=size == len(rest))
            rest = rest[size:]
        return rest

    async def _flush(self, writer: asyncio.StreamWriter) -> None:
        if data := self._http.data_to_send():
            writer.write(data)
            await writer.drain()


def _head(event: h2.events.ResponseReceived) -> h11.Response:
    pairs = [(bytes(name), bytes(value)) for name, value in event.headers]
    status = next(int(value) for name, value in pairs if name == b":status")
    return h11.Response(status_code=status, headers=[(name, value) for name, value in pairs if not name.startswith(b":")])
