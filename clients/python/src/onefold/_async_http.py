"""Calls of a server for ``asyncio``: what differs from ``_http.py``, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx

from ._calls import Call, answer_of, failure_of, timed_out
from ._retry import Attempts, Deadline, seconds_of, socket_seconds
from .errors import OnefoldError

T = TypeVar("T")

#: What ends a wait from without.
INTERRUPTS = (KeyboardInterrupt, asyncio.CancelledError)
sleep = asyncio.sleep
#: What takes long runs there, so that the event loop is not held up.
in_thread = asyncio.to_thread


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Goes on with it though the task that asks is cancelled."""
    return await asyncio.shield(asyncio.ensure_future(work))


class AsyncHttp:
    def __init__(self, url: str, timeout: float | None, retries: int, headers: Mapping[str, str] | None) -> None:
        self.url = url.rstrip("/")
        self._timeout = seconds_of(timeout)
        self._retries = retries
        self._client = httpx.AsyncClient(headers=dict(headers or {}), timeout=socket_seconds(self._timeout))

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, call: Call, timeout: float | None = None) -> Any:
        """The answer's JSON. Raises ``OnefoldError``."""
        attempts = Attempts(call, self._retries, self._timeout if timeout is None else timeout)
        while True:
            error: OnefoldError
            try:
                return await asyncio.wait_for(self._answer(call, attempts), socket_seconds(attempts.seconds_left))
            except asyncio.TimeoutError:
                error = timed_out(call, self.url)
            except httpx.HTTPError as cause:
                error = failure_of(call, self.url, cause)
                error.__cause__ = cause
            except OnefoldError as refusal:
                error = refusal
            await sleep(attempts.pause_after(error))

    async def _answer(self, call: Call, deadline: Deadline) -> Any:
        response = await self._client.request(
            call.method,
            self.url + call.path,
            params=dict(call.params),
            content=call.content if call.body is None else _chunks(call.body),
            headers={} if call.content_type is None else {"content-type": call.content_type},
            timeout=socket_seconds(deadline.seconds_left),
        )
        return answer_of(call, response.status_code, response.content)

    def stream(self, call: Call, read_seconds: float) -> AsyncStream:
        timeout = httpx.Timeout(min(self._timeout, read_seconds), read=read_seconds)
        request = self._client.build_request(call.method, self.url + call.path, params=dict(call.params), timeout=timeout)
        return AsyncStream(self._client, self.url, call, request)


async def read_within(response: httpx.Response, deadline: Deadline) -> bytes:
    """All of an answer."""
    try:
        return await asyncio.wait_for(response.aread(), socket_seconds(deadline.seconds_left))
    except asyncio.TimeoutError as late:
        raise httpx.ReadTimeout("the answer was not whole in time", request=response.request) from late


async def _chunks(body: Callable[[], Iterable[bytes]]) -> AsyncIterator[bytes]:
    chunks = iter(body())
    while (chunk := await in_thread(next, chunks, None)) is not None:
        yield chunk


class AsyncStream:
    """An answer that is read as it comes. Raises ``OnefoldError``, while it is read, too."""

    def __init__(self, client: httpx.AsyncClient, url: str, call: Call, request: httpx.Request) -> None:
        self._client = client
        self._url = url
        self._call = call
        self._request = request

    async def __aenter__(self) -> httpx.Response:
        try:
            self._response = await self._client.send(self._request, stream=True)
            if not self._response.is_success:
                answer_of(self._call, self._response.status_code, await self._response.aread())
        except httpx.HTTPError as cause:
            raise failure_of(self._call, self._url, cause) from cause
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._response.aclose()
        if isinstance(error, httpx.HTTPError):
            raise failure_of(self._call, self._url, error) from error
