"""Data frames to what is sent, and answers to data frames with the platform's types.

| type      | dtype of a column                                        |
|-----------|----------------------------------------------------------|
| int64     | ``Int64``, with ``<NA>``                                   |
| float64   | ``float64``, null as NaN                                   |
| bool      | ``boolean``, with ``<NA>``                                 |
| string    | ``object`` of ``str``, null as None                          |
| bytes     | ``object`` of ``bytes``, null as None                        |
| timestamp | ``datetime64[us, UTC]``, null as NaT                       |
| array<T>  | ``object`` of ``list``, null as None; elements as above      |

A column has its dtype whether it has nulls or not, and whether it has rows or not.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import OnefoldError
from .types import Ticks

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def pandas() -> Any:
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError as cause:
        raise ImportError('data frames need pandas and pyarrow: pip install "onefold[pandas]"') from cause
    return pandas


def rows_of_frame(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows as dictionaries of Python values; every kind of missing value is None."""
    names = list(frame.columns) if columns is None else list(columns)
    cells = [_cells(frame[name]) for name in names]
    for row in zip(*cells) if names else ({} for _ in range(len(frame))):
        yield dict(zip(map(str, names), row))


def _cells(column: pd.Series) -> list[Any]:
    missing = column.isna()
    values = column.astype(object).tolist()
    return [None if is_missing else value for is_missing, value in zip(missing, values)]


def table_of_frame(frame: pd.DataFrame) -> pa.Table:
    """Label rows as a table. Raises ``ValueError`` for columns whose names are no texts, ``SPINE_INVALID`` for two of one name."""
    import pyarrow as pa

    names = list(frame.columns)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"columns of label rows need text names, not {names!r}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        # A file with such columns the server refuses with the same words; a frame with them cannot be written as one.
        message = f"the label rows have two columns named {twice}"
        raise OnefoldError("SPINE_INVALID", message, hint="give one of them another name, or leave it out")
    return pa.Table.from_pandas(frame, preserve_index=False)


def frame_of_set(labels: pd.DataFrame | Ticks, table: pa.Table) -> pd.DataFrame:
    return frame_of_table(table) if isinstance(labels, Ticks) else with_features(labels, table)


def with_features(frame: pd.DataFrame, table: pa.Table) -> pd.DataFrame:
    """The label rows as they were given, with the columns behind them that the server has added."""
    pd = pandas()
    names = list(frame.columns)
    if table.num_rows != len(frame) or table.column_names[: len(names)] != names:
        raise OnefoldError(
            "INTERNAL",
            f"a training set of {table.num_rows} rows came back for {len(frame)} label rows, or with other columns",
        )
    added = frame_of_table(table.select(list(range(len(names), table.num_columns))))
    added.index = frame.index
    return pd.concat([frame, added], axis=1)


def frame_of_table(table: pa.Table) -> pd.DataFrame:
    pd = pandas()
    columns = {name: series_of_arrow(table.column(name)) for name in table.column_names}
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def series_of_arrow(column: pa.ChunkedArray) -> pd.Series:
    import pyarrow as pa

    pd = pandas()
    if pa.types.is_integer(column.type):
        wanted = {"int64": pd.Int64Dtype(), "int32": pd.Int32Dtype(), "int16": pd.Int16Dtype(), "int8": pd.Int8Dtype()}
        dtype = wanted.get(str(column.type))
        return column.to_pandas(types_mapper=None if dtype is None else (lambda _: dtype))
    if pa.types.is_boolean(column.type):
        return column.to_pandas(types_mapper=lambda _: pd.BooleanDtype())
    if pa.types.is_timestamp(column.type):
        series = column.to_pandas()
        return series.dt.as_unit("us") if len(series) else series.astype(_times(column.type.tz))
    if _is_object(column.type):
        return pd.Series(column.to_pylist(), dtype=object)
    return column.to_pandas()


def _is_object(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
    return bool(is_text or pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _times(zone: str | None) -> str:
    return "datetime64[us]" if zone is None else f"datetime64[us, {zone}]"


def series_of_json(values: Sequence[Any], kind: str) -> pd.Series:
    """A column of an answer's values; ``kind`` is the platform's type, as ``int64`` or ``array<string>``."""
    pd = pandas()
    cells = [value_of_json(value, kind) for value in values]
    if kind == "int64":
        return pd.Series(pd.array(cells, dtype="Int64"))
    if kind == "bool":
        return pd.Series(pd.array(cells, dtype="boolean"))
    if kind == "float64":
        return pd.Series(cells, dtype="float64")
    if kind == "timestamp":
        times = pd.to_datetime(pd.Series(list(values), dtype=object), utc=True, format="ISO8601")
        return times.astype(_times("UTC"))
    return pd.Series(cells, dtype=object)


def value_of_json(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind.startswith("array<"):
        return [value_of_json(element, kind[len("array<") : -1]) for element in value]
    if kind == "int64":
        return int(value)
    if kind == "float64":
        # NaN and the infinities are text.
        return float(value)
    if kind == "bytes":
        return base64.b64decode(value)
    if kind == "timestamp":
        return pandas().Timestamp(value).as_unit("us")
    return value


class BatchPlan:
    """What is asked for the rows of a batch, by what a service reads, and the frame that comes of the answers."""

    def __init__(self, schema: Mapping[str, Any], entities: pd.DataFrame | Sequence[Mapping[str, Any]]) -> None:
        pd = pandas()
        self._features: Sequence[Mapping[str, str]] = schema["features"]
        #: Of an experiment rows may be of several services, and each says of which.
        self._is_experiment = "variants" in schema
        is_frame = isinstance(entities, pd.DataFrame)
        self._frame: Any = entities
        if not is_frame:
            self._frame = pd.DataFrame([dict(row) for row in entities], dtype=object)
        keys = [key["name"] for entity in schema["entities"] for key in entity["keys"]]
        named = [entity["name"] for entity in schema["entities"]]
        columns = [str(name) for name in list(self._frame)]
        self.entities: list[Mapping[str, Any]]
        if is_frame:
            self.entities = list(rows_of_frame(self._frame, [name for name in columns if name in {*keys, *named}]))
        else:
            self.entities = [dict(row) for row in entities]
        wanted = [column["name"] for column in schema["request"]]
        has_request = is_frame and wanted and all(name in columns for name in wanted)
        #: Request data that stands in the frame.
        self.request = list(rows_of_frame(self._frame, wanted)) if has_request else None
        added = {feature["name"] for feature in self._features} | ({"variant"} if self._is_experiment else set())
        clashing = [name for name in columns if name in added]
        if clashing:
            raise ValueError(f"the rows already have columns named {', '.join(clashing)}, as features are")

    def frame(self, results: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        pd = pandas()
        features = {
            name: series_of_json([result["features"].get(name) for result in results], feature["type"])
            for feature in self._features
            for name in [feature["name"]]
        }
        if self._is_experiment:
            features["variant"] = series_of_json([result["metadata"]["variant"] for result in results], "string")
        added = pd.DataFrame(features, index=pd.RangeIndex(len(results)))
        added.index = self._frame.index
        return pd.concat([self._frame, added], axis=1)
