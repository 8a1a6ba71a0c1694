"""Where a comparison runs: cores, a folder, a network namespace of its own with CUBIC for everybody, perhaps a veth.

    with Place() as here:          loopback
    with Place(veth=True) as here: servers on the near end of a veth pair (here.near, 10.91.0.1), clients in a namespace
                                   (here.client(argv), here.connect(...)) at its far end

own_network() starts the program over in a namespace of its own, so that sysctls and ports are nobody else's. Without
root everything runs on the machine's loopback, with its congestion control, which the report names.
"""
import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests/lib"))
from lane import allow_congestion  # noqa: E402

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
CLONE_NEWNET = 0x40000000


def own_network(congestion="cubic"):
    """Call first in main(): returns in the new namespace."""
    if os.getuid() != 0 or os.environ.get("SPATE_BENCH_NETWORK") == str(os.getpid()):
        return
    os.environ["SPATE_BENCH_NETWORK"] = str(os.getpid())
    allow_congestion(congestion)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        print("no network namespace of our own: this machine's loopback and congestion control", file=sys.stderr)
        return
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    CONGESTION.write_text(congestion)
    for name, value in (("ip_local_port_range", "10000 65000"), ("tcp_no_metrics_save", "1"),
                        ("tcp_max_syn_backlog", "8192")):
        Path(f"/proc/sys/net/ipv4/{name}").write_text(value)
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/core/somaxconn").write_text("8192")


class Place:
    def __init__(self, veth=False):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            sys.exit("bench: two cores are needed: one for the server, one for the client")
        self.cores, self.client_core, self.serial = cores, str(cores[-1]), 0
        self.server_host = "10.91.0.1" if veth else "127.0.0.1"
        self.veth, self.near, self.far = veth, f"sba{os.getpid()}", f"sbb{os.getpid()}"
        self.ns = None

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (65536, max(hard, 65536)))
        # Memory, not a disk: nobody's cache shall wait for one.
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.work = Path(tempfile.mkdtemp(prefix="spate-bench-", dir=base))
        self.work.chmod(0o755)  # H2O and nginx drop to another user when run as root
        self.files = self.work / "files"
        self.files.mkdir()
        if self.veth:
            self._veth()
        return self

    def __exit__(self, *_):
        if self.ns is not None:
            subprocess.run(["ip", "link", "del", self.near], capture_output=True)
            self.ns.kill()
            self.ns.wait()
        shutil.rmtree(self.work, ignore_errors=True)

    def server_cores(self, workers=1):
        return ",".join(str(c) for c in self.cores[:max(1, min(workers, len(self.cores)))])

    def free_port(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    # --- the veth ---

    def _ip(self, *argv):
        subprocess.run(["ip", *argv], check=True, capture_output=True)

    def _veth(self):
        # A namespace without a name: it ends with the process that holds it.
        self.ns = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        self.ns.stdout.readline()
        self._ip("link", "add", self.near, "type", "veth", "peer", "name", self.far)
        self._ip("link", "set", self.far, "netns", str(self.ns.pid))
        Path(f"/proc/sys/net/ipv6/conf/{self.near}/disable_ipv6").write_text("1")
        self._ip("link", "set", self.near, "up")
        inside = ["nsenter", f"--net=/proc/{self.ns.pid}/ns/net", "--"]
        for argv in (["ip", "link", "set", "lo", "up"], ["ip", "addr", "add", "10.91.0.2/24", "dev", self.far],
                     ["ip", "link", "set", self.far, "up"],
                     ["sysctl", "-qw", "net.ipv4.tcp_congestion_control=cubic",
                      "net.ipv4.ip_local_port_range=10000 65000"]):
            subprocess.run([*inside, *argv], check=True, capture_output=True)
        # What leaves a veth with these on has no checksums: no wire carries that, and DPDK would drop it.
        subprocess.run([*inside, "ethtool", "-K", self.far, "tx", "off", "tso", "off", "gso", "off"], check=True,
                       capture_output=True)

    def kernel_end(self, ours, tso=True):
        """Is the near end the kernel's (ours: with the address, and these offloads) or DPDK's (no address)?"""
        subprocess.run(["ip", "addr", "flush", "dev", self.near], capture_output=True)
        if ours:
            self._ip("addr", "add", "10.91.0.1/24", "dev", self.near)
        word = "on" if tso else "off"
        subprocess.run(["ethtool", "-K", self.near, "tx", "on", "tso", word, "gso", word], capture_output=True)
        # Whoever was here before had another MAC address.
        subprocess.run([*self.inside(), "ip", "neigh", "flush", "all"], capture_output=True)

    def inside(self):
        return ["nsenter", f"--net=/proc/{self.ns.pid}/ns/net", "--"] if self.veth else []

    def client(self, argv, cores=None):
        """argv as it must be started to reach the server, on the client's core."""
        return [*self.inside(), "taskset", "-c", cores or self.client_core, *map(str, argv)]

    def connect(self, host, port, timeout=10):
        if not self.veth:
            return socket.create_connection((host, port), timeout)
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", "rb") as home, open(f"/proc/{self.ns.pid}/ns/net", "rb") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                s = socket.socket()
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)
        s.settimeout(timeout)
        try:
            s.connect((host, port))
        except OSError:
            s.close()
            raise
        return s
