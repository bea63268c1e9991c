# Made of async_training_set.py by generate_client.py: change that one, and run it.
"""A training set on the server."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._http import INTERRUPTS, Http, in_thread, sleep, to_the_end
from ._calls import Call
from ._events import EventReader
from ._frames import frame_of_table, pandas
from ._progress import Progress, ProgressOption
from ._training import DOWNLOAD_READ_SECONDS, EVENTS_READ_SECONDS, PATIENCE_SECONDS, set_path
from .errors import OnefoldError
from .leakage import LeakageReport
from .types import SetFormat, TrainingJob

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


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

    def refresh(self) -> TrainingJob:
        """Asks how it stands. Raises ``OnefoldError`` (``TRAINING_SET_UNKNOWN``)."""
        self.job = TrainingJob.of_wire(self._http.send(Call("GET", set_path(self.id))))
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
                with self._http.stream(call, EVENTS_READ_SECONDS) as response:
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
            sleep(min(2.0, 0.1 * 2**failures))

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
        except INTERRUPTS:
            to_the_end(self.cancel())
            raise
        finally:
            bar.close()
        return self.job.raise_for_state()

    def cancel(self) -> TrainingJob:
        """Ends it where it is under way; does nothing where it is not."""
        if (self.refresh()).is_under_way:
            self.job = TrainingJob.of_wire(self._http.send(Call("DELETE", set_path(self.id), is_safe=False)))
        return self.job

    def delete(self) -> None:
        """Removes it from the server, cancelled first where it is under way. Raises ``OnefoldError`` (``TRAINING_SET_UNKNOWN``)."""
        self.cancel()
        self._http.send(Call("DELETE", set_path(self.id), is_safe=False))

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

    def leakage(self) -> LeakageReport:
        """What leaking would have cost this set; of one that was started with ``explain_leakage=True``.

        Raises:
            OnefoldError: ``TRAINING_SET_NOT_DONE``, ``TRAINING_SET_UNKNOWN``, ``REQUEST_INVALID`` (it was not asked for).
        """
        call = Call("GET", set_path(self.id, "/download"), params={"format": "leakage"})
        return LeakageReport.of_wire(self._http.send(call))

    def to_arrow(self) -> pa.Table:
        """The set as a table: the columns of the labels, then the features. Raises as ``download``."""
        pandas()
        import pyarrow.parquet as pq

        call = Call("GET", set_path(self.id, "/download"), params={"format": "parquet"})
        with self._http.stream(call, DOWNLOAD_READ_SECONDS) as response:
            data = response.read()
        return in_thread(pq.read_table, io.BytesIO(data))

    def to_pandas(self) -> pd.DataFrame:
        """The set as a frame, with dtypes as in ``get_features_batch``. Raises as ``download``."""
        return in_thread(frame_of_table, self.to_arrow())
