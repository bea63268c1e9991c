# Made of async_client.py by generate_client.py: change that one, and run it.
"""The client for programs that wait for their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._http import Http, in_thread
from ._calls import (
    Call,
    features_call,
    headers_of,
    importances_call,
    push_calls,
    push_result,
    segment,
    vector_call,
    vector_of,
    vectors_calls,
)
from ._frames import BatchPlan, frame_of_set, rows_of_frame
from ._progress import ProgressOption
from ._retry import Deadline
from ._training import UPLOAD_SECONDS, set_path, training_options
from .training_set import TrainingSet, start_training_set
from .leakage import LeakageReport
from .types import Boundary, ByService, FeatureVector, Knowledge, PushResult, Split, Ticks, TrainingJob

if TYPE_CHECKING:
    import pandas as pd


class Onefold:
    """A running server. To be closed, or used in a ``with`` statement; threads may share it.

    Args:
        url: ``http://host:port``.
        timeout: Seconds that a call may take in all, retries included, unless it is given its own; None for as long as it
            takes.
        retries: How often what failed in passing is tried again, after a pause drawn at random. Questions are repeated
            when the connection broke or the server is not ready; pushes only when the server took nothing in, or with
            ``idempotent=True``.
        headers: Sent with every request.
        consumer: Under what name the server counts what is read: that of a model, a job, a team.

    Every call takes a ``timeout`` of its own in seconds: None for the client's, but for training sets, whose docstrings say
    otherwise; ``math.inf`` for as long as it takes; ``ValueError`` for one that is not above 0. Every call raises
    ``OnefoldError`` with the server's code, ``where`` and ``hint``; ``SERVER_UNREACHABLE`` and ``CALL_TIMED_OUT`` where there is
    no answer.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        timeout: float | None = 10.0,
        retries: int = 2,
        headers: Mapping[str, str] | None = None,
        consumer: str | None = None,
    ) -> None:
        self._http = Http(url, timeout, retries, headers_of(headers, consumer))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Onefold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            service: The service's name, or an experiment's: then ``metadata["variant"]`` says which version was served.
            entities: Keys by key column, ``{"user_id": "ada"}``, or by entity.
            request: Request data of the service's on-demand features, by column.
            fit: The fit to transform with; default the newest.
            metadata: Adds status, time and exactness of each feature.
            token: Adds the token that reproduces this vector in a training set.

        Raises:
            OnefoldError: ``SERVICE_UNKNOWN``, ``KEY_MISSING``, ``TYPE_MISMATCH``, ``SERVICE_NOT_FITTED``, ``NOT_READY``, ...
        """
        return vector_of(self._http.send(vector_call(service, entities, request, fit, metadata, token), timeout))

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
        return vector_of(self._http.send(features_call(entity, key, names, metadata), timeout))

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
            timeout: Seconds for each thousand rows, and for the service's types.

        Returns:
            A frame of as many rows as ``entities``, in their order and with their index: its columns, and behind them one
            a feature, in the vector's order. int64 is ``Int64``, bool ``boolean``, float64 ``float64`` with NaN for null,
            timestamp ``datetime64[us, UTC]``, string, bytes and lists ``object`` with None. By an experiment's name one a
            feature of any of its versions, and ``variant``, the version that was served.

        Raises:
            OnefoldError: As ``get_features``; ``where`` has the row within its thousand.
            ValueError: Where a column of ``entities`` has the name of a feature.
        """
        plan = in_thread(BatchPlan, self.schema(service, timeout=timeout), entities)
        results: list[Mapping[str, Any]] = []
        for call in vectors_calls(service, plan.entities, plan.request if request is None else request, fit):
            results.extend((self._http.send(call, timeout))["results"])
        return in_thread(plan.frame, results)

    def schema(self, service: str, *, timeout: float | None = None) -> Mapping[str, Any]:
        """The types of a service's keys, request data and features: ``{"entities", "request", "features", "fit"}``.

        Raises:
            OnefoldError: ``SERVICE_UNKNOWN``, ``SERVICE_NOT_FITTED``, ``NOT_READY``.
        """
        answer: Mapping[str, Any] = self._http.send(Call("GET", f"/services/{segment(service)}/schema"), timeout)
        return answer

    def report_importances(
        self,
        service: str,
        importances: Mapping[str, float] | pd.Series[float],
        *,
        version: int | None = None,
        model: str = "default",
        method: str = "unknown",
        timeout: float | None = None,
    ) -> Mapping[str, Any]:
        """Reports how important its features are to a model, for ``onefold features --by importance``.

        Args:
            service: The service that the model reads.
            importances: By the feature's name in the vector, such as
                ``dict(zip(model.feature_names_in_, model.feature_importances_))``, or a series with names as its index.
            version: Of the service as the model reads it: its fit, or a number of your own.
            model: Its name. A later report of the same model and version takes the place of this one.
            method: How it was measured: gain, permutation, shap, ...

        Returns:
            The report as it is kept.

        Raises:
            OnefoldError: ``SERVICE_UNKNOWN``; ``REQUEST_INVALID`` for a name that the vector has not.
        """
        call = importances_call(service, importances.items(), version, model, method)
        answer: Mapping[str, Any] = self._http.send(call, timeout)
        return answer

    def importances(self, service: str, *, timeout: float | None = None) -> list[Mapping[str, Any]]:
        """What models have reported of a service's features, the newest first.

        Raises:
            OnefoldError: ``SERVICE_UNKNOWN``.
        """
        answer = self._http.send(Call("GET", f"/services/{segment(service)}/importances"), timeout)
        return list(answer["reports"])

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
        return push_result([self._http.send(call, timeout) for call in push_calls(source, each, idempotent)])

    def get_training_data(
        self,
        labels: pd.DataFrame | Ticks,
        service: str | Sequence[str],
        *,
        boundary: Boundary | None = None,
        knowledge: Knowledge | None = None,
        split: Split | None = None,
        time_column: str | None = None,
        token_column: ByService[str] | None = None,
        key_columns: Mapping[str, str | Sequence[str]] | None = None,
        fit: ByService[int] | None = None,
        statuses: bool = False,
        allow_after_log: bool = False,
        progress: ProgressOption = True,
        timeout: float | None = None,
    ) -> pd.DataFrame:
        """Joins label rows, point in time, with features of a service, or of several: builds a training set and waits for it.

        A row labelled at ``t`` sees the events that were known at ``t``, and no others.

        Args:
            labels: One row a label, with the key columns and a time; other columns are kept as they are. Times without
                a zone are UTC. Or ``Ticks("1d")``: every entity, or those that it names, at every tick.
            service: Of several, a feature whose name more than one of them has is the column ``<service>__<feature>``.
            boundary: ``"exclusive"`` where the label is made from an event that is itself in the stream, else
                ``"inclusive"``. Needed only where a label's time is the very time of an event of its entity.
            knowledge: ``"as-known"`` (default), ``"final"``, or ``"as-served"`` for rows with the tokens of served vectors.
            split: Adds a column ``split`` by time: shares, ``[0.7, 0.15, 0.15]``, or one or two times that begin a part.
            time_column: Default ``event_timestamp``, ``timestamp``, ``label_time`` or ``t``.
            token_column: With the tokens, default ``token`` or ``vector_token``; of several services by service, default
                ``<service>_token``.
            key_columns: Columns that hold an entity's key where they have other names, by entity.
            fit: The fit to transform with, by service where there are several; default the newest.
            statuses: Adds a column ``<feature>__status`` for each feature.
            allow_after_log: Keeps labels after the end of the log, flagged in the column ``after_log_end``.
            progress: A bar in notebooks and on terminals; False for none; or a function of each ``TrainingJob``.
            timeout: Seconds until the frame is there, to the second; None for as long as it takes, whatever the client's
                own is. When they are over the set is cancelled, for which the server is given five more.

        Returns:
            A frame of as many rows as ``labels``, in their order and with their index: their columns with their dtypes, and
            behind them one a feature, in the vector's order, with dtypes as in ``get_features_batch``. Of ticks, as many rows
            as come of them, with the column ``event_timestamp``.

        Raises:
            OnefoldError: ``SERVICE_UNKNOWN``, ``SPINE_INVALID`` (a column is missing or there twice, or a row's key or time cannot be used),
                ``SPINE_AMBIGUOUS_TIME`` (choose a boundary), ``SPINE_AFTER_LOG``, ``BODY_TOO_LARGE``, ``BACKPRESSURE`` (too many
                sets are under way), ``TRAINING_INTERRUPTED``, ``CALL_TIMED_OUT``.
            ValueError: For columns whose names are no texts.

        The set stays on the server for a week, or until room is needed. An interrupt (Ctrl-C) cancels it.
        """
        deadline = Deadline(timeout)
        training_set = self.start_training_set(
            labels,
            service,
            boundary=boundary,
            knowledge=knowledge,
            split=split,
            time_column=time_column,
            token_column=token_column,
            key_columns=key_columns,
            fit=fit,
            statuses=statuses,
            allow_after_log=allow_after_log,
            timeout=min(UPLOAD_SECONDS, deadline.seconds_left),
        )
        training_set.wait(progress=progress, timeout=deadline.seconds_left)
        table = training_set.to_arrow(timeout=deadline.seconds_left)
        return in_thread(frame_of_set, labels, table)

    def start_training_set(
        self,
        labels: Any,
        service: str | Sequence[str],
        *,
        boundary: Boundary | None = None,
        knowledge: Knowledge | None = None,
        split: Split | None = None,
        time_column: str | None = None,
        token_column: ByService[str] | None = None,
        key_columns: Mapping[str, str | Sequence[str]] | None = None,
        fit: ByService[int] | None = None,
        statuses: bool = False,
        allow_after_log: bool = False,
        explain_leakage: bool = False,
        timeout: float | None = None,
    ) -> TrainingSet:
        """Starts building a training set and does not wait for it. Options as of ``get_training_data``.

        Args:
            explain_leakage: Also compares it with what is known in the end: ``leakage()`` of the set has the report.
            labels: A frame or an Arrow table; the path of a local file (Parquet, CSV, NDJSON); ``ServerPath("...")`` for a
                file on the server; rows; or ``Ticks``.
            timeout: Seconds until the labels are there; None for 120, whatever the client's own is. When they are over, or the
                connection breaks, nothing is started, or it is cancelled, for which the server is given two and a half more.

        Raises:
            OnefoldError: As ``get_training_data``, as far as it shows at once; ``PATH_NOT_ALLOWED`` for a path on the server.
            ValueError, FileNotFoundError: For labels that can be none.
        """
        options = training_options(
            service,
            knowledge,
            boundary,
            split,
            fit,
            time_column,
            token_column,
            key_columns,
            statuses,
            allow_after_log,
            explain_leakage,
        )
        return start_training_set(self._http, labels, options, UPLOAD_SECONDS if timeout is None else timeout)

    def explain_leakage(
        self,
        labels: Any,
        service: str | Sequence[str],
        *,
        boundary: Boundary | None = None,
        time_column: str | None = None,
        key_columns: Mapping[str, str | Sequence[str]] | None = None,
        fit: ByService[int] | None = None,
        allow_after_log: bool = False,
        progress: ProgressOption = True,
        timeout: float | None = None,
    ) -> LeakageReport:
        """What leaking would have cost: in how many label rows, and by how much, values would be others with final knowledge.

        The labels are joined twice, so it takes twice the time of ``get_training_data``. Options as there, labels as of
        ``start_training_set``. The set as known stays on the server, with the report.

        Raises:
            OnefoldError, ValueError: As ``get_training_data``.
        """
        deadline = Deadline(timeout)
        training_set = self.start_training_set(
            labels,
            service,
            boundary=boundary,
            time_column=time_column,
            key_columns=key_columns,
            fit=fit,
            allow_after_log=allow_after_log,
            explain_leakage=True,
            timeout=min(UPLOAD_SECONDS, deadline.seconds_left),
        )
        training_set.wait(progress=progress, timeout=deadline.seconds_left)
        return training_set.leakage(timeout=None if timeout is None else deadline.seconds_left)

    def training_set(self, id: str, *, timeout: float | None = None) -> TrainingSet:
        """A training set by its id. Raises ``OnefoldError`` (``TRAINING_SET_UNKNOWN``)."""
        return TrainingSet(self._http, TrainingJob.of_wire(self._http.send(Call("GET", set_path(id)), timeout)))

    def training_sets(self, *, timeout: float | None = None) -> list[TrainingSet]:
        """Those that are under way or kept, the newest first."""
        jobs = (self._http.send(Call("GET", "/training-sets"), timeout))["training_sets"]
        return [TrainingSet(self._http, TrainingJob.of_wire(job)) for job in jobs]
