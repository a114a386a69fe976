"""A TCP proxy that keeps every byte that passes through it: what a broker gets to see."""

from __future__ import annotations

import contextlib
import socket
import threading

PIECE = 65536  # bytes


class RecordingProxy:
    """Listens on a free loopback port and hands everything on to `host`:`port`, until it is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._towards = (host, port)
        self._lock = threading.Lock()
        self._streams: list[bytearray] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def recorded(self) -> list[bytes]:
        """One for each direction of each connection."""
        with self._lock:
            return [bytes(stream) for stream in self._streams]

    def close(self) -> None:
        """Cut all connections and listen no more."""
        # A thread that is blocked in accept(2) hears of it only so.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends = list(self._open)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), name="proxied", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._towards) as server:
            there, back = bytearray(), bytearray()
            with self._lock:
                self._streams += [there, back]
                self._open |= {client, server}
            answering = threading.Thread(target=self._pass, args=(server, client, back), daemon=True)
            answering.start()
            self._pass(client, server, there)
            answering.join()
            with self._lock:
                self._open -= {client, server}

    def _pass(self, source: socket.socket, sink: socket.socket, stream: bytearray) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                with self._lock:
                    stream += piece
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
