"""When a call is sent again, and after what pause: drawn at random up to a bound that doubles ("Exponential Backoff And
Jitter", AWS, 2015: full jitter), within the time that the call may take in all."""

from __future__ import annotations

import math
import random
import time

from ._calls import Call
from .errors import OnefoldError

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0


class Deadline:
    """So many seconds from now; None for no end."""

    def __init__(self, timeout: float | None) -> None:
        self._end = math.inf if timeout is None else time.monotonic() + timeout

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
