#!/usr/bin/python3
"""Hit rate under a Zipf working set four times as large as the memory each cache gets.

The same sequence for everybody, one request after the other: the first half warms, the second counts. A hit is a request
for which the origin was not asked. `kept` is what the cache then holds: nginx looks at its limit every ten seconds only,
so it may hold more than it was given, and its hit rate is then flattered.
"""
import bisect
import itertools
import random
import subprocess
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent / "lib")
import place  # noqa: E402
import rows  # noqa: E402
import servers  # noqa: E402


def sequence(objects, skew, count, seed=1):
    """Object numbers; the k-th most popular with a weight of 1/k^skew, popularity in no order of the names."""
    rng = random.Random(seed)
    weights = list(itertools.accumulate(1 / k ** skew for k in range(1, objects + 1)))
    names = list(range(objects))
    rng.shuffle(names)
    return [names[bisect.bisect_left(weights, rng.random() * weights[-1])] for _ in range(count)]


def ask(server, numbers, size):
    """One keep-alive connection, one request after the other."""
    with server.here.connect(server.host, server.port, 20) as s:
        for n in numbers:
            s.sendall(b"GET /o/%d HTTP/1.1\r\nHost: bench\r\n\r\n" % n)
            got = s.recv(1 << 17)
            while b"\r\n\r\n" not in got:
                more = s.recv(1 << 17)
                if not more:
                    raise servers.Failed(f"{server.name}: the connection was closed")
                got += more
            if not got.startswith(b"HTTP/1.1 200"):
                raise servers.Failed(f"{server.name}: {got[:60]}")
            left = got.index(b"\r\n\r\n") + 4 + size - len(got)
            while left > 0:
                more = len(s.recv(min(left, 1 << 17)))
                if not more:
                    raise servers.Failed(f"{server.name}: an answer was cut")
                left -= more


def kept_mib(server):
    where = {"nginx": server.tmp / "cache"}.get(server.name)
    if where is None:
        return server.memory() / 1048576
    out = subprocess.run(["du", "-sk", where], capture_output=True, text=True).stdout
    return int(out.split()[0]) / 1024


def main():
    p = rows.arguments(__doc__, rounds=1)
    p.add_argument("--servers", default="spate,nginx,varnish,trafficserver", help="those that are caches")
    p.add_argument("--memory", type=int, default=64, help="MiB for each (64)")
    p.add_argument("--size", type=int, default=16, help="KiB of each object (16)")
    p.add_argument("--requests", type=int, default=40000)
    p.add_argument("--skews", default="0.8,1.0")
    args = p.parse_args()
    place.own_network()
    size, objects = args.size << 10, 4 * (args.memory << 10) // args.size
    r = rows.Rows("zipf", args.json)
    with place.Place() as here:
        (here.files / "o").mkdir()
        for n in range(objects):
            (here.files / "o" / str(n)).write_bytes(b"%016d" % n * (size // 16))
        with servers.Files(here) as origin:
            for skew in args.skews.split(","):
                case = f"Zipf {skew}, {objects:,} × {args.size} KiB, {args.memory} MiB"
                numbers = sequence(objects, float(skew), args.requests)
                half = args.requests // 2
                for _, turn in rows.interleaved(args.servers.split(","), args.rounds):
                    for name in turn:
                        server = None
                        try:
                            server = servers.start(name, here, origin.port, memory_mib=args.memory)
                            ask(server, numbers[:half], size)
                            before, began = origin.asked(), time.monotonic()
                            ask(server, numbers[half:], size)
                            took, asked = time.monotonic() - began, origin.asked() - before - 1
                            r.sample(case, "hits", 100 * (1 - asked / half), "%", peer=name)
                            r.sample(case, "kept", kept_mib(server), "MiB", peer=name)
                            r.sample(case, "one after the other", half / took, "req/s", peer=name)
                        except (servers.Failed, OSError) as e:
                            r.failed(case, "hits", "%", name, e)
                        finally:
                            if server:
                                server.stop()
                r.ratio(case, "hits")
    r.finish()


if __name__ == "__main__":
    main()
