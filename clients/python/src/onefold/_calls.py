"""Calls of the HTTP door as data, and what their answers mean: the part that both clients share. Does no I/O."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any
from urllib.parse import quote

import httpx

from .errors import OnefoldError
from .types import FeatureVector, PushResult

VECTORS_A_CALL = 1000
PUSH_ROWS_A_CALL = 10_000
PUSH_BYTES_A_CALL = 4 * 1024 * 1024
INT64_SAFE_MAX = 2**53 - 1

#: Refusals of which the server says that it took nothing in.
NOTHING_TAKEN_IN = frozenset({"BACKPRESSURE", "NOT_READY"})
#: With these nobody knows what became of a call.
UNHEARD = frozenset({"CALL_TIMED_OUT", "SERVER_UNREACHABLE"})
#: Failures in passing, of a call that may be repeated.
PASSING = NOTHING_TAKEN_IN | {"SERVER_UNREACHABLE", "STORE_UNAVAILABLE", "STORE_TIMEOUT", "CLOCK_BEHIND"}


def headers_of(headers: Mapping[str, str] | None, consumer: str | None) -> dict[str, str]:
    """Headers of every request, with the name under which the server counts what is read."""
    named = {} if consumer is None else {"x-onefold-consumer": consumer}
    return {**(headers or {}), **named}


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    #: Opened anew for each attempt; for files that are not read into memory.
    body: Callable[[], Iterable[bytes]] | None = None
    content_type: str | None = None
    #: Whether it may be sent again although it is not known whether it arrived.
    is_safe: bool = True
    #: Codes with which it is sent again; None for those of its kind.
    retry_codes: frozenset[str] | None = None
    #: What an answer of status 422 means that has a result.
    takes_422: bool = False

    def may_retry(self, error: OnefoldError) -> bool:
        codes = self.retry_codes
        if codes is None:
            codes = PASSING if self.is_safe else NOTHING_TAKEN_IN
        return error.code in codes


def json_call(method: str, path: str, body: Any, **rest: Any) -> Call:
    return Call(method, path, content=to_json(body), content_type="application/json", **rest)


def segment(text: str) -> str:
    return quote(text, safe="")


def vector_call(
    service: str,
    entities: Mapping[str, Any],
    request: Mapping[str, Any] | None,
    fit: int | None,
    metadata: bool,
    token: bool,
) -> Call:
    body: dict[str, Any] = {"entities": dict(entities)}
    if request is not None:
        body["request"] = dict(request)
    if fit is not None:
        body["fit"] = fit
    if metadata:
        body["metadata"] = "full"
    if token:
        body["token"] = True
    return json_call("POST", f"/services/{segment(service)}/vector", body)


def features_call(entity_type: str, entity_id: Any, names: Sequence[str] | None, metadata: bool) -> Call:
    body: dict[str, Any] = {"entity_type": entity_type, "entity_id": entity_id}
    if names is not None:
        body["feature_names"] = list(names)
    if metadata:
        body["metadata"] = "full"
    return json_call("POST", "/features", body)


def vector_of(answer: Mapping[str, Any]) -> FeatureVector:
    return FeatureVector(answer["features"], answer["metadata"])


def vectors_calls(
    service: str,
    entities: Sequence[Mapping[str, Any]],
    request: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None,
    fit: int | None,
) -> Iterator[Call]:
    for start in range(0, len(entities), VECTORS_A_CALL):
        end = start + VECTORS_A_CALL
        body: dict[str, Any] = {"entities": list(entities[start:end]), "metadata": False}
        if isinstance(request, Mapping):
            body["request"] = dict(request)
        elif request is not None:
            body["request"] = list(request[start:end])
        if fit is not None:
            body["fit"] = fit
        yield json_call("POST", f"/services/{segment(service)}/vectors", body)


def importances_call(
    service: str, importances: Iterable[tuple[Any, Any]], version: int | None, model: str, method: str
) -> Call:
    # Libraries give numbers of their own kinds, which JSON does not know.
    plain = {str(name): float(value) for name, value in importances}
    body = {"version": version, "model": model, "method": method, "importances": plain}
    return json_call("POST", f"/services/{segment(service)}/importances", body)


def push_calls(source: str, rows: Iterable[Mapping[str, Any]], idempotent: bool) -> Iterator[Call]:
    """NDJSON in parts that the server takes."""
    lines: list[bytes] = []
    size = 0

    def call() -> Call:
        return Call(
            "POST",
            f"/events/{segment(source)}",
            content=b"".join(lines),
            content_type="application/x-ndjson",
            is_safe=idempotent,
            takes_422=True,
        )

    for row in rows:
        line = to_json(row) + b"\n"
        if lines and (len(lines) == PUSH_ROWS_A_CALL or size + len(line) > PUSH_BYTES_A_CALL):
            yield call()
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield call()


def push_result(answers: Iterable[Mapping[str, Any]]) -> PushResult:
    accepted = duplicates = rejected = 0
    outcomes: list[Mapping[str, Any]] = []
    for answer in answers:
        accepted += answer["accepted"]
        duplicates += answer["duplicates"]
        rejected += answer["rejected"]
        outcomes.extend(answer["outcomes"])
    return PushResult(accepted, duplicates, rejected, tuple(outcomes))


def answer_of(call: Call, status: int, content: bytes) -> Any:
    """The JSON of an answer. Raises ``OnefoldError``."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if 200 <= status < 300 and body is not None:
        return body
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        if call.takes_422 and status == 422 and "outcomes" in body:
            return body
        raise OnefoldError.of_wire(body["error"], status)
    raise OnefoldError(
        "SERVER_UNREACHABLE",
        f"{call.method} {call.path} was answered by something that is no Onefold server (status {status})",
        hint="look at the address, and at what stands in between",
        status=status,
    )


def failure_of(call: Call, base_url: str, cause: httpx.HTTPError) -> OnefoldError:
    if isinstance(cause, httpx.TimeoutException):
        return timed_out(call, base_url)
    return OnefoldError(
        "SERVER_UNREACHABLE",
        f"{call.method} {call.path} could not be asked: {cause or type(cause).__name__}",
        where=base_url,
        hint="is the server running, and is this its address?",
    )


def timed_out(call: Call, base_url: str) -> OnefoldError:
    what = f"{call.method} {call.path} was not answered in time"
    return OnefoldError("CALL_TIMED_OUT", what, where=base_url, hint="give it more time: timeout=...")


def to_json(value: Any) -> bytes:
    """JSON as the server takes it: times as RFC 3339, bytes as base64, whole numbers past 2^53 as text."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if -INT64_SAFE_MAX <= value <= INT64_SAFE_MAX else str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, datetime):
        # pandas' NaT is one, too.
        if value != value:
            return None
        utc = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
        return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if type(value).__name__ == "datetime64":
        return plain(value.astype("datetime64[us]").tolist())
    # numpy's scalars and arrays; pandas' NA has neither.
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise TypeError(f"a {type(value).__name__} is no value that can be sent: {value!r}")
