"""The programs of docs/python.md run, on the project that `onefold init` writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import HERE, Server

PAGE = (HERE.parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_programs_of_the_page_run(tmp_path: Path) -> None:
    programs = re.findall(r"^```python.*?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(programs) == 2
    Server(tmp_path).run("init", "shop")
    server = Server(tmp_path / "shop")
    server.run("apply")
    server.run("ingest", "events.ndjson", "--source", "payments")
    (server.folder / "labels").mkdir()
    server.start()
    try:
        said = [run(program.replace("http://127.0.0.1:8080", server.url), server.folder) for program in programs]
    finally:
        server.stop()
    first = said[0].splitlines()
    assert first[1:2] + first[3:] == ["Int64", "SERVICE_UNKNOWN ('fraud',)"]
    labels = len((tmp_path / "shop" / "labels.csv").read_text().splitlines()) - 1
    assert first[2] == f"({labels}, 9)"
    assert len(said[1].split()) == 2


def run(program: str, folder: Path) -> str:
    # The machine may be busy: what is enough time for users need not be for a test.
    patient = re.sub(r'(Onefold\("http[^"]*")\)', r"\1, timeout=60)", program)
    path = os.pathsep.join([str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", patient],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{patient}\n{done.stderr}"
    return done.stdout
