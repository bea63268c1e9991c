"""The one error that the client raises on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OnefoldError(Exception):
    """What a server refused, or why it could not be asked.

    Attributes:
        code: One of the codes of docs/errors.md, such as ``SERVICE_UNKNOWN``. ``SERVER_UNREACHABLE`` and
            ``CALL_TIMED_OUT`` come from the client.
        message: What is wrong.
        where: Which field, row, file or column; None where that is plain.
        hint: What to do about it, or None.
        candidates: Names near an unknown one, or the meanings of an ambiguous one.
        status: HTTP status of the answer; None where there was none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        candidates: tuple[str, ...] = (),
        status: int | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint
        self.candidates = candidates
        self.status = status

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.message}"]
        if self.where is not None:
            lines.append(f"  where: {self.where}")
        if self.hint is not None:
            lines.append(f"  hint: {self.hint}")
        if self.candidates:
            lines.append(f"  candidates: {', '.join(self.candidates)}")
        return "\n".join(lines)

    @classmethod
    def of_wire(cls, error: Mapping[str, Any], status: int | None = None) -> OnefoldError:
        """The error that an answer, or a failed job, carries."""
        return cls(
            str(error.get("code", "INTERNAL")),
            str(error.get("message", "the server gave no reason")),
            where=error.get("where"),
            hint=error.get("hint"),
            candidates=tuple(error.get("candidates", ())),
            status=status,
        )
