"""When a call is sent again, and after what pause: drawn at random up to a bound that doubles ("Exponential Backoff And
Jitter", AWS, 2015: full jitter), within the time that the call may take in all."""

from __future__ import annotations

import math
import numbers
import random
import time
from typing import Any

from ._calls import Call
from .errors import OnefoldError

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0


#: What is longer has no end: sockets take some weeks at most.
LONGEST_SECONDS = 1e6


def seconds_of(timeout: Any) -> float:
    """A time-out as it was given: above 0, None or ``math.inf`` for no end. Raises ``ValueError``, ``TypeError``."""
    if timeout is None:
        return math.inf
    if not isinstance(timeout, numbers.Real) or isinstance(timeout, bool):
        raise TypeError(f"a timeout is a number of seconds, not a {type(timeout).__name__}: {timeout!r}")
    seconds: Any = timeout
    if not seconds > 0:
        raise ValueError(f"a timeout is more than 0 seconds, not {timeout!r}; for no end it is math.inf")
    return math.inf if seconds > LONGEST_SECONDS else float(seconds)


def socket_seconds(seconds: float) -> float | None:
    """As those take them who know no infinite time."""
    return None if seconds == math.inf else seconds


class Deadline:
    """So many seconds from now, as of ``seconds_of``."""

    def __init__(self, timeout: float | None) -> None:
        self._end = time.monotonic() + seconds_of(timeout)

    @property
    def seconds_left(self) -> float:
        """Never 0, which would be no limit to some, and no time at all to others."""
        return max(0.001, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end


class Attempts(Deadline):
    """The attempts of one call. ``timeout`` is in seconds, for all of them together."""

    def __init__(self, call: Call, retries: int, timeout: float) -> None:
        super().__init__(timeout)
        self._call = call
        self._retries = retries
        self._made = 0

    def pause_after(self, error: OnefoldError) -> float:
        """Seconds to wait before the next attempt. Raises ``error`` where there is none."""
        if self._made >= self._retries or not self._call.may_retry(error):
            raise error
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._made)
        pause = random.uniform(0, longest)
        if pause >= self.seconds_left:
            raise error
        self._made += 1
        return pause
