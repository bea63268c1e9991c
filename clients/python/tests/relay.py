"""A relay in front of a server that breaks connections on purpose."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class Relay:
    """Breaks the next ``breaks`` connections once the server has answered; the client sees what ``tells`` lets through."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self.breaks = 0
        self.tells = False
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._door.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                self.connections += 1
                is_broken = self.breaks > 0
                self.breaks -= is_broken
                threading.Thread(target=self._relay, args=(client, is_broken), daemon=True).start()

    def _relay(self, client: socket.socket, is_broken: bool) -> None:
        with client, socket.create_connection(self._target) as server, contextlib.suppress(OSError):
            upward = threading.Thread(target=_pipe, args=(client, server), daemon=True)
            upward.start()
            if not is_broken:
                _pipe(server, client)
                return
            answer = server.recv(65536)
            if self.tells:
                client.sendall(answer)
            server.shutdown(socket.SHUT_RDWR)
            client.shutdown(socket.SHUT_RDWR)


def _pipe(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
