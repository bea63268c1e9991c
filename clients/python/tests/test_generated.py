"""The client that waits is made of the one for ``asyncio``."""

from __future__ import annotations

import inspect
import subprocess
import sys

from conftest import HERE
from onefold import AsyncOnefold, AsyncTrainingSet, Onefold, TrainingSet


def test_the_client_is_what_the_generator_makes() -> None:
    done = subprocess.run([sys.executable, HERE.parent / "generate_client.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_both_have_the_same_calls_and_docstrings() -> None:
    for waits, other in [(Onefold, AsyncOnefold), (TrainingSet, AsyncTrainingSet)]:
        calls = [call for call, _ in inspect.getmembers(waits, inspect.isfunction) if not call.startswith("_")]
        assert calls == [call for call, _ in inspect.getmembers(other, inspect.isfunction) if not call.startswith("_")]
        for call in calls:
            mine, its = getattr(waits, call), getattr(other, call)
            assert list(inspect.signature(mine).parameters) == list(inspect.signature(its).parameters)
            assert call == "close" or (mine.__doc__ and its.__doc__)
