"""Calls of a server that are waited for: what differs from ``_async_http.py``, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import httpx

from ._calls import Call, answer_of, failure_of
from ._retry import Attempts, Deadline, seconds_of, socket_seconds
from .errors import OnefoldError

P = ParamSpec("P")
T = TypeVar("T")

#: What ends a wait from without.
INTERRUPTS = (KeyboardInterrupt, GeneratorExit)
sleep = time.sleep


def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return work(*args, **kwargs)


def to_the_end(done: T) -> T:
    return done


class Http:
    def __init__(self, url: str, timeout: float | None, retries: int, headers: Mapping[str, str] | None) -> None:
        self.url = url.rstrip("/")
        self._timeout = seconds_of(timeout)
        self._retries = retries
        self._client = httpx.Client(headers=dict(headers or {}), timeout=socket_seconds(self._timeout))

    def close(self) -> None:
        self._client.close()

    def send(self, call: Call, timeout: float | None = None) -> Any:
        """The answer's JSON. Raises ``OnefoldError``."""
        attempts = Attempts(call, self._retries, self._timeout if timeout is None else timeout)
        while True:
            error: OnefoldError
            try:
                return self._answer(call, attempts)
            except httpx.HTTPError as cause:
                error = failure_of(call, self.url, cause)
                error.__cause__ = cause
            except OnefoldError as refusal:
                error = refusal
            sleep(attempts.pause_after(error))

    def _answer(self, call: Call, deadline: Deadline) -> Any:
        with self._client.stream(
            call.method,
            self.url + call.path,
            params=dict(call.params),
            content=call.content if call.body is None else call.body(),
            headers={} if call.content_type is None else {"content-type": call.content_type},
            timeout=socket_seconds(deadline.seconds_left),
        ) as response:
            return answer_of(call, response.status_code, read_within(response, deadline))

    def stream(self, call: Call, read_seconds: float) -> Stream:
        timeout = httpx.Timeout(min(self._timeout, read_seconds), read=read_seconds)
        request = self._client.build_request(call.method, self.url + call.path, params=dict(call.params), timeout=timeout)
        return Stream(self._client, self.url, call, request)


def read_within(response: httpx.Response, deadline: Deadline) -> bytes:
    """All of an answer. One that comes little by little is given up between two pieces of it."""
    pieces = []
    for piece in response.iter_bytes():
        pieces.append(piece)
        if deadline.is_over:
            raise httpx.ReadTimeout("the answer was not whole in time", request=response.request)
    return b"".join(pieces)


class Stream:
    """An answer that is read as it comes. Raises ``OnefoldError``, while it is read, too."""

    def __init__(self, client: httpx.Client, url: str, call: Call, request: httpx.Request) -> None:
        self._client = client
        self._url = url
        self._call = call
        self._request = request

    def __enter__(self) -> httpx.Response:
        try:
            self._response = self._client.send(self._request, stream=True)
            if not self._response.is_success:
                answer_of(self._call, self._response.status_code, self._response.read())
        except httpx.HTTPError as cause:
            raise failure_of(self._call, self._url, cause) from cause
        return self._response

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._response.close()
        if isinstance(error, httpx.HTTPError):
            raise failure_of(self._call, self._url, error) from error
