#!/usr/bin/python3
"""Line rate from one core: the edge on one core, spate-load with our own TCP on the other, over devices that are wires.

    ./dev bench line

1 MiB objects, 1 GiB of them (no cache holds that), MTU 1500. One answer of 64 is verified by XXH3-64 in the timed
runs; before them, a run that is not timed verifies every object against the files it was made of. Beside each figure, in
the same round and through the same device: a bare sender of equally cold buffers (bare.c: prepared headers, no TCP,
nothing summed), and dpdk-testpmd txonly (one hot buffer over and over: a ceiling that no server of content reaches).
"generator busy" says when the client's core was the limit.

  memif      both copy: the edge from the cold cache into the ring, the client out of it; checksums in software
  vhost      the edge on net_vhost: it copies from the cache into the client's buffers; checksums are left out by both ends
  virtio     the edge on net_virtio_user: nothing is copied on its core, the client's vhost side reads the cache cold
  virtio-tso the same with packets of up to 64 KiB; the others have no TSO (net_vhost of DPDK 22.11 offers none to its user)
  af_packet, af_xdp, tap: towards the kernel, whose TCP is the client (spate-load on sockets); measures the kernel too

Where the host moves a virtual machine's cores about, what they pass to each other costs several times as much while they do not
share a cache (bench/lib/cores.py). So the time of a cache line's trip is taken before and after each figure, and figures
taken across are rows of their own ("cores apart"), without an aim: no NIC is on the other side of a chip.

All figures are payload. It ends within --budget seconds: rounds that do not fit are left out. Needs root and 2.8 GiB of
huge pages; a helper process gives them back however this one ends.
"""
import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:1] = [str(ROOT / "bench/lib")]
import cores  # noqa: E402
import dpdk  # noqa: E402
import rows  # noqa: E402
from dpdk import end, start, vdevs  # noqa: E402

BUILD = Path(os.environ.get("SPATE_BUILD", ROOT / "build-release")).resolve()
AIM_GBIT = 94  # a full 100 GbE: 1448 of each 1538 bytes are payload
PAGES = 1450
SIZE = 1 << 20
PATIENCE_S = 4  # for the cores to come together
TRIES = 3  # as many rounds, at most, until there are enough with the cores together

WIRES = ("memif", "vhost", "virtio", "virtio-tso")
KERNEL = ("af_packet", "af_xdp", "tap")
MSS = 1448  # with timestamps
TSO = 44 * MSS


class Link:
    """A device towards the kernel: a veth pair, or net_tap's own interface, its far end in a namespace."""

    def __init__(self, kind):
        self.kind, self.ns = kind, f"spline{os.getpid()}"
        self.near, self.far = f"sl{os.getpid()}e", f"sl{os.getpid()}c"
        self.eal = {"af_packet": f"--vdev=net_af_packet0,iface={self.near},framecnt=4096,qdisc_bypass=1",
                    "af_xdp": f"--vdev=net_af_xdp0,iface={self.near}", "tap": f"--vdev=net_tap0,iface={self.far}"}[kind]

    def __enter__(self):
        sh(f"ip netns add {self.ns}")
        if self.kind != "tap":
            sh(f"ip link add {self.near} type veth peer name {self.far} netns {self.ns}")
            Path(f"/proc/sys/net/ipv6/conf/{self.near}/disable_ipv6").write_text("1", encoding="ascii")
            sh(f"ip link set {self.near} up")
            sh(f"ip netns exec {self.ns} ethtool -K {self.far} tx off tso off gso off")
            self.up()
        return self

    def up(self):
        if self.kind == "tap":
            sh(f"ip link set {self.far} netns {self.ns} txqueuelen 10000")
        sh(f"ip -n {self.ns} addr add 10.9.0.2/24 dev {self.far}")
        sh(f"ip -n {self.ns} link set {self.far} up")

    def __exit__(self, *_):
        for line in (f"ip link set dev {self.near} xdp off", f"ip link del {self.near}", f"ip netns del {self.ns}"):
            subprocess.run(line.split(), capture_output=True, check=False)


def sh(line):
    done = subprocess.run(line.split(), capture_output=True, text=True, timeout=10, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{line}: {done.stderr}")


class Bench:
    def __init__(self, args, work):
        self.args, self.work, self.distance, self.round = args, work, cores.Distance(BUILD), []
        self.files = work / "files"
        self.files.mkdir()
        for i in range(args.objects):
            (self.files / f"{i:05d}").write_bytes(os.urandom(SIZE))
        self.list = work / "urls"
        with open(self.list, "w", encoding="ascii") as f:
            subprocess.run([self.load, "--make-urls", self.files], stdout=f, check=True)

    load = str(BUILD / "bench/load/spate-load")

    @contextlib.contextmanager
    def edge(self, kind, near=None):
        """A new one each time: virtio-user in server mode cannot be connected to twice (DPDK 22.11)."""
        sock = self.work / "wire.sock"
        sock.unlink(missing_ok=True)
        far = None
        if near is None:
            near, far = vdevs(kind, sock)
        with dpdk.edge(BUILD / "spate", self.work, near, cache={"memory": f"{self.args.objects + 160}MiB"},
                       origins=[{"match": "/", "dir": str(self.files)}]):
            yield far

    def client(self, far, *argv):
        """spate-load on the other core, over DPDK, or in a namespace over the kernel's TCP; its rows by metric."""
        out = self.work / "load.json"
        out.unlink(missing_ok=True)
        place = ["ip", "netns", "exec", far.ns] if isinstance(far, Link) else []
        way = [] if place else dpdk.client(far)
        with open(self.work / "load.log", "w+b") as log:
            p = start([*place, self.load, *way, "--cpu", "1", "-c", str(self.args.connections), "--urls", self.list,
                       "--json", out, "--quiet", *argv, "http://10.9.0.1/"], log)
            try:
                code = p.wait(40)
            finally:
                end(p)
            log.seek(0)
            if code != 0:
                raise RuntimeError(log.read().decode(errors="replace")[-300:])
        return {r["metric"]: r["value"] for r in json.loads(out.read_text())}

    def verify(self, r, kind):
        with self.edge(kind) as far:
            got = self.client(far, "-n", str(self.args.objects * 2), "--verify", "list", "--timeout", "20s")
        r.add(kind, "objects verified, not timed", got["verified"], "", wrong=got["wrong"])

    def took(self, metric, value, unit, peer=rows.US, aim=None):
        """A figure of the round; which row it belongs to is known when the round is over."""
        self.round.append((metric, value, unit, peer, aim))

    def measure(self, r, job, kind):
        self.round, before = [], self.distance.near(PATIENCE_S)
        job(kind)
        after = self.distance.ns()
        apart = self.distance.apart(before, after)
        for metric, value, unit, peer, aim in self.round:
            r.sample(kind + (", cores apart" if apart else ""), metric, value, unit, aim=None if apart else aim, peer=peer)
        return not apart

    def goodput(self, kind):
        timed = ("-d", f"{self.args.seconds}s", "--cover", "--warmup", "1s", "--verify", "first", "--verify-sample", "64")
        if kind in KERNEL:
            with Link(kind) as link, self.edge(kind, link.eal):
                if kind == "tap":
                    link.up()
                got = self.client(link, *timed)
        else:
            with self.edge(kind) as far:
                got = self.client(far, *timed)
        self.took("goodput", got["goodput"], "Gbit/s", rows.US, AIM_GBIT if kind in WIRES[:3] else None)
        if got.get("generator busy") is not None:
            self.took("generator busy", 100 * got["generator busy"], "% core")
        self.took("time to 1 MiB, p99", got["latency p99"], "us")

    def pmd(self, core, mode, vdev, *argv):
        out = open(self.work / f"testpmd.{mode}", "w+b")
        return start(["dpdk-testpmd", f"--lcores=0@{core},1@{core}", "--no-pci", "--in-memory", "-m", "256", *vdev.split(),
                      "--", f"--forward-mode={mode}", "--stats-period=1", "--auto-start", "--no-lsc-interrupt", *argv],
                     out), out

    def rate(self, mode, what):
        said = (self.work / f"testpmd.{mode}").read_bytes()
        pps = sorted(int(x) for x in re.findall(what + rb"-pps:\s+(\d+)", said))
        rate = pps[len(pps) * 3 // 4] if pps else 0  # the first and the last second are not whole
        if rate == 0:
            raise RuntimeError("testpmd: nothing came: " + said.decode(errors="replace")[-200:])
        return rate * MSS * 8 / 1e9

    def testpmd(self, kind):
        ends = []
        with contextlib.ExitStack() as stack:
            link = stack.enter_context(Link(kind)) if kind in KERNEL else None
            sock = self.work / "wire.sock"
            sock.unlink(missing_ok=True)
            near, far = (link.eal, None) if link else vdevs(kind, sock)
            try:
                ends.append(self.pmd(0, "txonly", near, "--txpkts=1514"))
                time.sleep(1.5)
                if kind == "tap":
                    link.up()
                if not link:
                    ends.append(self.pmd(1, "rxonly", far))
                time.sleep(self.args.seconds + 2)
            finally:
                for p, out in ends[::-1]:
                    end(p)  # and only then is all it said in the file
                    out.close()
        value = self.rate("txonly", rb"Tx") if link else self.rate("rxonly", rb"Rx")
        self.took("goodput", value, "Gbit/s", "testpmd txonly")

    def bare(self, kind):
        sock = self.work / "wire.sock"
        sock.unlink(missing_ok=True)
        near, far = vdevs(kind, sock)
        tso = kind.endswith("-tso")
        with open(self.work / "bare.log", "w+b") as log:
            p = start(["taskset", "-c", "0", BUILD / "bench/dataplane/bare-sender", str(self.args.seconds), str(MSS),
                       str(TSO if tso else 0), "--", "--lcores=0@0", "--no-pci", "--in-memory", "-m", "1280", *near.split()],
                      log)
            q = None
            try:
                for _ in range(60):  # in server mode virtio-user says it only once somebody has come
                    if b"ready" in (self.work / "bare.log").read_bytes():
                        break
                    time.sleep(0.1)
                q, out = self.pmd(1, "rxonly", far)
                p.wait(self.args.seconds + 12)
            finally:
                end(p)
                if q:
                    end(q)
                    out.close()
            log.seek(0)
            said = log.read().decode(errors="replace")
        got = re.search(r'"gbit": ([\d.]+)', said)
        if not got or float(got[1]) == 0:
            raise RuntimeError(said[-300:])
        self.took("goodput", float(got[1]), "Gbit/s", "bare sender")


def stop(*_):
    raise SystemExit("bench line: ended")


def main():
    p = rows.arguments(__doc__, rounds=2, seconds=2)
    p.add_argument("--kinds", default=",".join(WIRES + KERNEL))
    p.add_argument("--jobs", default="verify,goodput,bare,testpmd", help="what to do with each")
    p.add_argument("--objects", type=int, default=1000, help="of 1 MiB each (1000)")
    p.add_argument("--connections", type=int, default=16)
    p.add_argument("--budget", type=float, default=215, help="seconds after which nothing is begun (215)")
    p.add_argument("--quick", action="store_true", help="one round, one device")
    args = p.parse_args()
    kinds, jobs = args.kinds.split(","), args.jobs.split(",")
    if args.quick:
        args.rounds, args.seconds, kinds, jobs = 1, 2, kinds[:1], ["goodput", "bare", "testpmd"]
    until = time.monotonic() + args.budget
    r = rows.Rows("line", args.json)
    if dpdk.why_not():
        for kind in kinds:
            r.failed(kind, "goodput", "Gbit/s", rows.US, dpdk.why_not())
        r.finish()
        return
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, stop)
    if not (BUILD / "bench/dataplane/bare-sender").exists():
        subprocess.run(["ninja", "-C", BUILD, "bench/dataplane/bare-sender"], check=True, stdout=subprocess.DEVNULL)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    tmp = tempfile.mkdtemp(prefix="spate-line-", dir=base)
    veth, ns = f"sl{os.getpid()}e", f"spline{os.getpid()}"
    with dpdk.huge_pages(PAGES, tmp, f"ip link set dev {veth} xdp off; ip link del {veth}; ip netns del {ns}") as enough:
        if not enough:
            sys.exit(f"bench line: {PAGES} huge pages of 2 MiB cannot be had")
        b = Bench(args, Path(tmp))
        near, tried = collections.Counter(), collections.Counter()
        for turn, names in rows.interleaved(kinds, args.rounds * TRIES):
            for kind in names:
                if turn == 0 and "verify" in jobs and kind in WIRES:
                    attempt(r, lambda k: b.verify(r, k), kind, "objects verified, not timed", until)
                for name, peer, which in (("goodput", rows.US, kinds), ("bare", "bare sender", WIRES),
                                          ("testpmd", "testpmd txonly", [k for k in kinds if not k.endswith("-tso")])):
                    # A ceiling needs no second round; a wire's figure wants rounds with the cores together.
                    wanted, most = (1, 2) if name == "testpmd" else (args.rounds, args.rounds * TRIES)
                    if name not in jobs or kind not in which or near[kind, name] >= wanted or tried[kind, name] >= most:
                        continue
                    tried[kind, name] += 1
                    near[kind, name] += bool(attempt(r, lambda k, job=getattr(b, name): b.measure(r, job, k), kind, "goodput",
                                                     until, peer))
    for kind in kinds:
        if "goodput" in jobs:
            r.failed(kind, "goodput", "Gbit/s", rows.US, "the cores were apart in every round")
    ratios(r, kinds)
    r.finish()


def ratios(r, kinds):
    """Of figures with the cores together; where one of the two has none, of those with both apart: never of a mixture."""
    for kind in kinds:
        to, aim = ("testpmd txonly", 0.85) if kind in KERNEL else ("bare sender", 0.85 if kind.endswith("-tso") else None)
        together, apart = r.find(kind, "goodput"), r.find(kind + ", cores apart", "goodput")
        ours = {rows.US, to}
        r.ratio(kind if ours <= set(together) or not ours <= set(apart) else kind + ", cores apart", "goodput", aim=aim, to=to)


def attempt(r, job, kind, what, until, peer=rows.US):
    """What job says, None when there was no time or it failed; then a row says so, unless another round had a figure."""
    if time.monotonic() > until:
        r.failed(kind, what, "Gbit/s", peer, "no time was left with the cores together: a larger --budget")
        return None
    try:
        return job(kind)
    except (RuntimeError, OSError, KeyError, subprocess.TimeoutExpired) as e:
        r.failed(kind, what, "Gbit/s", peer, e)


main()
