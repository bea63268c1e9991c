"""A real server for the tests: the command line's, on a free port, with a day of orders as history."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onefold import Onefold

HERE = Path(__file__).parent
#: The command line of the clone; another one where a package is tested.
CLI = os.environ.get("ONEFOLD_CLI", str(HERE.parents[2] / "dist" / "cli" / "main.js"))
NODE = os.environ.get("ONEFOLD_NODE", "node")

BIG_ACCOUNT = 2**53 + 1

#: History: user, minute of the morning of 1 March 2026, amount, items.
ORDERS: list[tuple[str, int, float, int | None]] = [
    ("ada", 5, 10.0, 1),
    ("ada", 20, 20.0, None),
    ("ben", 25, 5.5, 4),
    ("ada", 50, 30.0, 7),
    ("ben", 70, 8.5, None),
]


def order(number: int, user: str, minute: int, amount: float, items: int | None) -> dict[str, Any]:
    return {
        "order_id": f"o{number}",
        "user_id": user,
        "shop": "ä shop" if user == "ada" else "b",
        "account": str(BIG_ACCOUNT if user == "ada" else 7),
        "ordered_at": f"2026-03-01T{8 + minute // 60:02d}:{minute % 60:02d}:00.000001Z",
        "amount": amount,
        "items": items,
        "is_gift": None if user == "ben" else items is None,
        "receipt": "AP8=" if user == "ada" else None,
    }


class Server:
    """A server's process, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def run(self, *arguments: str) -> None:
        done = subprocess.run([NODE, CLI, *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self, port: str = "0") -> None:
        command = [NODE, CLI, "serve", "--port", port, "--json", "--labels-folder", "labels"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None


def new_server(folder: Path) -> Server:
    shutil.copy(HERE / "features.ts", folder / "features.ts")
    (folder / "labels").mkdir()
    rows = [order(number, *values) for number, values in enumerate(ORDERS)]
    (folder / "orders.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    server = Server(folder)
    server.run("apply")
    server.run("ingest", "orders.ndjson", "--source", "orders")
    return server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = new_server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Onefold]:
    with Onefold(server.url, timeout=60) as client:
        yield client
