"""Server-sent events, from lines of text: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import json
from typing import Any


class EventReader:
    """Takes lines as they come."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def line(self, line: str) -> Any | None:
        """The data of the event that this line ends, parsed; else None."""
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif line == "" and self._data:
            data = "\n".join(self._data)
            self._data = []
            return json.loads(data)
        return None
