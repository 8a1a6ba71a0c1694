"""
A DPDK edge on one core and a client of our own TCP on the other, over a device that is a wire between two processes.

    with dpdk.huge_pages(pages, folder) as enough:       given back as soon as we are gone, killed or not
        near, far = dpdk.vdevs("memif", folder / "wire.sock")
        with dpdk.edge(BUILD / "spate", folder, near, p2p={"listen": ["10.9.0.1:6881"]}, ...):
            p = dpdk.start([program, *dpdk.client(far), ...], log)

  memif      both copy: the edge from the cold cache into the ring, the client out of it; checksums in software
  vhost      the edge on net_vhost: it copies from the cache into the client's buffers; checksums are left out by both ends
  virtio     the edge on net_virtio_user: nothing is copied on its core, the client's vhost side reads the cache cold
  virtio-tso the same with packets of up to 64 KiB; the others have no TSO (net_vhost of DPDK 22.11 offers none to its user)

Needs root and two cores: why_not() says what is missing. The edge's core is 0, and it spins: it is full at any load.
"""
import contextlib
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import yaml

EDGE, CLIENT, MEMORY = "10.9.0.1", "10.9.0.2/24", 256  # MiB for DPDK at each end, in huge pages
HUGE = Path("/proc/sys/vm/nr_hugepages")


def why_not():
    return "" if os.getuid() == 0 and len(os.sched_getaffinity(0)) >= 2 else "needs root and two cores"


def vdevs(kind, sock):
    """EAL arguments of the edge, of the client."""
    memif = f"socket={sock},socket-abstract=no,bsize=2048,rsize=11"
    tso = ",tso=1" if kind.endswith("-tso") else ""
    return {
        "memif": (f"--vdev=net_memif0,role=server,{memif}", f"--vdev=net_memif0,role=client,{memif}"),
        "vhost": (f"--vdev=net_vhost0,iface={sock},queues=1{tso}",
                  f"--single-file-segments --vdev=net_virtio_user0,path={sock},queue_size=1024"),
        "virtio": (f"--single-file-segments --vdev=net_virtio_user0,path={sock},queue_size=1024,server=1",
                   f"--vdev=net_vhost0,iface={sock},queues=1,client=1{tso}"),
    }[kind.removesuffix("-tso")]


def client(far):
    """Arguments of spate-load or spate-leech at the far end."""
    return ["--dpdk", f"--no-pci --in-memory -m {MEMORY} {far}", "--address", CLIENT]


def start(argv, out, err=None):
    """A child that does not outlive us."""
    return subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=err or out,
                            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))


def end(p):
    p.send_signal(signal.SIGTERM)
    try:
        p.wait(10)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


@contextlib.contextmanager
def edge(binary, work, near, **config):
    """One worker on core 0 behind that device; its process, once it is ready. config: more of spate.yaml."""
    file, log = work / "dpdk.yaml", work / "edge.log"
    file.write_text(yaml.safe_dump({
        "workers": 1, "backend": "dpdk", "listen": [f"{EDGE}:80"], "admin": "off", "log": {"access": "off"},
        "dpdk": {"eal": ["--no-pci", "-m", str(MEMORY), "--in-memory", *near.split()], "idle": "spin",
                 "ports": [{"addresses": [f"{EDGE}/24"], "mtu": 1500, "cores": [0]}]}, **config}), encoding="ascii")
    with open(log, "wb") as out:
        p = start([binary, "run", "--config", file], out)
    try:
        for _ in range(200):
            if p.poll() is not None or b"info ready" in log.read_bytes():
                break
            time.sleep(0.05)
        if p.poll() is not None:
            raise RuntimeError(log.read_text(errors="replace")[-400:])
        yield p
    finally:
        end(p)


GIVE_BACK = """cat >/dev/null; sleep 0.5
[ "$1" = 0 ] || { n=$(cat /proc/sys/vm/nr_hugepages) && echo $((n - $1)) >/proc/sys/vm/nr_hugepages; }
rm -rf "$2"; eval "$3" """


@contextlib.contextmanager
def huge_pages(n, folder, then=""):
    """
    Adds n (0: only what follows) to what others have. A shell gives them back, and does what else is to be done (the
    folder goes, then the commands of `then`), as soon as we are gone, killed or not.
    """
    had = added = 0
    if n:
        had = int(HUGE.read_text())
        HUGE.write_text(str(had + n))
        added = int(HUGE.read_text()) - had
    keeper = subprocess.Popen(["sh", "-c", GIVE_BACK, "-", str(added), str(folder), then],
                              stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield added >= n
    finally:
        keeper.stdin.close()
        keeper.wait()
