"""The same client for programs that do other things while they wait."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx

from ._calls import (
    Call,
    answer_of,
    failure_of,
    features_call,
    headers_of,
    push_calls,
    push_result,
    segment,
    vector_call,
    vector_of,
    vectors_calls,
)
from ._events import EventReader
from ._frames import BatchPlan, frame_of_table, pandas, rows_of_frame, with_features
from ._progress import Progress, ProgressOption
from ._retry import Attempts
from ._training import (
    DOWNLOAD_READ_SECONDS,
    EVENTS_READ_SECONDS,
    PATIENCE_SECONDS,
    UPLOAD_SECONDS,
    set_path,
    training_call,
    training_options,
)
from .errors import OnefoldError
from .types import Boundary, FeatureVector, Knowledge, PushResult, SetFormat, TrainingJob

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class AsyncOnefold:
    """A running server, for ``asyncio``. To be closed, or used in an ``async with`` statement.

    Arguments, results and errors are those of :class:`onefold.Onefold`. Frames are made in threads, so that the event loop
    is not held up. A call that is cancelled is given up; a training set that is waited for is then cancelled, too.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        timeout: float = 10.0,
        retries: int = 2,
        headers: Mapping[str, str] | None = None,
        consumer: str | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._retries = retries
        self._http = httpx.AsyncClient(headers=headers_of(headers, consumer), timeout=timeout)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> AsyncOnefold:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get_features(
        self,
        service: str,
        entities: Mapping[str, Any],
        *,
        request: Mapping[str, Any] | None = None,
        fit: int | None = None,
        metadata: bool = False,
        token: bool = False,
        timeout: float | None = None,
    ) -> FeatureVector:
        """As ``Onefold.get_features``."""
        return vector_of(await self._send(vector_call(service, entities, request, fit, metadata, token), timeout))

    async def get_entity_features(
        self,
        entity: str,
        key: Any,
        names: Sequence[str] | None = None,
        *,
        metadata: bool = False,
        timeout: float | None = None,
    ) -> FeatureVector:
        """As ``Onefold.get_entity_features``."""
        return vector_of(await self._send(features_call(entity, key, names, metadata), timeout))

    async def get_features_batch(
        self,
        service: str,
        entities: pd.DataFrame | Sequence[Mapping[str, Any]],
        *,
        request: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
        fit: int | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame:
        """As ``Onefold.get_features_batch``."""
        plan = await asyncio.to_thread(BatchPlan, await self.schema(service), entities)
        results: list[Mapping[str, Any]] = []
        for call in vectors_calls(service, plan.entities, plan.request if request is None else request, fit):
            results.extend((await self._send(call, timeout))["results"])
        return await asyncio.to_thread(plan.frame, results)

    async def schema(self, service: str) -> Mapping[str, Any]:
        """As ``Onefold.schema``."""
        answer: Mapping[str, Any] = await self._send(Call("GET", f"/services/{segment(service)}/schema"))
        return answer

    async def push(
        self,
        source: str,
        rows: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        idempotent: bool = False,
        timeout: float | None = None,
    ) -> PushResult:
        """As ``Onefold.push``."""
        each = [rows] if isinstance(rows, Mapping) else rows if isinstance(rows, Sequence) else rows_of_frame(rows)
        return push_result([await self._send(call, timeout) for call in push_calls(source, each, idempotent)])

    async def get_training_data(
        self,
        labels: pd.DataFrame,
        service: str,
        *,
        boundary: Boundary | None = None,
        knowledge: Knowledge | None = None,
        time_column: str | None = None,
        token_column: str | None = None,
        key_columns: Mapping[str, str | Sequence[str]] | None = None,
        fit: int | None = None,
        statuses: bool = False,
        allow_after_log: bool = False,
        progress: ProgressOption = True,
    ) -> pd.DataFrame:
        """As ``Onefold.get_training_data``."""
        training_set = await self.start_training_set(
            labels,
            service,
            boundary=boundary,
            knowledge=knowledge,
            time_column=time_column,
            token_column=token_column,
            key_columns=key_columns,
            fit=fit,
            statuses=statuses,
            allow_after_log=allow_after_log,
        )
        await training_set.wait(progress=progress)
        return await asyncio.to_thread(with_features, labels, await training_set.to_arrow())

    async def start_training_set(
        self,
        labels: Any,
        service: str,
        *,
        boundary: Boundary | None = None,
        knowledge: Knowledge | None = None,
        time_column: str | None = None,
        token_column: str | None = None,
        key_columns: Mapping[str, str | Sequence[str]] | None = None,
        fit: int | None = None,
        statuses: bool = False,
        allow_after_log: bool = False,
        timeout: float = UPLOAD_SECONDS,
    ) -> AsyncTrainingSet:
        """As ``Onefold.start_training_set``."""
        options = training_options(
            service,
            knowledge,
            boundary,
            fit,
            time_column,
            token_column,
            key_columns,
            statuses,
            allow_after_log,
        )
        call = await asyncio.to_thread(training_call, labels, options)
        return AsyncTrainingSet(self, TrainingJob.of_wire(await self._send(call, timeout)))

    async def training_set(self, id: str) -> AsyncTrainingSet:
        """As ``Onefold.training_set``."""
        return AsyncTrainingSet(self, TrainingJob.of_wire(await self._send(Call("GET", set_path(id)))))

    async def training_sets(self) -> list[AsyncTrainingSet]:
        """As ``Onefold.training_sets``."""
        jobs = (await self._send(Call("GET", "/training-sets")))["training_sets"]
        return [AsyncTrainingSet(self, TrainingJob.of_wire(job)) for job in jobs]

    async def _send(self, call: Call, timeout: float | None = None) -> Any:
        attempts = Attempts(call, self._retries, self._timeout if timeout is None else timeout)
        while True:
            error: OnefoldError
            try:
                response = await self._http.request(
                    call.method,
                    self._url + call.path,
                    params=dict(call.params),
                    content=call.content if call.body is None else _async_chunks(call.body),
                    headers={} if call.content_type is None else {"content-type": call.content_type},
                    timeout=attempts.seconds_left,
                )
                return answer_of(call, response)
            except httpx.HTTPError as cause:
                error = failure_of(call, self._url, cause)
                error.__cause__ = cause
            except OnefoldError as refusal:
                error = refusal
            await asyncio.sleep(attempts.pause_after(error))

    def _stream(self, call: Call, read_seconds: float) -> _AsyncStream:
        timeout = httpx.Timeout(self._timeout, read=read_seconds)
        request = self._http.build_request(call.method, self._url + call.path, params=dict(call.params), timeout=timeout)
        return _AsyncStream(self._http, self._url, call, request)


async def _async_chunks(body: Callable[[], Iterable[bytes]]) -> AsyncIterator[bytes]:
    chunks = iter(body())
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


class _AsyncStream:
    """An answer that is read as it comes. Raises ``OnefoldError``, while it is read, too."""

    def __init__(self, http: httpx.AsyncClient, url: str, call: Call, request: httpx.Request) -> None:
        self._http = http
        self._url = url
        self._call = call
        self._request = request

    async def __aenter__(self) -> httpx.Response:
        try:
            self._response = await self._http.send(self._request, stream=True)
            if not self._response.is_success:
                await self._response.aread()
                answer_of(self._call, self._response)
        except httpx.HTTPError as cause:
            raise failure_of(self._call, self._url, cause) from cause
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._response.aclose()
        if isinstance(error, httpx.HTTPError):
            raise failure_of(self._call, self._url, error) from error


class AsyncTrainingSet:
    """A training set on the server. Methods, results and errors are those of :class:`onefold.TrainingSet`.

    Attributes:
        job: How it stood when the server was asked last.
    """

    def __init__(self, client: AsyncOnefold, job: TrainingJob) -> None:
        self._client = client
        self.job = job

    @property
    def id(self) -> str:
        return self.job.id

    async def refresh(self) -> TrainingJob:
        """As ``TrainingSet.refresh``."""
        self.job = TrainingJob.of_wire(await self._client._send(Call("GET", set_path(self.id))))
        return self.job

    async def events(self, *, patience: float = PATIENCE_SECONDS) -> AsyncIterator[TrainingJob]:
        """As ``TrainingSet.events``."""
        call = Call("GET", set_path(self.id, "/events"))
        failures = 0
        heard = time.monotonic()
        while True:
            try:
                async with self._client._stream(call, EVENTS_READ_SECONDS) as response:
                    reader = EventReader()
                    async for line in response.aiter_lines():
                        failures, heard = 0, time.monotonic()
                        event = reader.line(line)
                        if event is None:
                            continue
                        self.job = TrainingJob.of_wire(event)
                        yield self.job
                        if not self.job.is_under_way:
                            return
                error = OnefoldError("SERVER_UNREACHABLE", "the server has ended the stream of events")
            except OnefoldError as cause:
                error = cause
            failures += 1
            is_away = time.monotonic() - heard > patience
            if is_away or not (call.may_retry(error) or error.code == "CALL_TIMED_OUT"):
                raise error
            await asyncio.sleep(min(2.0, 0.1 * 2**failures))

    async def wait(self, *, progress: ProgressOption = True, patience: float = PATIENCE_SECONDS) -> TrainingJob:
        """As ``TrainingSet.wait``; where the task that waits is cancelled, so is the training set."""
        bar = Progress(progress)
        try:
            async for job in self.events(patience=patience):
                bar.show(job)
        except (KeyboardInterrupt, asyncio.CancelledError):
            await asyncio.shield(asyncio.ensure_future(self.cancel()))
            raise
        finally:
            bar.close()
        return self.job.raise_for_state()

    async def cancel(self) -> TrainingJob:
        """As ``TrainingSet.cancel``."""
        if (await self.refresh()).is_under_way:
            answer = await self._client._send(Call("DELETE", set_path(self.id), is_safe=False))
            self.job = TrainingJob.of_wire(answer)
        return self.job

    async def delete(self) -> None:
        """As ``TrainingSet.delete``."""
        await self.cancel()
        await self._client._send(Call("DELETE", set_path(self.id), is_safe=False))

    async def download(self, path: str | os.PathLike[str], format: SetFormat = "parquet") -> None:
        """As ``TrainingSet.download``."""
        call = Call("GET", set_path(self.id, "/download"), params={"format": format})
        async with self._client._stream(call, DOWNLOAD_READ_SECONDS) as response:
            with open(path, "wb") as file:
                async for chunk in response.aiter_bytes():
                    await asyncio.to_thread(file.write, chunk)

    async def to_arrow(self) -> pa.Table:
        """As ``TrainingSet.to_arrow``."""
        pandas()
        import pyarrow.parquet as pq

        call = Call("GET", set_path(self.id, "/download"), params={"format": "parquet"})
        async with self._client._stream(call, DOWNLOAD_READ_SECONDS) as response:
            data = await response.aread()
        return await asyncio.to_thread(pq.read_table, io.BytesIO(data))

    async def to_pandas(self) -> pd.DataFrame:
        """As ``TrainingSet.to_pandas``."""
        return await asyncio.to_thread(frame_of_table, await self.to_arrow())
