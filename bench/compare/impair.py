#!/usr/bin/python3
"""Goodput over an impaired wire: Spate's TCP on DPDK next to the kernel's (nginx, CUBIC), and next to the simulator.

Each case has two wires with the same faults and the same seed, a server on each, a Linux client at the far ends. The
servers take turns (another one first each round) until each case has --transfers of each. Where a wire's rate may be
the limit they go one by one, else --flows at a time. What is compared is the median goodput of a transfer. Cases run
--jobs at a time: they wait far more than they compute. Run it through `./dev bench impair`; needs root.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[0] = str(ROOT / "tests/lib")  # not this folder: its http.py would hide Python's
import wire  # noqa: E402
from lane import allow_congestion  # noqa: E402

AIM = 0.9  # times the kernel's goodput
BUILD = Path(os.environ.get("SPATE_BUILD", ROOT / "build-release")).resolve()
MIB = 1 << 20


def run_case(case, args, folder, want, work):
    """(goodputs of Spate, of the kernel, what Spate counted), Mbit/s."""
    wires = [wire.Wire(args.link, work, case.faults, args.seed) for _ in range(2)]
    servers = []
    got = {"spate": [], "kernel": []}
    try:
        servers.append(wire.SpateServer(args.spate, work, wires[0], folder))
        servers.append(wire.NginxServer(work, wires[1], folder))
        for r in range(args.transfers if case.alone else max(args.transfers // args.flows, 1)):
            for server in servers if r % 2 == 0 else servers[::-1]:
                clients = [server.client("/object") for _ in range(1 if case.alone else args.flows)]
                for f in [server.finished(c) for c in clients]:
                    assert f.sha256 == want, f"{case.name}: {server.name} sent other bytes"
                    got[server.name].append(args.size * MIB * 8 / 1e6 / f.seconds)
        counts = {k: int(v) for k, v in servers[0].edge.metrics().items() if k.startswith("tcp_") and v}
    finally:
        for server in servers:
            server.stop()
        for w in wires:
            w.close()
    return got["spate"], got["kernel"], counts


def simulated(case, args):
    """Median of what the same engine reaches in the simulator under the same loss and delay, Mbit/s."""
    if not case.sim or args.sim is None:
        return None
    loss, delay_ms = case.sim
    rate = ["--rate", str(wire.FAST_MBIT * 125000), "--queue", str(wire.FAST_QUEUE * 1538)] if case.alone else []
    out = subprocess.run([args.sim, "--delay", str(delay_ms * 1000), "--loss", str(int(loss * 10000)), "--bytes",
                          str(args.size * MIB), "--count", str(args.sim_runs), *rate],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["mbit"]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--cases", default="", help="only those whose name holds one of these (a,b,c)")
    p.add_argument("--transfers", type=int, default=8)
    p.add_argument("--flows", type=int, default=4, help="transfers at the same time")
    p.add_argument("--jobs", type=int, default=6, help="cases at the same time")
    p.add_argument("--size", type=int, default=10, metavar="MIB")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--sim-runs", type=int, default=15, help="seeds of the simulator")
    p.add_argument("--sim-only", action="store_true", help="nothing but the simulator")
    p.add_argument("--json", type=Path, metavar="FILE", help="rows for a comparison with another run")
    p.add_argument("--counters", action="store_true", help="what Spate's TCP counted, below each case")
    args = p.parse_args()
    allow_congestion("cubic")
    args.spate, args.link = BUILD / "spate", BUILD / "tests/lib/link"
    args.sim = BUILD / "tests/sim/throughput"
    if not args.sim_only and os.getuid() != 0:
        sys.exit("bench impair: namespaces and TAPs need root (or --sim-only)")
    cases = [c for c in wire.CASES if not args.cases or any(x in c.name for x in args.cases.split(","))]
    if args.sim_only:
        cases = [c for c in cases if c.sim]
    rows, lock = [], threading.Lock()

    def row(case, metric, value, unit, aim=None, peer=None):
        rows.append({"bench": "impair", "case": case.name, "metric": metric, "value": value, "unit": unit, "aim": aim,
                     "peer": peer})

    print(f"{'case':34} {'spate':>8} {'(lowest..highest)':>20} {'kernel':>8} {'(lowest..highest)':>20} {'ratio':>6} "
          f"{'sim':>8}   Mbit/s", flush=True)

    def one(case, folder, want, work):
        sim = simulated(case, args)
        spate = kernel = counts = None
        if not args.sim_only:
            spate, kernel, counts = run_case(case, args, folder, want, work)
        with lock:
            text = f"{case.name:34}"
            if spate:
                a, b = statistics.median(spate), statistics.median(kernel)
                row(case, "goodput", a, "Mbit/s", peer="spate")
                row(case, "goodput", b, "Mbit/s", peer="kernel")
                row(case, "ratio", a / b, "x", AIM, "kernel")
                text += "".join(f" {m:8.2f} {f'({min(v):.2f}..{max(v):.2f})':>20}" for m, v in ((a, spate), (b, kernel)))
                text += f" {a / b:6.2f}"
            else:
                text += " " * 66
            if sim is not None:
                row(case, "goodput", sim, "Mbit/s", peer="simulator")
                text += f" {sim:8.2f}"
            if spate and a / b < AIM:
                text += f"   below {AIM}"
            print(text, flush=True)
            if args.counters and counts:
                print("   ", *(f"{k[4:]}={v}" for k, v in counts.items()), flush=True)

    with tempfile.TemporaryDirectory(prefix="spate-impair-") as tmp:
        work = Path(tmp)
        work.chmod(0o755)
        folder = work / "www"
        folder.mkdir()
        data = os.urandom(args.size * MIB)
        (folder / "object").write_bytes(data)
        want = hashlib.sha256(data).hexdigest()
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for f in [pool.submit(one, c, folder, want, work) for c in cases]:
                f.result()
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    below = [r for r in rows if r["metric"] == "ratio" and r["value"] < AIM]
    if not args.sim_only:
        print(f"{len([r for r in rows if r['metric'] == 'ratio']) - len(below)} of {len(cases)} cases reach {AIM} x "
              f"the kernel's goodput")
        sys.exit(1 if below else 0)


if __name__ == "__main__":
    main()
