#!/usr/bin/python3
"""Latency of hot hits in an open loop, at 50 % and 80 % of what the best peer can do at most.

Requests are due at a constant rate whatever the server does, and latency counts from when a request was due, so a server
that stalls cannot hide it (no coordinated omission). The best peer's capacity is measured first, closed loop, in the
same run and by the same client. Needs spate-load.
"""
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent / "lib")
import client  # noqa: E402
import place  # noqa: E402
import rows  # noqa: E402
import servers  # noqa: E402

SHARES = (50, 80)


def main():
    p = rows.arguments(__doc__)
    p.add_argument("--sizes", default="1,64", help="KiB (1,64)")
    p.add_argument("--servers", default=",".join(["spate", *servers.PEERS]))
    p.add_argument("--connections", type=int, default=64)
    args = p.parse_args()
    if not client.have_load():
        sys.exit("bench latency: an open loop needs spate-load, which this build does not have")
    place.own_network()
    names = args.servers.split(",")
    r = rows.Rows("latency", args.json)
    with place.Place() as here:
        for size in args.sizes.split(","):
            (here.files / f"{size}.mp4").write_bytes(os.urandom(int(size) << 10))
        with servers.Files(here) as origin:
            at = {}
            try:
                for name in names:
                    try:
                        at[name] = servers.start(name, here, origin.port)
                        for size in args.sizes.split(","):
                            at[name].verify(f"/{size}.mp4", (here.files / f"{size}.mp4").read_bytes())
                    except (servers.Failed, OSError) as e:
                        r.failed("all", "latency", "us", name, e)
                        at.pop(name, None)
                for size in args.sizes.split(","):
                    one(r, size, at, args, here)
            finally:
                for server in at.values():
                    server.stop()
    r.finish()


def one(r, size, at, args, here):
    best, case = 0, f"{size} KiB"
    for name, server in at.items():
        try:
            got = client.load(here, server.url(f"/{size}.mp4"), 1, args.connections)
        except servers.Failed as e:
            r.failed(case, "capacity", "req/s", name, e)
            continue
        r.add(case, "capacity", got["rate"], "req/s", peer=name)
        if server.peer:
            best = max(best, got["rate"])
    for share in SHARES:
        rate = best * share / 100
        if not rate:
            return
        case = f"{size} KiB at {share} % of the best peer, {rate:,.0f} req/s"
        for _, turn in rows.interleaved(list(at), args.rounds):
            for name in turn:
                try:
                    got = client.load(here, at[name].url(f"/{size}.mp4"), args.seconds, args.connections, rate=rate)
                except servers.Failed as e:
                    r.failed(case, "p99.9", "us", name, e)
                    continue
                for metric in ("p50", "p99", "p99.9"):
                    r.sample(case, metric, got[metric.replace(".", "") + "_us"], "us", peer=name)
                r.sample(case, "answered", got["rate"], "req/s", peer=name)
        r.ratio(case, "p50")
        r.ratio(case, "p99.9", 1.0 if share == 80 else None)


if __name__ == "__main__":
    main()
