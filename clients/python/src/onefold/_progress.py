"""Progress of a training set as a bar, in notebooks and on terminals; none where nobody sees one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .types import TrainingJob

#: True for a bar where there is somebody to see it, False for none, or what is to be called with each state of the job.
ProgressOption = bool | Callable[[TrainingJob], None]


class Progress:
    def __init__(self, option: ProgressOption) -> None:
        self._call = option if callable(option) else None
        self._bar = _bar() if option is True else None
        self._phase = ""

    def show(self, job: TrainingJob) -> None:
        if self._call is not None:
            self._call(job)
        if self._bar is None:
            return
        if job.progress is None:
            self._bar.set_description_str(f"training set: {job.state}")
            return
        progress = job.progress
        phase = progress.phase if progress.view is None else f"{progress.phase} of {progress.view}"
        if phase != self._phase:
            self._phase = phase
            self._bar.unit = "%" if progress.phase == "sorting" else " rows"
            self._bar.reset(total=progress.total or None)
            self._bar.set_description_str(f"training set: {phase}")
        if progress.total and self._bar.total != progress.total:
            self._bar.total = progress.total
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar() -> Any | None:
    if not (sys.stderr.isatty() or _in_notebook()):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(unit=" rows", unit_scale=True, leave=False, dynamic_ncols=True)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})
