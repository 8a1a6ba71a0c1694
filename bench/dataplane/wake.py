#!/usr/bin/python3
"""What a sleeping worker costs: how late the first byte of an answer is after a pause, and how much of a core it takes to wait.

    ./dev bench wake

One edge with `dpdk.idle: adaptive` and one with `spin`, each over af_packet on a veth of its own, take turns. A client
with the kernel's TCP keeps one connection, rests, asks for a small cached object, and times the answer; both sleep at
the same places of the same kernel, so what differs is the worker's sleep. The CPU figure is user and system time of
the edge while nobody asks. Needs root.
"""
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:1] = [str(ROOT / "tests/lib"), str(ROOT / "bench/lib")]
import edge as edges  # noqa: E402
import rows  # noqa: E402
import vdev  # noqa: E402

BUILD = Path(os.environ.get("SPATE_BUILD", ROOT / "build-release")).resolve()
REQUEST = b"GET /small HTTP/1.1\r\nHost: e\r\n\r\n"


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asked(conn):
    """Microseconds from the request to the first byte of its answer; the rest is read too."""
    t = time.perf_counter_ns()
    conn.sendall(REQUEST)
    got = conn.recv(65536)
    us = (time.perf_counter_ns() - t) / 1000
    while b"\r\n\r\n" not in got or not got.endswith(b"the end\n"):
        got += conn.recv(65536)
    return us


def main():
    p = rows.arguments(__doc__, rounds=3)
    p.add_argument("--pauses", default="0,1,10,100", help="ms between requests")
    p.add_argument("--requests", type=int, default=60, help="a pause and a round")
    args = p.parse_args()
    r = rows.Rows("wake")
    backend = vdev.AfPacket()
    with tempfile.TemporaryDirectory() as tmp:
        work = Path(tmp)
        (work / "www").mkdir()
        (work / "www/small").write_text("the end\n", encoding="ascii")
        backend.setup(work)
        try:
            for _, modes in rows.interleaved(["spin", "adaptive"], args.rounds):
                for mode in modes:
                    one_round(r, backend, work, mode, [float(x) for x in args.pauses.split(",")], args)
        finally:
            backend.teardown()
    r.finish(args.json)


def one_round(r, backend, work, mode, pauses, args):
    e = edges.Edge(BUILD / "spate", Path(tempfile.mkdtemp(dir=work)), backend,
                   {"origins": [{"dir": str(work / "www")}], "dpdk": {"idle": mode}})
    try:
        time.sleep(0.5)
        before, t = cpu_s(e.pid), time.monotonic()
        time.sleep(args.seconds)
        idle = 100 * (cpu_s(e.pid) - before) / (time.monotonic() - t)
        r.sample("nobody asks", "core taken", idle, "% core", peer=mode)
        with e.connect() as conn:
            asked(conn.sock)
            for ms in pauses:
                late = []
                for _ in range(args.requests):
                    time.sleep(ms / 1000)
                    late.append(asked(conn.sock))
                late.sort()
                for name, at in (("p50", 0.5), ("p90", 0.9)):
                    r.sample(f"after {ms:g} ms", f"first byte {name}", late[int(at * (len(late) - 1))], "us", peer=mode)
    finally:
        e.stop()


if __name__ == "__main__":
    main()
