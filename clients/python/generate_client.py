"""Makes ``client.py`` and ``training_set.py`` of the modules for ``asyncio``: the same calls, types and docstrings, waited for.

    python generate_client.py           writes them
    python generate_client.py --check   fails where they are not what would be written

What really differs between the two stands in ``_async_http.py`` and ``_http.py``, which are written by hand.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).parent / "src" / "onefold"
MODULES = {"async_client.py": "client.py", "async_training_set.py": "training_set.py"}

#: In this order.
REPLACEMENTS = (
    (r"The client for programs that do other things while they wait\.", "The client for programs that wait for their answers."),
    (r"A training set on the server, for ``asyncio``\.", "A training set on the server."),
    (
        r"A running server, for ``asyncio``\. To be closed, or used in an ``async with`` statement\. Frames are made in threads, so\n"
        r"    that the event loop is not held up\.",
        "A running server. To be closed, or used in a ``with`` statement; threads may share it.",
    ),
    (r"\(Ctrl-C, or its task is cancelled\)", "(Ctrl-C)"),
    (r"\(Ctrl-C, or the end of the task\)", "(Ctrl-C)"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b_async_http\b", "_http"),
    (r"\basync_training_set\b", "training_set"),
    (r"\bAsync(Http|Onefold|TrainingSet|Iterator)\b", r"\1"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\.a(read|iter_lines|iter_bytes)\(", r".\1("),
)


def generated(name: str) -> str:
    text = (SOURCE / name).read_text(encoding="utf-8")
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    left = re.findall(r".*\b(?:[Aa]sync|asyncio|await)\b.*", text)
    if left:
        raise SystemExit(f"{name}: no replacement for: {left[0].strip()}")
    return f"# Made of {name} by generate_client.py: change that one, and run it.\n{text}"


def main() -> None:
    stale = []
    for name, target in MODULES.items():
        path = SOURCE / target
        text = generated(name)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(target)
    if stale:
        raise SystemExit(f"{', '.join(stale)} is not what generate_client.py makes: run it")


if __name__ == "__main__":
    main()
