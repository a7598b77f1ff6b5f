"""Sends the lines of a file over TCP as fast as they are taken, to connections in turn: send_file.py FILE PORT COPIES CONNECTIONS.

No answers are read, so the sender costs little but what the kernel does to carry the bytes.
"""

import os
import resource
import socket
import sys

CHUNK_BYTES = 64 << 10


def whole_lines(path):
    """(offset, bytes) of pieces of about a chunk that end with a line."""
    pieces, begin, size = [], 0, os.path.getsize(path)
    with open(path, "rb") as lines:
        while begin < size:
            lines.seek(min(begin + CHUNK_BYTES, size) - 1)
            lines.readline()
            pieces.append((begin, lines.tell() - begin))
            begin = lines.tell()
    return pieces


def main(path, port, copies, connections):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    with open(path, "rb") as file:
        turn = 0
        for _ in range(copies):
            for offset, left in whole_lines(path):
                to = sockets[turn % connections]
                turn += 1
                while left:
                    sent = os.sendfile(to.fileno(), file.fileno(), offset, left)
                    offset, left = offset + sent, left - sent
    for each in sockets:
        each.shutdown(socket.SHUT_WR)
    for each in sockets:
        while each.recv(4096):
            pass


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
