"""A relay in front of a server that breaks connections, keeps answers back, or sends them little by little, on purpose."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
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
        #: Lets requests through, and no answer.
        self.holds = False
        #: Lets the head of an answer through at once, and its body by a byte in so many seconds.
        self.byte_seconds = 0.0
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
                self._answer(server, client)
                return
            answer = server.recv(65536)
            if self.tells:
                client.sendall(answer)
            server.shutdown(socket.SHUT_RDWR)
            client.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(65536):
            if self.holds:
                continue
            if self.byte_seconds == 0:
                client.sendall(data)
                continue
            head, gap, body = data.partition(b"\r\n\r\n")
            client.sendall(head + gap)
            for byte in body:
                time.sleep(self.byte_seconds)
                client.sendall(bytes([byte]))
        client.shutdown(socket.SHUT_WR)


def _pipe(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
