#!/usr/bin/python3
"""How cost grows: hot hits of 1 KiB over 1 to 10,000 connections, 10^3 to 10^6 objects, and 1 and 2 workers.

Read the CPU microseconds a request: with two cores the client is soon the limit of the rate. Two workers share the second
core with the client, so their rate says little and their CPU time says whether workers get into each other's way.
"""
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent / "lib")
import client  # noqa: E402
import place  # noqa: E402
import rows  # noqa: E402
import servers  # noqa: E402


def measure(r, case, server, url, seconds, connections, here, warmup=0.3):
    client.warm(here, url, warmup, connections)
    cpu = server.cpu_seconds()
    got = client.closed(here, url, seconds, connections)
    cpu = server.cpu_seconds() - cpu
    r.sample(case, "CPU", cpu / got["requests"] * 1e6, "us/request", peer=server.name)
    r.sample(case, "rate", got["rate"], "req/s", peer=server.name)
    r.sample(case, "p99", got["p99_us"], "us", peer=server.name)


def connections(r, names, here, origin, args):
    for _, turn in rows.interleaved(names, args.rounds):
        for name in turn:
            server = None
            try:
                server = servers.start(name, here, origin.port)
                server.verify("/1.mp4", b"x" * 1024)
                for n in (1, 100, 1000, 10000):
                    measure(r, f"{n:,} connection{'s' * (n > 1)}", server, server.url("/1.mp4"), args.seconds, n, here,
                            warmup=1 if n > 1000 else 0.3)
            except (servers.Failed, OSError) as e:
                r.failed("connections", "CPU", "us/request", name, e)
            finally:
                if server:
                    server.stop()


def filled(server, count):
    """Asks for each object once, many at a time on each of a few connections."""
    host = b" HTTP/1.1\r\nHost: bench\r\n\r\n"
    batch = 64
    with server.here.connect(server.host, server.port, 30) as s:
        for first in range(0, count, batch):
            want = min(batch, count - first)
            s.sendall(b"".join(b"GET /small/%06d" % n + host for n in range(first, first + want)))
            got = b""
            while got.count(b"\r\n\r\n") < want or not got.endswith(b"k" * 1024):
                more = s.recv(1 << 18)
                if not more:
                    raise servers.Failed(f"{server.name} closed while it was filled")
                got += more


def objects(r, names, here, origin, args):
    for name in names:
        server = None
        try:
            server = servers.start(name, here, origin.port, memory_mib=args.memory)
            done = 0
            for exponent in range(3, args.most + 1):
                n = 10 ** exponent
                filled(server, n)  # those that are there already are hits
                host = server.url("/small/")
                for _ in range(args.rounds):
                    measure(r, f"10^{exponent} objects", server, f"{host}{{000000..{n - 1:06}}}", args.seconds, 32, here)
                done = n
            r.add("fill", "objects", done, "", peer=name)
        except (servers.Failed, OSError) as e:
            r.failed("objects", "CPU", "us/request", name, e)
        finally:
            if server:
                server.stop()


def workers(r, here, origin, args):
    for _, turn in rows.interleaved([1, 2], args.rounds):
        for n in turn:
            server = None
            try:
                server = servers.start("spate", here, origin.port, workers=n)
                server.verify("/1.mp4", b"x" * 1024)
                measure(r, f"{n} worker{'s' * (n > 1)}, the client on the last core", server, server.url("/1.mp4"),
                        args.seconds, 64, here)
            except (servers.Failed, OSError) as e:
                r.failed(f"{n} workers", "CPU", "us/request", "spate", e)
            finally:
                if server:
                    server.stop()


def main():
    p = rows.arguments(__doc__, rounds=1)
    p.add_argument("--servers", default="spate,nginx,h2o", help="for connections; objects and workers: spate")
    p.add_argument("--most", type=int, default=5, help="10^so many objects at most (5; 6 takes a minute more)")
    p.add_argument("--memory", type=int, default=3072, help="MiB of cache for the objects (3072)")
    args = p.parse_args()
    place.own_network()
    r = rows.Rows("growth", args.json)
    with place.Place() as here:
        (here.files / "1.mp4").write_bytes(b"x" * 1024)
        with servers.Files(here) as origin:
            connections(r, args.servers.split(","), here, origin, args)
            r.ratio("10,000 connections", "CPU")
            if client.have_load():
                objects(r, ["spate"], here, origin, args)
            workers(r, here, origin, args)
    r.finish()


if __name__ == "__main__":
    main()
