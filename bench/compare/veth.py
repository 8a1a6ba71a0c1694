#!/usr/bin/python3
"""Hot hits over a veth pair: Spate's own TCP on DPDK (net_af_packet) beside Spate on sockets and the peers on the kernel's.

`TSO on` is the kernel at its best: it hands 64 KiB to the client's end in one piece, which no af_packet port can do.
`TSO off` is one frame of 1500 bytes at a time for everybody, as on a wire without offloads. DPDK runs once for both.
A veth measures the kernel's share at least as much as ours; `./dev bench line` is where DPDK is measured.
"""
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent / "lib")
import client  # noqa: E402
import place  # noqa: E402
import rows  # noqa: E402
import servers  # noqa: E402

SIZES = {"1 KiB": 1 << 10, "64 KiB": 1 << 16, "1 MiB": 1 << 20}


def measure(r, cases, server, path, size, args, here):
    url = server.url(path)
    client.warm(here, url, 0.3, args.connections)
    cpu = server.cpu_seconds()
    got = client.closed(here, url, args.seconds, args.connections)
    cpu = server.cpu_seconds() - cpu
    for case in cases:
        r.sample(case, "rate", got["rate"], "req/s", peer=server.name)
        r.sample(case, "throughput", got["rate"] * size * 8 / 1e9, "Gbit/s", peer=server.name)
        r.sample(case, "p99", got["p99_us"], "us", peer=server.name)
        r.sample(case, "CPU", cpu / (got["requests"] * size / 1e9), "s/GB", peer=server.name)


def main():
    p = rows.arguments(__doc__, rounds=2)
    p.add_argument("--servers", default=",".join(["spate-dpdk", "spate", *servers.PEERS]))
    p.add_argument("--connections", type=int, default=32)
    args = p.parse_args()
    if os.getuid() != 0:
        sys.exit("bench veth: a veth pair needs root")
    place.own_network()
    r = rows.Rows("veth", args.json)
    names = args.servers.split(",")
    with place.Place(veth=True) as here:
        bodies = {label: os.urandom(size) for label, size in SIZES.items()}
        for label, body in bodies.items():
            (here.files / f"{label.replace(' ', '')}.mp4").write_bytes(body)
        with servers.Files(here) as origin:
            for _, turn in rows.interleaved(names, args.rounds):
                for name in turn:
                    for tso in (True, False):
                        if name == "spate-dpdk" and not tso:
                            continue
                        words = ["TSO on", "TSO off"] if name == "spate-dpdk" else ["TSO on" if tso else "TSO off"]
                        server = None
                        try:
                            here.kernel_end(name != "spate-dpdk", tso)
                            server = servers.start(name, here, origin.port)
                            for label, size in SIZES.items():
                                path = f"/{label.replace(' ', '')}.mp4"
                                server.verify(path, bodies[label])
                                measure(r, [f"{label}, {w}" for w in words], server, path, size, args, here)
                        except (servers.Failed, OSError) as e:
                            print(f"FAILED {name}: {e}", file=sys.stderr)
                            for label in SIZES:
                                for w in words:
                                    r.failed(f"{label}, {w}", "rate", "req/s", name, e)
                        finally:
                            if server:
                                server.stop()
    r.rows.sort(key=lambda row: ("TSO on" in row["case"], list(SIZES).index(row["case"].split(",")[0])))
    for word in ("TSO off", "TSO on"):
        for label in SIZES:
            r.ratio(f"{label}, {word}", "rate", us="spate-dpdk")
            r.ratio(f"{label}, {word}", "CPU", us="spate-dpdk")
    r.finish()


if __name__ == "__main__":
    main()
