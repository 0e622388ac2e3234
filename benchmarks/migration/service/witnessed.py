"""The demo's service, with a witness: the number of every POST that it has taken in goes to ``$WITNESS`` (host:port), so that one taken in twice is seen.

POST /digest answers with the SHA-256 of the body instead of the body.
"""

from __future__ import annotations

import asyncio
import hashlib
import os

from service import Request, Service, answer, main


class Witnessed(Service):
    """A service that says what it has taken in."""

    witness: asyncio.StreamWriter | None = None

    async def handle(self, request: Request, keep_alive: bool) -> bytes:
        """The answer to ``request``, after its witness has been told."""
        if request.method == "POST" and (number := request.headers.get("x-number")):
            await self.tell(number)
        if request.method == "POST" and request.path == "/digest":
            self.served += 1
            return answer("200 OK", hashlib.sha256(request.body).hexdigest().encode(), "text/plain", keep_alive=keep_alive)
        return await super().handle(request, keep_alive)

    async def tell(self, number: str) -> None:
        """One line to the witness."""
        if self.witness is None:
            host, _, port = os.environ["WITNESS"].partition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            self.witness = self.witness or writer
        self.witness.write(f"{number} {self.identity['placement']}\n".encode())
        await self.witness.drain()


if __name__ == "__main__":
    asyncio.run(main(Witnessed(dict(os.environ))))
