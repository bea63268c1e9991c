"""How a training set is asked for: labels of every form as the body of one call."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._calls import Call, json_call, plain, segment
from ._frames import pandas, table_of_frame
from .types import Boundary, ByService, Knowledge, ServerPath, Split, Ticks

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: What labels may be: a frame, a table, the path of a local file, a path on the server, rows, or ticks.
Labels = "pd.DataFrame | pa.Table | str | os.PathLike[str] | ServerPath | Sequence[Mapping[str, Any]] | Ticks"

PARQUET = "application/vnd.apache.parquet"
FILE_TYPES = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".csv": "text/csv",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
}
CHUNK_BYTES = 1024 * 1024
#: Of a request that the server has to receive whole.
UPLOAD_SECONDS = 120.0
#: The server says something every ten seconds at the latest.
EVENTS_READ_SECONDS = 60.0
#: A set is converted to Arrow before its first byte is sent.
DOWNLOAD_READ_SECONDS = 600.0
#: For each of the calls that end a set whose time is over.
CANCEL_SECONDS = 2.5
#: So long the server may be away while a set is waited for: one that is started again takes some seconds.
PATIENCE_SECONDS = 60.0


def training_options(
    service: str | Sequence[str],
    knowledge: Knowledge | None,
    boundary: Boundary | None,
    split: Split | None,
    fit: ByService[int] | None,
    time_column: str | None,
    token_column: ByService[str] | None,
    key_columns: Mapping[str, str | Sequence[str]] | None,
    statuses: bool,
    allow_after_log: bool,
    explain_leakage: bool,
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "service": service if isinstance(service, str) else list(service),
        "knowledge": knowledge,
        "boundary": boundary,
        "split": None if split is None else [plain(part) for part in split],
        "fit": dict(fit) if isinstance(fit, Mapping) else fit,
        "time_column": time_column,
        "token_column": dict(token_column) if isinstance(token_column, Mapping) else token_column,
        "statuses": statuses or None,
        "allow_after_log": allow_after_log or None,
        "explain_leakage": explain_leakage or None,
    }
    if key_columns is not None:
        options["key_columns"] = {
            entity: [columns] if isinstance(columns, str) else list(columns) for entity, columns in key_columns.items()
        }
    return {name: value for name, value in options.items() if value is not None}


def training_call(labels: Any, options: Mapping[str, Any]) -> Call:
    """Raises ``ValueError`` for labels that can be no table, ``FileNotFoundError`` for a file that is not there."""
    if isinstance(labels, Ticks):
        at_ticks = {**options, **_ticks(labels)}
        if isinstance(labels.entities, str) and labels.entities == "all":
            return _json_labels({"entities": "all"}, at_ticks)
        return training_call(labels.entities, at_ticks)
    if isinstance(labels, ServerPath):
        return _json_labels({"path": labels.path}, options)
    if isinstance(labels, (str, os.PathLike)):
        path = Path(labels)
        content_type = FILE_TYPES.get(path.suffix.lower())
        if content_type is None:
            raise ValueError(f"{path}: label files end in {', '.join(FILE_TYPES)}")
        if not path.is_file():
            raise FileNotFoundError(f"there is no label file {path}")
        return _upload(options, content_type, body=lambda: _chunks(path))
    if isinstance(labels, Sequence):
        return _json_labels({"rows": [dict(row) for row in labels]}, options)
    pd = pandas()
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = table_of_frame(labels) if isinstance(labels, pd.DataFrame) else labels
    if not isinstance(table, pa.Table):
        raise ValueError(f"label rows are a data frame, a table, a path or rows, not a {type(labels).__name__}")
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="zstd", coerce_timestamps=None)
    return _upload(options, PARQUET, content=sink.getvalue())


def _ticks(ticks: Ticks) -> dict[str, Any]:
    every = ticks.every
    if isinstance(every, timedelta):
        every = f"{every // timedelta(microseconds=1)}us"
    bounds = {"from": ticks.start, "to": ticks.end}
    return {"every": every, **{name: plain(time) for name, time in bounds.items() if time is not None}}


def _json_labels(labels: Mapping[str, Any], options: Mapping[str, Any]) -> Call:
    return json_call("POST", "/training-sets", {**options, "labels": labels}, is_safe=False, retry_codes=NOT_READY)


#: A queue that is full will be for longer than a call waits.
NOT_READY = frozenset({"NOT_READY"})


def _upload(options: Mapping[str, Any], content_type: str, **body: Any) -> Call:
    params = {name: _text(value) for name, value in options.items()}
    return Call(
        "POST",
        "/training-sets",
        params=params,
        content_type=content_type,
        is_safe=False,
        retry_codes=NOT_READY,
        **body,
    )


def _text(value: Any) -> str:
    if isinstance(value, (dict, bool)):
        return json.dumps(value)
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def set_path(training_set: str, what: str = "") -> str:
    return f"/training-sets/{segment(training_set)}{what}"
