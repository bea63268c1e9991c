"""The client for programs that wait for their answers."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator, Mapping, Sequence
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


class Onefold:
    """A running server. To be closed, or used in a ``with`` statement; threads may share it.

    Args:
        url: ``http://host:port``.
        timeout: Seconds that a call may take in all, retries included, unless it is given its own.
        retries: How often what failed in passing is tried again, after a pause drawn at random. Questions are repeated
            when the connection broke or the server is not ready; pushes only when the server took nothing in, or with
            ``idempotent=True``.
        headers: Sent with every request.
        consumer: Under what name the server counts what is read: that of a model, a job, a team.

    Every call raises ``OnefoldError`` with the server's code, ``where`` and ``hint``; ``SERVER_UNREACHABLE`` and
    ``CALL_TIMED_OUT`` where there is no answer.
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
        self._http = httpx.Client(headers=headers_of(headers, consumer), timeout=timeout)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Onefold:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def get_features(
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
        """A service's feature vector for one set of entities, as of now.

        Args:
            service: The service's name.
            entities: Keys by key column, ``{"user_id": "ada"}``, or by entity.
            request: Request data of the service's on-demand features, by column.
            fit: The fit to transform with; default the newest.
            metadata: Adds status, time and exactness of each feature.
            token: Adds the token that reproduces this vector in a training set.

        Raises:
            OnefoldError: ``SERVICE_UNKNOWN``, ``KEY_MISSING``, ``TYPE_MISMATCH``, ``SERVICE_NOT_FITTED``, ``NOT_READY``, ...
        """
        return vector_of(self._send(vector_call(service, entities, request, fit, metadata, token), timeout))

    def get_entity_features(
        self,
        entity: str,
        key: Any,
        names: Sequence[str] | None = None,
        *,
        metadata: bool = False,
        timeout: float | None = None,
    ) -> FeatureVector:
        """Features of one entity by name, of whatever views.

        Args:
            entity: The entity type's name.
            key: Its key; for several key columns a list in key order, or a dictionary by column.
            names: ``feature``, ``view:feature`` or ``view@version:feature``; None for all.

        Raises:
            OnefoldError: ``ENTITY_UNKNOWN``, ``FEATURE_UNKNOWN``, ``FEATURE_AMBIGUOUS``, ...
        """
        return vector_of(self._send(features_call(entity, key, names, metadata), timeout))

    def get_features_batch(
        self,
        service: str,
        entities: pd.DataFrame | Sequence[Mapping[str, Any]],
        *,
        request: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
        fit: int | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame:
        """A service's vectors for many sets of entities, each as of the moment at which it is read.

        Args:
            entities: A frame with the key columns, or rows as ``get_features`` takes them. Other columns are kept.
            request: Request data: one for all, or one a row. Where it is not given, columns of the frame are taken that
                have the names of the service's request data.
            timeout: Seconds for each thousand rows.

        Returns:
            A frame of as many rows as ``entities``, in their order and with their index: its columns, and behind them one
            a feature, in the vector's order. int64 is ``Int64``, bool ``boolean``, float64 ``float64`` with NaN for null,
            timestamp ``datetime64[us, UTC]``, string, bytes and lists ``object`` with None.

        Raises:
            OnefoldError: As ``get_features``; ``where`` has the row within its thousand.
            ValueError: Where a column of ``entities`` has the name of a feature.
        """
        plan = BatchPlan(self.schema(service), entities)
        calls = vectors_calls(service, plan.entities, plan.request if request is None else request, fit)
        return plan.frame([result for call in calls for result in self._send(call, timeout)["results"]])

    def schema(self, service: str) -> Mapping[str, Any]:
        """The types of a service's keys, request data and features: ``{"entities", "request", "features", "fit"}``.

        Raises:
            OnefoldError: ``SERVICE_UNKNOWN``, ``SERVICE_NOT_FITTED``, ``NOT_READY``.
        """
        answer: Mapping[str, Any] = self._send(Call("GET", f"/services/{segment(service)}/schema"))
        return answer

    def push(
        self,
        source: str,
        rows: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        idempotent: bool = False,
        timeout: float | None = None,
    ) -> PushResult:
        """Pushes events. Once it returns they are on disk and folded: the next vector has them.

        Args:
            source: The stream's name.
            rows: One row, rows, or a frame with the stream's columns. Times without a zone are UTC. Missing values of a
                frame are null; NaN in a row is NaN.
            idempotent: Repeats also when it is not known whether rows arrived: right where they have ids.
            timeout: Seconds for each ten thousand rows.

        Returns:
            One outcome a row, in order. Rows that the stream refuses are among them and no error:
            ``result.raise_for_rejected()`` makes them one.

        Raises:
            OnefoldError: ``SOURCE_UNKNOWN``, ``SOURCE_IS_BATCH``, ``BACKPRESSURE``, ``STORAGE_FAILED``. Of many rows,
                those of earlier calls are in: send all again where rows have ids.
        """
        each = [rows] if isinstance(rows, Mapping) else rows if isinstance(rows, Sequence) else rows_of_frame(rows)
        return push_result([self._send(call, timeout) for call in push_calls(source, each, idempotent)])

    def get_training_data(
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
        """Joins label rows, point in time, with a service's features: builds a training set and waits for it.

        A row labelled at ``t`` sees the events that were known at ``t``, and no others.

        Args:
            labels: One row a label, with the key columns and a time; other columns are kept as they are. Times without
                a zone are UTC.
            boundary: ``"exclusive"`` where the label is made from an event that is itself in the stream, else
                ``"inclusive"``. Needed only where a label's time is the very time of an event of its entity.
            knowledge: ``"as-known"`` (default), ``"final"``, or ``"as-served"`` for rows with the tokens of served vectors.
            time_column: Default ``event_timestamp``, ``timestamp``, ``label_time`` or ``t``.
            key_columns: Columns that hold an entity's key where they have other names, by entity.
            fit: The fit to transform with; default the newest.
            statuses: Adds a column ``<feature>__status`` for each feature.
            allow_after_log: Keeps labels after the end of the log, flagged in the column ``after_log_end``.
            progress: A bar in notebooks and on terminals; False for none; or a function of each ``TrainingJob``.

        Returns:
            A frame of as many rows as ``labels``, in their order and with their index: their columns with their dtypes, and
            behind them one a feature, in the vector's order, with dtypes as in ``get_features_batch``.

        Raises:
            OnefoldError: ``SERVICE_UNKNOWN``, ``SPINE_INVALID`` (a column is missing, or a row's key or time cannot be used),
                ``SPINE_AMBIGUOUS_TIME`` (choose a boundary), ``SPINE_AFTER_LOG``, ``BODY_TOO_LARGE``, ``BACKPRESSURE`` (too many
                sets are under way), ``TRAINING_INTERRUPTED``.
            ValueError: For columns whose names are no distinct texts.

        The set stays on the server for a week, or until room is needed. An interrupt (Ctrl-C) cancels it.
        """
        training_set = self.start_training_set(
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
        training_set.wait(progress=progress)
        return with_features(labels, training_set.to_arrow())

    def start_training_set(
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
    ) -> TrainingSet:
        """Starts building a training set and does not wait for it. Options as of ``get_training_data``.

        Args:
            labels: A frame or an Arrow table; the path of a local file (Parquet, CSV, NDJSON); ``ServerPath("...")`` for a
                file on the server; or rows.

        Raises:
            OnefoldError: As ``get_training_data``, as far as it shows at once; ``PATH_NOT_ALLOWED`` for a path on the server.
            ValueError, FileNotFoundError: For labels that can be none.
        """
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
        return TrainingSet(self, TrainingJob.of_wire(self._send(training_call(labels, options), timeout)))

    def training_set(self, id: str) -> TrainingSet:
        """A training set by its id. Raises ``OnefoldError`` (``TRAINING_SET_UNKNOWN``)."""
        return TrainingSet(self, TrainingJob.of_wire(self._send(Call("GET", set_path(id)))))

    def training_sets(self) -> list[TrainingSet]:
        """Those that are under way or kept, the newest first."""
        jobs = self._send(Call("GET", "/training-sets"))["training_sets"]
        return [TrainingSet(self, TrainingJob.of_wire(job)) for job in jobs]

    def _send(self, call: Call, timeout: float | None = None) -> Any:
        attempts = Attempts(call, self._retries, self._timeout if timeout is None else timeout)
        while True:
            error: OnefoldError
            try:
                response = self._http.request(
                    call.method,
                    self._url + call.path,
                    params=dict(call.params),
                    content=call.content if call.body is None else call.body(),
                    headers={} if call.content_type is None else {"content-type": call.content_type},
                    timeout=attempts.seconds_left,
                )
                return answer_of(call, response)
            except httpx.HTTPError as cause:
                error = failure_of(call, self._url, cause)
                error.__cause__ = cause
            except OnefoldError as refusal:
                error = refusal
            time.sleep(attempts.pause_after(error))

    def _stream(self, call: Call, read_seconds: float) -> _Stream:
        timeout = httpx.Timeout(self._timeout, read=read_seconds)
        request = self._http.build_request(call.method, self._url + call.path, params=dict(call.params), timeout=timeout)
        return _Stream(self._http, self._url, call, request)


class _Stream:
    """An answer that is read as it comes. Raises ``OnefoldError``, while it is read, too."""

    def __init__(self, http: httpx.Client, url: str, call: Call, request: httpx.Request) -> None:
        self._http = http
        self._url = url
        self._call = call
        self._request = request

    def __enter__(self) -> httpx.Response:
        try:
            self._response = self._http.send(self._request, stream=True)
            if not self._response.is_success:
                self._response.read()
                answer_of(self._call, self._response)
        except httpx.HTTPError as cause:
            raise failure_of(self._call, self._url, cause) from cause
        return self._response

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._response.close()
        if isinstance(error, httpx.HTTPError):
            raise failure_of(self._call, self._url, error) from error


class TrainingSet:
    """A training set on the server: under way, done, or not to be had any more.

    Attributes:
        job: How it stood when the server was asked last.
    """

    def __init__(self, client: Onefold, job: TrainingJob) -> None:
        self._client = client
        self.job = job

    @property
    def id(self) -> str:
        return self.job.id

    def refresh(self) -> TrainingJob:
        """Asks how it stands. Raises ``OnefoldError`` (``TRAINING_SET_UNKNOWN``)."""
        self.job = TrainingJob.of_wire(self._client._send(Call("GET", set_path(self.id))))
        return self.job

    def events(self, *, patience: float = PATIENCE_SECONDS) -> Iterator[TrainingJob]:
        """How it stands, now and at every change, until it is no longer under way.

        Args:
            patience: Seconds for which a server that is away is asked again; one that was started again says what became
                of it.
        """
        call = Call("GET", set_path(self.id, "/events"))
        failures = 0
        heard = time.monotonic()
        while True:
            try:
                with self._client._stream(call, EVENTS_READ_SECONDS) as response:
                    reader = EventReader()
                    for line in response.iter_lines():
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
            time.sleep(min(2.0, 0.1 * 2**failures))

    def wait(self, *, progress: ProgressOption = True, patience: float = PATIENCE_SECONDS) -> TrainingJob:
        """Waits until it is done. Where the wait is interrupted (Ctrl-C), it is cancelled.

        Args:
            progress: As of ``get_training_data``.
            patience: As of ``events``.

        Raises:
            OnefoldError: What it failed with, ``TRAINING_INTERRUPTED``, or ``CANCELLED``.
        """
        bar = Progress(progress)
        try:
            for job in self.events(patience=patience):
                bar.show(job)
        except (KeyboardInterrupt, GeneratorExit):
            self.cancel()
            raise
        finally:
            bar.close()
        return self.job.raise_for_state()

    def cancel(self) -> TrainingJob:
        """Ends it where it is under way; does nothing where it is not."""
        if self.refresh().is_under_way:
            self.job = TrainingJob.of_wire(self._client._send(Call("DELETE", set_path(self.id), is_safe=False)))
        return self.job

    def delete(self) -> None:
        """Removes it from the server, cancelled first where it is under way. Raises ``OnefoldError`` (``TRAINING_SET_UNKNOWN``)."""
        self.cancel()
        self._client._send(Call("DELETE", set_path(self.id), is_safe=False))

    def download(self, path: str | os.PathLike[str], format: SetFormat = "parquet") -> None:
        """Writes its file: Parquet, an Arrow IPC stream, or the manifest of what it was made from, as JSON.

        Raises:
            OnefoldError: ``TRAINING_SET_NOT_DONE``, ``TRAINING_SET_UNKNOWN``.
            OSError: Where the file cannot be written.
        """
        call = Call("GET", set_path(self.id, "/download"), params={"format": format})
        with self._client._stream(call, DOWNLOAD_READ_SECONDS) as response, open(path, "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)

    def to_arrow(self) -> pa.Table:
        """The set as a table: the columns of the labels, then the features. Raises as ``download``."""
        pandas()
        import pyarrow.parquet as pq

        call = Call("GET", set_path(self.id, "/download"), params={"format": "parquet"})
        with self._client._stream(call, DOWNLOAD_READ_SECONDS) as response:
            return pq.read_table(io.BytesIO(response.read()))

    def to_pandas(self) -> pd.DataFrame:
        """The set as a frame, with dtypes as in ``get_features_batch``. Raises as ``download``."""
        return frame_of_table(self.to_arrow())
