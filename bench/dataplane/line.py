#!/usr/bin/python3
"""Line rate from one core: the edge on one core, spate-load with our own TCP on the other, over devices that are wires.

    ./dev bench line

1 MiB objects, 1 GiB of them (no cache holds that), MTU 1500, no TSO. One answer of 64 is verified by XXH3-64 in the timed
runs; before them, a run that is not timed verifies every object against the files it was made of. Beside each figure is
what dpdk-testpmd pushes through the same device in the same round (txonly: one hot buffer over and over, no TCP, no
cold memory: a ceiling that no server of content reaches). "generator busy" says when the client's core was the limit.

  memif    both copy: the edge from the cold cache into the ring, the client out of it; checksums in software
  vhost    the edge on net_vhost: it copies from the cache into the client's buffers; checksums are left out by both ends
  virtio   the edge on net_virtio_user: nothing is copied on its core, the client's vhost side reads the cache cold

Needs root and 2.8 GiB of huge pages (taken, and given back at the end).
"""
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

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:1] = [str(ROOT / "bench/lib")]
import rows  # noqa: E402

BUILD = Path(os.environ.get("SPATE_BUILD", ROOT / "build-release")).resolve()
AIM_GBIT = 94  # a full 100 GbE: 1448 of each 1538 bytes are payload
HUGE = Path("/proc/sys/vm/nr_hugepages")
PAGES = 1400
SIZE = 1 << 20


def vdevs(kind, sock):
    """EAL arguments of the edge, of the client."""
    memif = f"socket={sock},socket-abstract=no,bsize=2048,rsize=11"
    return {
        "memif": (f"--vdev=net_memif0,role=server,{memif}", f"--vdev=net_memif0,role=client,{memif}"),
        "vhost": (f"--vdev=net_vhost0,iface={sock},queues=1",
                  f"--single-file-segments --vdev=net_virtio_user0,path={sock},queue_size=1024"),
        "virtio": (f"--single-file-segments --vdev=net_virtio_user0,path={sock},queue_size=1024,server=1",
                   f"--vdev=net_vhost0,iface={sock},queues=1,client=1"),
    }[kind]


class Bench:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.files = work / "files"
        self.files.mkdir()
        for i in range(args.objects):
            (self.files / f"{i:05d}").write_bytes(os.urandom(SIZE))
        self.list = work / "urls"
        with open(self.list, "w", encoding="ascii") as f:
            subprocess.run([self.load, "--make-urls", self.files], stdout=f, check=True)

    load = str(BUILD / "bench/load/spate-load")

    @contextlib.contextmanager
    def edge(self, kind):
        """A new one each time: virtio-user in server mode cannot be connected to twice (DPDK 22.11)."""
        sock = self.work / "wire.sock"
        sock.unlink(missing_ok=True)
        near, far = vdevs(kind, sock)
        config = {"workers": 1, "backend": "dpdk", "listen": ["10.9.0.1:80"], "admin": "off", "log": {"access": "off"},
                  "cache": {"memory": f"{self.args.objects + 160}MiB"}, "origins": [{"match": "/", "dir": str(self.files)}],
                  "dpdk": {"eal": ["--no-pci", "-m", "256", *near.split()], "idle": "spin",
                           "ports": [{"addresses": ["10.9.0.1/24"], "mtu": 1500, "cores": [0]}]}}
        file, log = self.work / "spate.yaml", self.work / "edge.log"
        file.write_text(yaml.safe_dump(config), encoding="ascii")
        with open(log, "wb") as out:
            p = subprocess.Popen([BUILD / "spate", "run", "--config", file], stdout=out, stderr=out)
        try:
            for _ in range(200):
                if p.poll() is not None or b"info ready" in log.read_bytes():
                    break
                time.sleep(0.05)
            if p.poll() is not None:
                raise RuntimeError(log.read_text(errors="replace")[-400:])
            yield far
        finally:
            end(p)

    def client(self, far, *argv):
        """spate-load on the other core; its rows by metric."""
        out = self.work / "load.json"
        out.unlink(missing_ok=True)
        done = subprocess.run([self.load, "--dpdk", f"--no-pci -m 256 {far}", "--address", "10.9.0.2/24", "--cpu", "1",
                               "-c", str(self.args.connections), "--urls", self.list, "--json", out, "--quiet", *argv,
                               "http://10.9.0.1/"], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError((done.stderr + done.stdout)[-400:])
        return {r["metric"]: r["value"] for r in json.loads(out.read_text())}

    def verify(self, r, kind):
        with self.edge(kind) as far:
            got = self.client(far, "-n", str(self.args.objects * 2), "--verify", "list", "--timeout", "20s")
        r.add(kind, "objects verified, not timed", got["verified"], "", wrong=got["wrong"])

    def measure(self, r, kind):
        with self.edge(kind) as far:
            got = self.client(far, "-d", f"{self.args.seconds}s", "--warmup", "3s", "--verify", "first",
                              "--verify-sample", "64")
        r.sample(kind, "goodput", got["goodput"], "Gbit/s", aim=AIM_GBIT, peer=rows.US)
        r.sample(kind, "generator busy", 100 * got["generator busy"], "% core", peer=rows.US)
        r.sample(kind, "time to 1 MiB, p99", got["latency p99"], "us", peer=rows.US)

    def testpmd(self, r, kind):
        sock = self.work / "wire.sock"
        sock.unlink(missing_ok=True)
        near, far = vdevs(kind, sock)
        ends = []
        try:
            for core, args, mode in ((0, near, "txonly"), (1, far, "rxonly")):
                argv = ["dpdk-testpmd", f"--lcores=0@{core},1@{core}", "--no-pci", "--in-memory", "-m", "256", *args.split(),
                        "--", f"--forward-mode={mode}", "--txpkts=1514", "--stats-period=1", "--auto-start",
                        "--no-lsc-interrupt"]
                out = open(self.work / f"testpmd.{mode}", "w+b")
                ends.append((subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out), out))
                time.sleep(1.5)
            time.sleep(self.args.seconds + 2)
        finally:
            for p, out in ends[::-1]:
                end(p)  # and only then is all it said in the file
                out.close()
        said = (self.work / "testpmd.rxonly").read_bytes()
        pps = sorted(int(x) for x in re.findall(rb"Rx-pps:\s+(\d+)", said))
        rate = pps[len(pps) * 3 // 4] if pps else 0  # the first and the last second are not whole
        if rate == 0:
            raise RuntimeError("testpmd: nothing came")
        r.sample(kind, "testpmd txonly", rate * 1514 * 8 / 1e9, "Gbit/s", peer="testpmd")


def end(p):
    p.send_signal(signal.SIGTERM)
    try:
        p.wait(10)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


@contextlib.contextmanager
def huge_pages(n):
    had = int(HUGE.read_text())
    try:
        if had < n:
            HUGE.write_text(str(n))
        yield int(HUGE.read_text()) >= n
    finally:
        HUGE.write_text(str(had))


def main():
    p = rows.arguments(__doc__, rounds=3, seconds=3)
    p.add_argument("--kinds", default="memif,vhost,virtio")
    p.add_argument("--objects", type=int, default=1024, help="of 1 MiB each (1024)")
    p.add_argument("--connections", type=int, default=16)
    p.add_argument("--quick", action="store_true", help="one round, one device")
    args = p.parse_args()
    kinds = args.kinds.split(",")
    if args.quick:
        args.rounds, args.seconds, kinds = 1, 2, kinds[:1]
    r = rows.Rows("line")
    if os.getuid() != 0 or len(os.sched_getaffinity(0)) < 2:
        for kind in kinds:
            r.failed(kind, "goodput", "Gbit/s", rows.US, "needs root and two cores")
        r.finish(args.json)
        return
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="spate-line-", dir=base) as tmp, huge_pages(PAGES) as enough:
        if not enough:
            sys.exit(f"bench line: {PAGES} huge pages of 2 MiB cannot be had")
        b = Bench(args, Path(tmp))
        jobs = {"verify": b.verify} if not args.quick else {}
        for what, job in jobs.items():
            for kind in kinds:
                attempt(r, job, kind, what)
        for _, names in rows.interleaved(kinds, args.rounds):
            for kind in names:
                attempt(r, b.measure, kind, "goodput")
                attempt(r, b.testpmd, kind, "testpmd txonly")
    for kind in kinds:
        tso_missing(r, kind)
    r.finish(args.json)


def attempt(r, job, kind, what):
    try:
        job(r, kind)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
        r.failed(kind, what, "Gbit/s", rows.US, e)


def tso_missing(r, kind):
    """Said, not left out: with TSO the client would have to take frames of 64 KiB, which our ports do not ask for yet."""
    r.failed(kind + " TSO", "goodput", "Gbit/s", rows.US, "not measured: the client's port has no large receive")


main()
