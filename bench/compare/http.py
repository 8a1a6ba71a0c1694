#!/usr/bin/python3
"""Spate and its peers side by side over loopback: hot hits, one core for the server, one for the client.

See README.md for what makes it fair. Run it through `./dev bench http`, which builds a release first.
"""
import os
import sys

# This file's name would hide Python's own http.
sys.path = [p for p in sys.path if os.path.abspath(p) != os.path.dirname(os.path.abspath(__file__))]

import argparse
import http.client
import json
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
AIM = 1.3  # times the best peer
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
TICK = os.sysconf("SC_CLK_TCK")


def size_of(text):
    m = re.fullmatch(r"(\d+)(B|KiB|MiB|GiB)", text)
    if not m:
        raise argparse.ArgumentTypeError(f"{text}: a size is a number and B, KiB, MiB or GiB")
    return text, int(m[1]) * UNITS[m[2]]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not path:
        sys.exit(f"bench http: {name} is not installed (./dev setup bench)")
    return path


class Server:
    """A program under its own configuration, pinned to `core`, from start() to stop()."""

    def __init__(self, name, work, files, core, **values):
        self.name, self.core, self.process = name, core, None
        self.tmp = work / name
        self.tmp.mkdir(exist_ok=True)
        self.port = free_port()
        self.values = dict(port=self.port, dir=files, tmp=self.tmp, **values)

    def conf(self, name):
        text = (HERE / "conf" / name).read_text()
        for key, value in self.values.items():
            text = text.replace(f"@{key}@", str(value))
        out = self.tmp / name
        out.write_text(text)
        return str(out)

    def command(self):
        raise NotImplementedError

    def start(self):
        log = open(self.tmp / "out", "wb")
        self.process = subprocess.Popen(["taskset", "-c", str(self.core), *self.command()], cwd=self.tmp,
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        text = (self.tmp / "out").read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"{self.name} does not start: {text}")

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            tree = [self.process.pid, *descendants(self.process.pid)]
            for pid in tree:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        self.process = None


class Spate(Server):
    binary = None

    def command(self):
        return [str(self.binary), "run", "--config", self.conf("spate.yaml")]


class Nginx(Server):
    def command(self):
        return [find("nginx"), "-p", str(self.tmp), "-e", str(self.tmp / "nginx.err"), "-c",
                self.conf("nginx.conf")]


class H2O(Server):
    def command(self):
        return [find("h2o"), "-m", "worker", "-c", self.conf("h2o.yaml")]


class Varnish(Server):
    """The cache in front of nginx; the backend runs on the client's core and is idle while we measure."""

    # Varnish logs each transaction into shared memory; the others' logs are off, so is this one.
    QUIET = ("Begin End Link SessOpen SessClose ReqStart ReqMethod ReqURL ReqProtocol ReqHeader ReqUnset ReqAcct "
             "RespProtocol RespStatus RespReason RespHeader RespUnset VCL_call VCL_return Timestamp Hit Length")

    def __init__(self, name, work, files, core):
        self.backend = Nginx("varnish-backend", work, files, 1 - core)
        super().__init__(name, work, files, core, backend=self.backend.port)

    def command(self):
        return [find("varnishd"), "-F", "-j", "none", "-n", str(self.tmp / "n"), "-f",
                self.conf("varnish.vcl"), "-a", f"127.0.0.1:{self.port}", "-s", "malloc,512m", "-T", "none",
                "-p", "thread_pools=1", "-p", "vsl_mask=" + ",".join("-" + tag for tag in self.QUIET.split()), "-p", "timeout_idle=60"]

    def start(self):
        self.backend.start()
        super().start()

    def stop(self):
        super().stop()
        self.backend.stop()


def descendants(pid):
    """Of a process, itself not included."""
    out = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            out += [int(child), *descendants(int(child))]
    return out


def cpu_seconds(pid):
    """User and system time of a process and all below it: threads and io_uring's workers are in it."""
    total = 0
    for p in [pid, *descendants(pid)]:
        try:
            fields = Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def softirq_seconds(core):
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            return int(line.split()[7]) / TICK
    return 0.0


def verify(server, path, want):
    """Twice: the first may fill a cache, the second is what will be measured."""
    for _ in range(2):
        c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        c.request("GET", path)
        r = c.getresponse()
        body = r.read()
        c.close()
        if r.status != 200 or body != want:
            raise RuntimeError(f"{server.name} {path}: status {r.status}, {len(body)} of {len(want)} bytes, "
                               f"{'equal' if body == want else 'different'}")


def wrk(url, seconds, core, connections):
    out = subprocess.run(["taskset", "-c", str(core), find("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s",
                          "--timeout", "10s", "--latency", url], capture_output=True, text=True,
                         timeout=seconds + 60, check=True).stdout
    for bad in ("Socket errors", "Non-2xx"):
        if bad in out:
            raise RuntimeError(f"wrk {url}: {re.search(bad + '.*', out)[0]}")
    requests, took = re.search(r"(\d+) requests in ([\d.]+)(s|m)", out).group(1, 2)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", out)
    return {"requests": int(requests), "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "seconds": float(took), "p99_us": float(p99[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[p99[2]]}


def measure(server, size, seconds, args):
    url = f"http://127.0.0.1:{server.port}/{size[0]}.mp4"
    wrk(url, 1, args.client_core, args.connections)  # warm up
    cpu, irq = cpu_seconds(server.process.pid), softirq_seconds(server.core)
    got = wrk(url, seconds, args.client_core, args.connections)
    cpu, irq = cpu_seconds(server.process.pid) - cpu, softirq_seconds(server.core) - irq
    gb = got["requests"] * size[1] / 1e9
    return {"rate": got["rate"], "p99_us": got["p99_us"], "cpu_s_per_gb": cpu / gb, "softirq_s_per_gb": irq / gb}


def show(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def report(results, names, sizes):
    """Prints all medians with their spread; returns the JSON rows."""
    rows = []

    def row(case, metric, value, unit, aim=None, peer=None, **more):
        rows.append({"bench": "http", "case": case, "metric": metric, "value": value, "unit": unit, "aim": aim,
                     "peer": peer, **more})

    for label, size in sizes:
        print(f"\n{label}: median (lowest–highest)")
        print(f"  {'':8} {'req/s':>28} {'Gbit/s':>8} {'p99 µs':>9} {'CPU s/GB':>9} {'softirq s/GB':>12}")
        medians = {}
        for name in names:
            runs = results.get((name, label), [])
            if not runs:
                print(f"  {name:8} {'failed':>28}")
                continue
            med = {k: statistics.median(r[k] for r in runs) for k in runs[0]}
            rates = [r["rate"] for r in runs]
            medians[name] = med["rate"]
            print(f"  {name:8} {show(rates, '.0f'):>28} {med['rate'] * size * 8 / 1e9:8.2f} {med['p99_us']:9.0f} "
                  f"{med['cpu_s_per_gb']:9.3f} {med['softirq_s_per_gb']:12.3f}")
            row(label, "rate", med["rate"], "req/s", peer=name, rounds=rates)
            row(label, "throughput", med["rate"] * size * 8 / 1e9, "Gbit/s", peer=name)
            row(label, "p99", med["p99_us"], "us", peer=name)
            row(label, "cpu", med["cpu_s_per_gb"], "s/GB", peer=name)
            row(label, "softirq", med["softirq_s_per_gb"], "s/GB", peer=name)
        peers = {n: r for n, r in medians.items() if n != "spate"}
        if "spate" in medians and peers:
            best = max(peers, key=peers.get)
            ratio = medians["spate"] / peers[best]
            print(f"  spate is {ratio:.2f} × the best peer ({best}); aim {AIM}"
                  f"{'' if ratio >= AIM else ': short of it' if ratio >= 1 else ': BEHIND'}")
            row(label, "ratio", ratio, "x", aim=AIM, peer=best)
    return rows


KINDS = {"spate": Spate, "nginx": Nginx, "h2o": H2O, "varnish": Varnish}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5)")
    p.add_argument("--seconds", type=int, default=5, help="of each measurement (5)")
    p.add_argument("--sizes", type=lambda s: [size_of(x) for x in s.split(",")],
                   default="1KiB,64KiB,1MiB,4MiB", help="1KiB,64KiB,1MiB,4MiB")
    p.add_argument("--servers", type=lambda s: s.split(","), default="spate,nginx,h2o,varnish",
                   help="spate,nginx,h2o,varnish")
    p.add_argument("--connections", type=int, default=32, help="of wrk (32)")
    p.add_argument("--json", type=Path, metavar="FILE", help="rows for a comparison with another run")
    p.add_argument("--spate", type=Path, help="the program ($SPATE_BUILD/spate)",
                   default=Path(os.environ.get("SPATE_BUILD", ROOT / "build-release")) / "spate")
    p.add_argument("--congestion", metavar="NAME",
                   help="run in a network namespace of its own where this is the default congestion control")
    p.add_argument("--server-core", type=int, default=0)
    p.add_argument("--client-core", type=int, default=1)
    args = p.parse_args()
    for name in args.servers:
        if name not in KINDS:
            p.error(f"{name}: one of {', '.join(KINDS)}")
    if "spate" in args.servers and not args.spate.exists():
        p.error(f"{args.spate} is not there: run ./dev bench http, or say --spate FILE")
    if len(os.sched_getaffinity(0)) < 2:
        p.error("two cores are needed: one for the server, one for wrk")
    return args


def own_namespace(name):
    """Starts over in a new network namespace, where every server gets this congestion control."""
    if os.environ.get("SPATE_BENCH_NAMESPACE") != str(os.getpid()):
        os.environ["SPATE_BENCH_NAMESPACE"] = str(os.getpid())  # exec keeps the process
        os.execvp("unshare", ["unshare", "--net", "--", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text(name)


def main():
    args = arguments()
    if args.congestion:
        own_namespace(args.congestion)
    Spate.binary = args.spate.resolve()
    results, failed = {}, []
    work = Path(tempfile.mkdtemp(prefix="spate-bench-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        work.chmod(0o755)  # H2O and nginx drop to another user when run as root
        files = work / "files"
        files.mkdir()
        bodies = {label: os.urandom(size) for label, size in args.sizes}
        for label, body in bodies.items():
            (files / f"{label}.mp4").write_bytes(body)
        default = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
        print(f"congestion control of the machine: {default}; load before: {Path('/proc/loadavg').read_text().split()[0]}; server on core {args.server_core}, "
              f"wrk -t1 -c{args.connections} on core {args.client_core}; {args.rounds} rounds of {args.seconds} s")
        for turn in range(args.rounds):
            # Another one begins each round, so that no server always runs after the same other.
            names = args.servers[turn % len(args.servers):] + args.servers[:turn % len(args.servers)]
            for name in names:
                server = KINDS[name](name, work, files, args.server_core)
                try:
                    server.start()
                    for size in args.sizes:
                        verify(server, f"/{size[0]}.mp4", bodies[size[0]])
                        got = measure(server, size, args.seconds, args)
                        results.setdefault((name, size[0]), []).append(got)
                        print(f"round {turn + 1} {name:8} {size[0]:>6} {got['rate']:10.0f} req/s", flush=True)
                except (RuntimeError, OSError, http.client.HTTPException, subprocess.SubprocessError) as e:
                    failed.append(f"round {turn + 1} {name}: {e}")
                    print(failed[-1], file=sys.stderr, flush=True)
                finally:
                    server.stop()
        rows = report(results, args.servers, args.sizes)
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1) + "\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
