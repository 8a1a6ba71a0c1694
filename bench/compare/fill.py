#!/usr/bin/python3
"""A cold object from a slow origin: when do its first and its second viewer see the first byte?

The origin sends at once, 2 MiB in half a second. The second viewer comes 150 ms after the first. Whoever makes it wait
for the whole object needs another 350 ms; whoever asks the origin once more has not coalesced (`asked`).
"""
import socket
import sys
import threading
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent / "lib")
import place  # noqa: E402
import rows  # noqa: E402
import servers  # noqa: E402

SIZE, SECONDS, LATER, AIM = 2 << 20, 0.5, 0.15, 0.1


class SlowOrigin:
    """HTTP/1.1 over threads: a head at once, then the body in even pieces."""

    def __init__(self):
        self.asked = {}
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        got = b""
        try:
            while True:
                while b"\r\n\r\n" not in got:
                    more = s.recv(65536)
                    if not more:
                        return
                    got += more
                head, _, got = got.partition(b"\r\n\r\n")
                path = head.split()[1].decode()
                self.asked[path] = self.asked.get(path, 0) + 1
                s.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nCache-Control: max-age=3600\r\n"
                          "Content-Type: video/mp4\r\n\r\n".encode())
                pieces = 50
                began = time.monotonic()
                for i in range(pieces):
                    s.sendall(b"x" * (SIZE // pieces if i + 1 < pieces else SIZE - SIZE // pieces * (pieces - 1)))
                    time.sleep(max(0, began + (i + 1) * SECONDS / pieces - time.monotonic()))
        except OSError:
            pass
        finally:
            s.close()


def fetch(server, path, out):
    """out becomes (seconds to the first body byte, to the last)."""
    began = time.monotonic()
    try:
        with server.here.connect(server.host, server.port, 20) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            got, first, total = b"", None, 0
            while True:
                piece = s.recv(1 << 18)
                if not piece:
                    break
                if first is None:
                    got += piece
                    head, found, body = got.partition(b"\r\n\r\n")
                    if not head.startswith(b"HTTP/1.1 200"):
                        raise servers.Failed(f"{server.name}: {head[:40]}")
                    if body:
                        first, total = time.monotonic() - began, len(body)
                else:
                    total += len(piece)
                if total >= SIZE:
                    break
            if total != SIZE:
                raise servers.Failed(f"{server.name} {path}: {total} of {SIZE} bytes")
            out.append((first, time.monotonic() - began))
    except (OSError, servers.Failed) as e:
        out.append(e)


def once(server, path):
    first, second = [], []
    a = threading.Thread(target=fetch, args=(server, path, first))
    b = threading.Thread(target=fetch, args=(server, path, second))
    a.start()
    time.sleep(LATER)
    b.start()
    a.join()
    b.join()
    for got in (first[0], second[0]):
        if isinstance(got, Exception):
            raise servers.Failed(str(got))
    return first[0], second[0]


def main():
    p = rows.arguments(__doc__, rounds=5)
    p.add_argument("--servers", default="spate,nginx,varnish,trafficserver", help="those that are caches")
    args = p.parse_args()
    place.own_network()
    names = args.servers.split(",")
    r, case = rows.Rows("fill", args.json), "2 MiB in 0.5 s"
    with place.Place() as here:
        origin = SlowOrigin()
        at = {}
        try:
            for name in names:
                try:
                    at[name] = servers.start(name, here, origin.port)
                    once(at[name], "/warm")
                except (servers.Failed, OSError) as e:
                    r.failed(case, "second viewer TTFB", "ms", name, e)
            for turn, order in rows.interleaved([n for n in names if n in at], args.rounds):
                for name in order:
                    path = f"/{name}-{turn}"
                    try:
                        first, second = once(at[name], path)
                    except servers.Failed as e:
                        r.failed(case, "second viewer TTFB", "ms", name, e)
                        continue
                    r.sample(case, "first viewer TTFB", first[0] * 1e3, "ms", peer=name)
                    r.sample(case, "second viewer TTFB", second[0] * 1e3, "ms", peer=name)
                    r.sample(case, "second viewer has all", second[1] * 1e3, "ms", peer=name)
                    r.sample(case, "asked", origin.asked.get(path, 0), "requests", peer=name)
        finally:
            for server in at.values():
                server.stop()
    r.ratio(case, "first viewer TTFB")
    r.ratio(case, "second viewer TTFB", AIM, to="nginx")
    r.finish()


if __name__ == "__main__":
    main()
