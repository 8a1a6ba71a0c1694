#!/usr/bin/python3
"""Memory an idle keep-alive connection holds, after one answer: the server's own, and the kernel's for both ends.

The server's is the slope of its proportional set size (PSS) from a fifth of --connections on, a line of least squares
through twenty points: what a server pays once (pools, stacks, the pages of a lookup table that any few hundred
connections touch) is not counted. Transparent huge pages are off for all servers here: 4,000 connections of ours fill
one and a half of them, so the rounding would be measured instead. 5,000 answers come first, which pay for
buffers that are the process's and no connection's. The kernel's is the growth of slab, socket and page memory of the
whole machine meanwhile, and holds the client's end of each connection too: a note, the same for everybody on sockets.
On DPDK both ends of a connection are not the kernel's alike: the server's end is in its own memory.
"""
import ctypes
import socket
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent / "lib")
import place  # noqa: E402
import rows  # noqa: E402
import servers  # noqa: E402

PR_SET_THP_DISABLE = 41


def kernel_bytes():
    """Slab, and what sockets hold."""
    total = 0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(("Slab:", "KernelStack:", "PageTables:")):
            total += int(line.split()[1]) * 1024
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            fields = line.split()
            total += int(fields[fields.index("mem") + 1]) * 4096
    return total


def ask(server, s):
    s.sendall(b"GET /1.mp4 HTTP/1.1\r\nHost: bench\r\n\r\n")
    got = b""
    while b"\r\n\r\n" not in got or len(got) < got.index(b"\r\n\r\n") + 4 + 1024:
        more = s.recv(65536)
        if not more:
            raise servers.Failed(f"{server.name} closed a connection")
        got += more


def opened(server, count):
    """So many connections, each with one answer behind it."""
    out = []
    for _ in range(count):
        s = server.here.connect(server.host, server.port, 20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask(server, s)
        out.append(s)
    return out


def slope(points):
    n = len(points)
    x, y = (sum(p[i] for p in points) / n for i in (0, 1))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def one(r, case, server, args, aim):
    conns = opened(server, args.connections // 5)
    for _ in range(5000):
        ask(server, conns[0])
    time.sleep(0.5)
    kernel, began = kernel_bytes(), len(conns)
    own = [(began, server.memory())]
    while len(conns) < args.connections:
        conns += opened(server, max(1, (args.connections - began) // 20))
        time.sleep(0.1)
        own.append((len(conns), server.memory()))
    r.sample(case, "own memory", slope(own), "B/connection", aim if not server.peer else None, server.name)
    r.sample(case, "kernel, both ends", (kernel_bytes() - kernel) / (len(conns) - began), "B/connection",
             peer=server.name)
    for s in conns:
        s.close()


def main():
    p = rows.arguments(__doc__, rounds=1)
    p.add_argument("--connections", type=int, default=5000)
    p.add_argument("--servers", default=",".join(["spate", *servers.PEERS, "spate-dpdk"]))
    args = p.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)  # our children's too
    place.own_network()
    r = rows.Rows("idle", args.json)
    names = args.servers.split(",")
    for veth in (False, True):
        mine = [n for n in names if (n == "spate-dpdk") == veth]
        if not mine:
            continue
        case = f"{args.connections:,} idle connections"
        with place.Place(veth=veth) as here:
            (here.files / "1.mp4").write_bytes(b"x" * 1024)
            with servers.Files(here) as origin:
                for _, turn in rows.interleaved(mine, args.rounds):
                    for name in turn:
                        server = None
                        try:
                            if veth:
                                here.kernel_end(False)
                            server = servers.start(name, here, origin.port)
                            one(r, case, server, args, 1024 if veth else 4096)
                        except (servers.Failed, OSError) as e:
                            r.failed(case, "own memory", "B/connection", name, e)
                        finally:
                            if server:
                                server.stop()
    r.ratio(case, "own memory")
    r.finish()


if __name__ == "__main__":
    main()
