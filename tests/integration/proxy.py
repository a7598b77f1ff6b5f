"""A link that a test can hold back or cut."""

import contextlib
import socket
import threading
import urllib.parse

from support import WAIT_SECONDS


class Proxy:
    """Passes bytes between clients and a server at `port`; `url` is that of the server by way of the proxy."""

    def __init__(self, server_url):
        parts = urllib.parse.urlsplit(server_url)
        self.target = (parts.hostname, parts.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        account = parts.netloc.rpartition("@")[0]
        self.url = urllib.parse.urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{self.listener.getsockname()[1]}"))
        if "sslmode" not in self.url:
            self.url += "?sslmode=disable"
        self.flowing = threading.Event()
        self.flowing.set()
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def hold(self):
        """From now on nothing passes, in either direction, and nothing is closed: a link that is merely silent."""
        self.flowing.clear()

    def release(self):
        self.flowing.set()

    def stop(self):
        self.listener.close()
        self.flowing.set()
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target, timeout=WAIT_SECONDS)
            except OSError:
                return
            server.settimeout(None)
            self.sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.pass_on, args=(source, sink, source is server), daemon=True).start()

    def passes(self, data, from_server):
        """Whether these bytes go on; the connection is cut where they do not. May wait."""
        self.flowing.wait()
        return True

    def pass_on(self, source, sink, from_server):
        with contextlib.suppress(OSError):
            while (data := source.recv(1 << 16)) and self.passes(data, from_server):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()
