"""What every request has to pass: the password, where it comes from, and how large it is. Plain ASGI."""

import asyncio
import base64
import secrets

_REFUSED = 1.0  # seconds that a wrong password waits


class Guard:
    """Wraps an ASGI application.

    Args: password: that HTTP Basic asks for, with any user name; None: no password. max_bytes: of a request's body.
    hosts: names that a request's Host may have; None: any. A page of another site that talks to a studio on this
    machine gives itself away by its Origin, and by its Host if its name was pointed here.
    """

    def __init__(self, app, password: str | None, max_bytes: int, hosts: tuple[str, ...] | None = None):
        self.app, self.max_bytes, self.hosts = app, max_bytes, hosts
        self._password = None if password is None else password.encode()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if (refusal := self._refusal(headers, scope.get("method", "WEBSOCKET"))) is not None:
            status, text, more = refusal
            if status == 401 and "authorization" in headers:
                await asyncio.sleep(_REFUSED)
            return await _answer(scope, send, status, text, more)
        taken = 0

        async def counted():
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.max_bytes:  # whatever its Content-Length said
                return {"type": "http.disconnect"}
            return message

        return await self.app(scope, counted, send)

    def _refusal(self, headers: dict[str, str], method: str) -> tuple[int, str, dict[str, str]] | None:
        """(status, sentence, further headers) of what may not pass."""
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            return 400, "The studio is not known by this name.", {}
        origin = headers.get("origin")
        if origin and method not in ("GET", "HEAD") and origin.partition("://")[2] != host:
            return 403, "Pages of other sites may not use the studio.", {}
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.max_bytes:
            return 413, f"A request may have {self.max_bytes // 1_000_000} MB at most.", {}
        if self._password is not None and not self._knows(headers.get("authorization", "")):
            return 401, "The studio asks for a password.", {"www-authenticate": 'Basic realm="studio"'}
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, code = authorization.partition(" ")
        try:
            given = base64.b64decode(code, validate=True).partition(b":")[2]
        except ValueError:
            return False
        return scheme.lower() == "basic" and secrets.compare_digest(given, self._password)


def _name(host: str) -> str:
    """A Host without its port: "[::1]:7860" -> "[::1]"."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


async def _answer(scope, send, status: int, text: str, more: dict[str, str]) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    headers = {"content-type": "text/plain; charset=utf-8", **more}
    coded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": coded})
    await send({"type": "http.response.body", "body": text.encode()})
