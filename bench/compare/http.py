#!/usr/bin/python3
"""Hot hits over loopback: Spate on sockets and its peers in turn, the server on one core, the client on the other.

Whole objects of each size, and 64 KiB ranges out of the largest. README.md says what makes it fair.
"""
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent / "lib")  # not this folder: this file's name would hide Python's own http
import re  # noqa: E402

import client  # noqa: E402
import place  # noqa: E402
import rows  # noqa: E402
import servers  # noqa: E402

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
RATE_AIM, CPU_AIM = 1.3, 0.7
RANGE = 65536


def size_of(text):
    m = re.fullmatch(r"(\d+) ?(B|KiB|MiB)", text)
    if not m:
        sys.exit(f"bench http: {text}: a size is a number and B, KiB or MiB")
    return f"{m[1]} {m[2]}", int(m[1]) * UNITS[m[2]]


def measure(r, server, case, path, size, args, here, headers=()):
    url = server.url(path)
    client.warm(here, url, 0.3, args.connections, headers)
    cpu = server.cpu_seconds()
    got = client.closed(here, url, args.seconds, args.connections, headers)
    cpu = server.cpu_seconds() - cpu
    peer = server.name
    r.sample(case, "rate", got["rate"], "req/s", peer=peer)
    r.sample(case, "throughput", got["rate"] * size * 8 / 1e9, "Gbit/s", peer=peer)
    r.sample(case, "p99", got["p99_us"], "us", peer=peer)
    r.sample(case, "CPU", cpu / (got["requests"] * size / 1e9), "s/GB", peer=peer)
    r.sample(case, "client busy", got["client_busy"], "%", peer=peer)


def main():
    p = rows.arguments(__doc__)
    p.add_argument("--sizes", default="1KiB,16KiB,64KiB,1MiB,8MiB", help="1KiB,16KiB,64KiB,1MiB,8MiB")
    p.add_argument("--servers", default=",".join(["spate", *servers.PEERS, "nginx-files"]))
    p.add_argument("--connections", type=int, default=32, help="of the client (32)")
    p.add_argument("--congestion", default="cubic", help="of everybody, in a network namespace of our own (cubic)")
    args = p.parse_args()
    place.own_network(args.congestion)
    sizes, names = [size_of(s) for s in args.sizes.split(",")], args.servers.split(",")
    r = rows.Rows("http", args.json)
    cases = [label for label, _ in sizes] + [f"64 KiB of {sizes[-1][0]}"]
    with place.Place() as here:
        bodies = {label: os.urandom(size) for label, size in sizes}
        paths = {label: f"/{label.replace(' ', '')}.mp4" for label in bodies}
        for label, body in bodies.items():
            (here.files / paths[label][1:]).write_bytes(body)
        with servers.Files(here) as origin:
            for _, turn in rows.interleaved(names, args.rounds):
                for name in turn:
                    server = None
                    try:
                        server = servers.start(name, here, origin.port)
                        for label, size in sizes:
                            server.verify(paths[label], bodies[label])
                            measure(r, server, label, paths[label], size, args, here)
                        if sizes[-1][1] >= 2 * RANGE:
                            first = sizes[-1][1] // 2
                            field = f"bytes={first}-{first + RANGE - 1}"
                            status, _, got = server.get(paths[label], [("Range", field)])
                            if status != 206 or got != bodies[label][first:first + RANGE]:
                                raise servers.Failed(f"{name}: a range came as {status}, {len(got)} bytes")
                            measure(r, server, cases[-1], paths[label], RANGE, args, here, [f"Range: {field}"])
                    except (servers.Failed, OSError) as e:
                        print(f"FAILED {name}: {e}", file=sys.stderr)
                        for case in cases:
                            r.failed(case, "rate", "req/s", name, e)
                    finally:
                        if server:
                            server.stop()
    for case in cases:
        whole = case in bodies
        # The aims are towards the four servers that people put in front of viewers; nginx without its cache is shown beside.
        r.ratio(case, "rate", RATE_AIM if whole else None, leave_out=["nginx-files"])
        r.ratio(case, "CPU", CPU_AIM if whole else None, leave_out=["nginx-files"])
        r.ratio(case, "rate", to="nginx-files")
        r.ratio(case, "CPU", to="nginx-files")
    r.finish()


if __name__ == "__main__":
    main()
