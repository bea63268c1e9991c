"""What the client takes and gives, beside data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, Union

from .errors import OnefoldError

Knowledge = Literal["as-known", "final", "as-served"]
Boundary = Literal["inclusive", "exclusive"]
SetFormat = Literal["parquet", "arrow", "manifest", "leakage"]
T = TypeVar("T")
#: Of the only service, or of each by its name.
ByService = Union[T, Mapping[str, T]]
#: Shares of the rows, the earliest first, or one or two times that begin a part.
Split = Union[Sequence[float], Sequence[datetime], Sequence[str]]
State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True)
class FeatureVector:
    """One entity's features.

    Attributes:
        features: Values by name, in the vector's order, as JSON carries them: int, float, str, bool, list or None; a
            timestamp is RFC 3339 text in UTC, bytes are base64 text, an int64 declared wide is decimal text.
        metadata: ``as_of`` and ``missing_features``; more with ``metadata=True``.
    """

    features: Mapping[str, Any]
    metadata: Mapping[str, Any]

    @property
    def token(self) -> str | None:
        """Reproduces this vector in a training set; None unless asked for with ``token=True``."""
        token = self.metadata.get("token")
        return None if token is None else str(token)

    def __getitem__(self, name: str) -> Any:
        return self.features[name]


@dataclass(frozen=True)
class PushResult:
    """What became of pushed rows.

    Attributes:
        outcomes: One a row, in their order: ``status`` is ``accepted`` (with ``offset``), ``duplicate`` (with ``id``) or
            ``rejected`` (with ``code`` and ``message``).
    """

    accepted: int
    duplicates: int
    rejected: int
    outcomes: tuple[Mapping[str, Any], ...]

    def raise_for_rejected(self) -> PushResult:
        """Itself; raises ``OnefoldError`` (``ROWS_REJECTED``) where a row was rejected."""
        for row, outcome in enumerate(self.outcomes):
            if outcome["status"] == "rejected":
                raise OnefoldError(
                    "ROWS_REJECTED",
                    f"{self.rejected} of {len(self.outcomes)} rows were rejected; the first: "
                    f"{outcome.get('code')}: {outcome.get('message')}",
                    where=f"row {row}",
                )
        return self


@dataclass(frozen=True)
class ServerPath:
    """A label file that lies on the server, in its ``--labels-folder``; relative to that."""

    path: str


@dataclass(frozen=True)
class Ticks:
    """In place of label rows: entities at ticks so far apart.

    Attributes:
        every: ``"1d"``, ``"15m"``, or a timedelta.
        entities: ``"all"``: every entity that the services have events of, from when it was first known on. Or those of a frame,
            table, file or rows, as labels are given: each at every tick, with the columns that it has.
        start: The first tick; default the first multiple of ``every`` by which an event was known.
        end: No tick is later; default the end of the log. Times without a zone are UTC.
    """

    every: str | timedelta
    entities: Any = "all"
    start: datetime | str | None = None
    end: datetime | str | None = None


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training set has come.

    Attributes:
        phase: ``starting``, ``labels``, ``sorting`` and ``events`` of each view, ``writing``; ``done`` and ``total`` count anew in
            each.
        view: ``view@version``, in the phases ``sorting`` and ``events``.
        done: Label rows; percent in phase ``sorting``.
        seconds_left: Of this phase; None while nobody can tell.
    """

    phase: str
    view: str | None
    done: int
    total: int
    rows_per_second: int
    seconds_left: float | None


@dataclass(frozen=True)
class TrainingJob:
    """How a training set stands. Times are in UTC."""

    id: str
    state: State
    revision: int
    options: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    jobs_ahead: int | None
    progress: TrainingProgress | None
    rows: int | None
    features: tuple[str, ...]
    error: OnefoldError | None

    @property
    def is_under_way(self) -> bool:
        return self.state in ("queued", "running")

    def raise_for_state(self) -> TrainingJob:
        """Itself where it is done or under way; else raises why it is not."""
        if self.is_under_way or self.state == "done":
            return self
        if self.error is not None:
            raise self.error
        raise OnefoldError("CANCELLED", f"training set {self.id} was cancelled")

    @classmethod
    def of_wire(cls, job: Mapping[str, Any]) -> TrainingJob:
        progress = job["progress"]
        result = job["result"] or {}
        return cls(
            id=job["id"],
            state=job["state"],
            revision=job["revision"],
            options=job["options"],
            created_at=time_of_wire(job["created_at"]) or datetime.min,
            started_at=time_of_wire(job["started_at"]),
            finished_at=time_of_wire(job["finished_at"]),
            expires_at=time_of_wire(job["expires_at"]),
            jobs_ahead=job["jobs_ahead"],
            progress=None if progress is None else TrainingProgress(**progress),
            rows=result.get("rows"),
            features=tuple(result.get("features", ())),
            error=None if job["error"] is None else OnefoldError.of_wire(job["error"]),
        )


def time_of_wire(text: str | None) -> datetime | None:
    # Python 3.10 does not read the Z.
    return None if text is None else datetime.fromisoformat(_six_digits(text.replace("Z", "+00:00")))


def _six_digits(text: str) -> str:
    """Python 3.10 reads no other number of fractional digits than three and six."""
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = rest[: rest.index("+")]
    return f"{head}.{digits.ljust(6, '0')}{rest[len(digits):]}"
