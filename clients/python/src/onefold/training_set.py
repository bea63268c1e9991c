# Made of async_training_set.py by generate_client.py: change that one, and run it.
"""A training set on the server."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ._http import INTERRUPTS, Http, in_thread, read_within, sleep, to_the_end
from ._calls import UNHEARD, Call
from ._events import EventReader
from ._frames import frame_of_table, pandas
from ._progress import Progress, ProgressOption
from ._retry import Deadline
from ._training import (
    CANCEL_SECONDS,
    DOWNLOAD_READ_SECONDS,
    EVENTS_READ_SECONDS,
    PATIENCE_SECONDS,
    set_path,
    training_call,
)
from .errors import OnefoldError
from .leakage import LeakageReport
from .types import SetFormat, TrainingJob

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def start_training_set(http: Http, labels: Any, options: Mapping[str, Any], timeout: float) -> TrainingSet:
    """Of which the server says that it is started; what it does not say that of is cancelled."""
    # The client's choice: so it can be cancelled though nothing was heard of it.
    id = str(uuid4())
    call = in_thread(training_call, labels, {**options, "id": id})
    try:
        answer = http.send(call, timeout)
    except INTERRUPTS:
        to_the_end(_cancel_unheard(http, id))
        raise
    except OnefoldError as error:
        if error.code in UNHEARD:
            to_the_end(_cancel_unheard(http, id))
        raise
    return TrainingSet(http, TrainingJob.of_wire(answer))


def _cancel_unheard(http: Http, id: str) -> bool:
    """Whether the server says that it has."""
    try:
        http.send(Call("DELETE", set_path(id)), CANCEL_SECONDS)
    except OnefoldError:
        return False
    return True


class TrainingSet:
    """A training set on the server: under way, done, or not to be had any more.

    Attributes:
        job: How it stood when the server was asked last.
    """

    def __init__(self, http: Http, job: TrainingJob) -> None:
        self._http = http
        self.job = job

    @property
    def id(self) -> str:
        return self.job.id

    def refresh(self, *, timeout: float | None = None) -> TrainingJob:
        """Asks how it stands; ``timeout`` in seconds. Raises ``OnefoldError`` (``TRAINING_SET_UNKNOWN``)."""
        self.job = TrainingJob.of_wire(self._http.send(Call("GET", set_path(self.id)), timeout))
        return self.job

    def events(
        self, *, patience: float = PATIENCE_SECONDS, timeout: float | None = None
    ) -> Iterator[TrainingJob]:
        """How it stands, now and at every change, until it is no longer under way.

        Args:
            patience: Seconds for which a server that is away is asked again; one that was started again says what became
                of it.
            timeout: Seconds for all of it, to the second; None for as long as it takes. The set goes on behind it.

        Raises:
            OnefoldError: ``CALL_TIMED_OUT``, ``TRAINING_SET_UNKNOWN``, ``SERVER_UNREACHABLE``.
        """
        deadline = Deadline(timeout)
        call = Call("GET", set_path(self.id, "/events"))
        failures = 0
        heard = time.monotonic()
        while True:
            read_seconds = min(EVENTS_READ_SECONDS, deadline.seconds_left)
            is_late = False
            try:
                with self._http.stream(call, read_seconds) as response:
                    reader = EventReader()
                    for line in response.iter_lines():
                        failures, heard = 0, time.monotonic()
                        event = reader.line(line)
                        if event is not None:
                            self.job = TrainingJob.of_wire(event)
                            yield self.job
                            if not self.job.is_under_way:
                                return
                        # A stream is given its time when it is opened: with less left, another one is.
                        is_late = deadline.seconds_left < read_seconds - 1
                        if is_late:
                            break
                error = OnefoldError("SERVER_UNREACHABLE", "the server has ended the stream of events")
            except OnefoldError as cause:
                error = cause
            if deadline.is_over:
                raise OnefoldError(
                    "CALL_TIMED_OUT",
                    f"the training set {self.id} was still {self.job.state} when its time was over",
                    hint="give it more time: timeout=...",
                ) from error
            if is_late:
                continue
            failures += 1
            is_away = time.monotonic() - heard > patience
            if is_away or not (call.may_retry(error) or error.code == "CALL_TIMED_OUT"):
                raise error
            sleep(min(2.0, 0.1 * 2**failures, deadline.seconds_left))

    def wait(
        self, *, progress: ProgressOption = True, patience: float = PATIENCE_SECONDS, timeout: float | None = None
    ) -> TrainingJob:
        """Waits until it is done. Where the wait is interrupted (Ctrl-C), it is cancelled.

        Args:
            progress: As of ``get_training_data``.
            patience: As of ``events``.
            timeout: Seconds for all of it, to the second; None for as long as it takes. When they are over it is cancelled,
                too, for which the server is given five more.

        Raises:
            OnefoldError: What it failed with, ``TRAINING_INTERRUPTED``, ``CANCELLED``, or ``CALL_TIMED_OUT``.
        """
        bar = Progress(progress)
        deadline = Deadline(timeout)
        try:
            for job in self.events(patience=patience, timeout=timeout):
                bar.show(job)
        except INTERRUPTS:
            to_the_end(self.cancel())
            raise
        except OnefoldError:
            if deadline.is_over:
                with suppress(OnefoldError):
                    self.cancel(timeout=CANCEL_SECONDS)
            raise
        finally:
            bar.close()
        return self.job.raise_for_state()

    def cancel(self, *, timeout: float | None = None) -> TrainingJob:
        """Ends it where it is under way; does nothing where it is not. ``timeout`` in seconds, for each of two calls."""
        if (self.refresh(timeout=timeout)).is_under_way:
            call = Call("DELETE", set_path(self.id), is_safe=False)
            self.job = TrainingJob.of_wire(self._http.send(call, timeout))
        return self.job

    def delete(self, *, timeout: float | None = None) -> None:
        """Removes it from the server, cancelled first where it is under way; ``timeout`` in seconds, for each of three calls.
        Raises ``OnefoldError`` (``TRAINING_SET_UNKNOWN``)."""
        self.cancel(timeout=timeout)
        self._http.send(Call("DELETE", set_path(self.id), is_safe=False), timeout)

    def download(self, path: str | os.PathLike[str], format: SetFormat = "parquet") -> None:
        """Writes its file: Parquet, an Arrow IPC stream, or the manifest of what it was made from, as JSON.

        Raises:
            OnefoldError: ``TRAINING_SET_NOT_DONE``, ``TRAINING_SET_UNKNOWN``.
            OSError: Where the file cannot be written.
        """
        call = Call("GET", set_path(self.id, "/download"), params={"format": format})
        with self._http.stream(call, DOWNLOAD_READ_SECONDS) as response:
            with open(path, "wb") as file:
                for chunk in response.iter_bytes():
                    in_thread(file.write, chunk)

    def leakage(self, *, timeout: float | None = None) -> LeakageReport:
        """What leaking would have cost this set; of one that was started with ``explain_leakage=True``. ``timeout`` in seconds.

        Raises:
            OnefoldError: ``TRAINING_SET_NOT_DONE``, ``TRAINING_SET_UNKNOWN``, ``REQUEST_INVALID`` (it was not asked for).
        """
        call = Call("GET", set_path(self.id, "/download"), params={"format": "leakage"})
        return LeakageReport.of_wire(self._http.send(call, timeout))

    def to_arrow(self, *, timeout: float | None = None) -> pa.Table:
        """The set as a table: the columns of the labels, then the features. Raises as ``download``.

        Args:
            timeout: Seconds until all of it is there; None for as long as it comes.
        """
        pandas()
        import pyarrow.parquet as pq

        call = Call("GET", set_path(self.id, "/download"), params={"format": "parquet"})
        deadline = Deadline(timeout)
        with self._http.stream(call, min(DOWNLOAD_READ_SECONDS, deadline.seconds_left)) as response:
            data = read_within(response, deadline)
        return in_thread(pq.read_table, io.BytesIO(data))

    def to_pandas(self, *, timeout: float | None = None) -> pd.DataFrame:
        """The set as a frame, with dtypes as in ``get_features_batch``. Raises as ``download``; ``timeout`` as of ``to_arrow``."""
        return in_thread(frame_of_table, self.to_arrow(timeout=timeout))
