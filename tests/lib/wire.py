"""
One HTTP server and a Linux client at the two ends of a wire with faults (tests/lib/link.c):

    server ── TAP ── link: loss, delay, ... ── TAP, alone in a namespace ── curl, the kernel's TCP

The server is Spate on DPDK (af_packet on the TAP, so the kernel there says nothing) or nginx on the kernel's own TCP with
CUBIC (the TAP in a namespace). Both get the same link with the same seed. "ab" is the way of the data, "ba" of its ACKs.

    wire = Wire(link, work, ["--loss@ab", "1%"])
    server = SpateServer(spate, work, wire, folder)   or NginxServer(work, wire, folder)
    server.fetch("/ten.bin") -> Fetched(seconds, sha256), over IPv4; a client() may also be one over IPv6
    server.stop(); wire.close()
"""
import collections
import itertools
import json
import os
import re
import subprocess

from edge import Edge
from net import wait_until
from proc import Process

SERVER, CLIENT = {4: "10.81.0.1", 6: "fd81::1"}, {4: "10.81.0.2", 6: "fd81::2"}
PORT = 8080
QUEUE = "10000"  # packets in a TAP: a burst after slow start must be lost by the link or not at all
serial = itertools.count()
Fetched = collections.namedtuple("Fetched", "seconds sha256")


def ip(*argv):
    subprocess.run(["ip", *argv], check=True, capture_output=True)


class Wire:
    """
    faults: options of link. Closed by close(), which returns what the link did with the packets of each direction.
    Without IPv6 the kernel says nothing of its own there, so that the same packets have the same fate each time.
    """

    def __init__(self, link, work, faults=(), seed=1, families=(4,)):
        n = next(serial)
        self.near, self.far, self.ns = (f"{x}{os.getpid()}-{n}" for x in ("wa", "wb", "wn"))
        self.work = work / f"wire{n}"
        self.work.mkdir()
        self.process = Process("link", [link, "--a", f"tap:{self.near}", "--b", f"tap:{self.far}", "--seed", seed,
                                        *faults], self.work)
        wait_until(lambda: not self.process.alive() or b"ready" in self.process.out.read_bytes(), 10, "link ready")
        assert self.process.alive(), self.process.said().decode()
        self.spaces, self.families = [], families
        self.namespace(self.ns, self.far, CLIENT)

    def namespace(self, ns, tap, addresses):
        """A namespace that has only this TAP, and a TCP as Linux brings it: CUBIC, nothing known of earlier paths."""
        ip("netns", "add", ns)
        self.spaces.append(ns)
        ip("link", "set", tap, "netns", ns)
        for key, value in (("net.ipv6.conf.all.disable_ipv6", int(6 not in self.families)), ("net.ipv4.tcp_congestion_control", "cubic"),
                           ("net.ipv4.tcp_no_metrics_save", 1)):
            ip("netns", "exec", ns, "sysctl", "-qw", f"{key}={value}")
        ip("-n", ns, "link", "set", "lo", "up")
        ip("-n", ns, "addr", "add", f"{addresses[4]}/24", "dev", tap)
        if 6 in self.families:
            ip("-n", ns, "addr", "add", f"{addresses[6]}/64", "dev", tap, "nodad")
        ip("-n", ns, "link", "set", tap, "txqueuelen", QUEUE, "up")

    def inside(self, argv):
        return ["ip", "netns", "exec", self.ns, *map(str, argv)]

    def close(self):
        said = []
        if self.process.alive():
            self.process.end(60)  # a TAP goes under the kernel's one lock for all devices
            said = [json.loads(line) for line in self.process.out.read_text().splitlines()[1:]]
        for ns in self.spaces:
            subprocess.run(["ip", "netns", "del", ns], check=False, capture_output=True)
        return {d["direction"]: d for d in said}


class Server:
    def client(self, path, family=4):
        """A curl whose output is hashed; start any number, then finished() on each."""
        host = SERVER[4] if family == 4 else f"[{SERVER[6]}]"
        url = f"http://{host}:{self.port}{path}"
        script = 'set -o pipefail; curl -sS --fail --max-time "$1" -g -w "%{stderr}%{time_connect} %{time_total}\\n" ' \
                 '"$2" | sha256sum'
        return subprocess.Popen(self.wire.inside(["bash", "-c", script, "-", self.patience, url]),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def finished(client):
        out, err = client.communicate()
        assert client.returncode == 0, f"curl left with {client.returncode}: {err}"
        connect, total = re.search(r"([\d.]+) ([\d.]+)\s*$", err).groups()
        return Fetched(float(total) - float(connect), out.split()[0])

    def fetch(self, path):
        return self.finished(self.client(path))


class SpateServer(Server):
    """Spate on DPDK at the near end."""

    name, patience = "spate", 600
    hosts, clients, capabilities = SERVER, CLIENT, ""

    def __init__(self, binary, work, wire, folder, **config):
        self.wire = wire
        with open(f"/proc/sys/net/ipv6/conf/{wire.near}/disable_ipv6", "w", encoding="ascii") as f:
            f.write("1")
        ip("link", "set", wire.near, "txqueuelen", QUEUE, "up")
        self.work = work / f"spate-{wire.near}"
        self.work.mkdir()
        for _ in range(5):
            try:
                self.edge = Edge(binary, self.work, self, {"origins": [{"match": "/", "dir": str(folder)}],
                                                           "timeouts": {"send": "10m"}, **config})
                return
            except AssertionError as e:
                # DPDK makes the group's number of process and interface, so that two edges may choose the same.
                if "PACKET_FANOUT" not in str(e):
                    raise
        raise AssertionError("no free fanout group")

    # What an Edge asks of its backend and place.

    def place(self, port):
        self.port = port
        return self

    def started(self):
        pass

    def config(self, workers):
        return {"backend": "dpdk", "listen": [f"0.0.0.0:{self.port}", f"[::]:{self.port}"],
                "dpdk": {"eal": ["--no-huge", "-m", "256", "--no-pci",
                                 f"--vdev=net_af_packet0,iface={self.wire.near},framecnt=4096,qdisc_bypass=1"],
                         "ports": [{"addresses": [f"{SERVER[4]}/24", f"{SERVER[6]}/64"]}]}}

    def command(self, argv):
        return self.wire.inside(argv)

    def close(self):
        pass

    def stop(self):
        self.edge.stop()


class NginxServer(Server):
    """nginx on the kernel's TCP at the near end."""

    name, patience, port = "kernel", 600, PORT
    conf = """
daemon off;
master_process off;
user root;
pid {work}/nginx.pid;
error_log {work}/error.log;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {work}/tmp; proxy_temp_path {work}/tmp; fastcgi_temp_path {work}/tmp;
    uwsgi_temp_path {work}/tmp; scgi_temp_path {work}/tmp;
    access_log off;
    sendfile on;
    send_timeout 600;
    server {{ listen {address}:{port}; root {root}; }}
}}
"""

    def __init__(self, work, wire, folder):
        self.wire = wire
        self.work = work / f"nginx-{wire.near}"
        self.work.mkdir()
        ns = wire.ns + "s"
        wire.namespace(ns, wire.near, SERVER)
        (self.work / "nginx.conf").write_text(self.conf.format(work=self.work, address=SERVER[4], port=self.port,
                                                               root=folder))
        self.process = Process("nginx", ["ip", "netns", "exec", ns, "nginx", "-e", self.work / "error.log", "-p",
                                         self.work, "-c", self.work / "nginx.conf"], self.work)
        wait_until(self.listens, 10, "nginx ready")

    def listens(self):
        assert self.process.alive(), self.process.said()
        return (self.work / "nginx.pid").exists()

    def stop(self):
        self.process.end()


# --- the matrix ---

# name; options of link; sim: (loss in %, one way delay in ms) where the simulator can do the same; alone: one transfer at a
# time, as several would share the wire's rate. Where little or nothing is lost the wire has a rate with a deep queue,
# or the machine itself would be what is measured. way: of the trouble; weight: the longer it takes, the more.
Case = collections.namedtuple("Case", "name faults sim alone way weight")
CLEAN = "--rate@ab 40mbit --queue 400"
FAST_MBIT, FAST_QUEUE = 100, 1000
FAST = f"--rate@ab {FAST_MBIT}mbit --queue {FAST_QUEUE}"


def _cases():
    def case(name, text, sim=None, alone=False):
        way = next((w for w in ("ack", "both") if f" {w}," in name), "data")
        weight = sim[0] ** 0.5 * sim[1] if sim else 5 if "loss 3%" in name or "all at once" in name else 1
        return Case(name, tuple(text.split()), sim, alone, way, weight)

    out = []
    for delay in (5, 10, 20, 50):
        out += [case(f"loss 0.1% data, rtt {2 * delay} ms", f"--delay {delay}ms --loss@ab 0.1% {FAST}", (0.1, delay), True)]
        out += [case(f"loss {loss}% data, rtt {2 * delay} ms", f"--delay {delay}ms --loss@ab {loss}%", (loss, delay))
                for loss in (1, 3)]
    out += [case("loss 0.1% both, rtt 20 ms", f"--delay 10ms --loss 0.1% {FAST}", alone=True)]
    out += [case(f"loss {loss}% both, rtt 20 ms", f"--delay 10ms --loss {loss}%") for loss in (1, 3)]
    out += [case(f"loss {loss}% ack, rtt 20 ms", f"--delay 10ms --loss@ba {loss}% {CLEAN}", alone=True)
            for loss in (0.1, 1, 3)]
    for way, text in (("data", "@ab"), ("ack", "@ba"), ("both", "")):
        out += [
            case(f"burst loss 0.1%:8 {way}, rtt 20 ms",
                 f"--delay 10ms --burst{text} 0.1%:8 {CLEAN if way == 'ack' else FAST}", alone=True),
            case(f"reorder 1% by 5 ms {way}, rtt 20 ms", f"--delay 10ms --reorder{text} 1%:5ms {CLEAN}", alone=True),
            case(f"reorder 5% by 20 ms {way}, rtt 40 ms", f"--delay 20ms --reorder{text} 5%:20ms {CLEAN}", alone=True),
            case(f"duplicate 2% {way}, rtt 20 ms", f"--delay 10ms --dup{text} 2% {CLEAN}", alone=True),
            case(f"all at once {way}, rtt 20 ms", f"--delay 10ms --jitter{text} 2ms --loss{text} 0.5% --burst{text} "
                 f"0.05%:4 --reorder{text} 1%:4ms --dup{text} 1% --corrupt{text} 0.2% {CLEAN}", alone=True),
        ]
    out += [
        case("rate 20 Mbit/s queue 50, rtt 20 ms", "--delay 10ms --rate@ab 20mbit --queue 50", alone=True),
        case("rate 50 Mbit/s queue 100, rtt 40 ms", "--delay 20ms --rate@ab 50mbit --queue 100", alone=True),
        case("rate 50 Mbit/s queue 20, rtt 40 ms", "--delay 20ms --rate@ab 50mbit --queue 20", alone=True),
        case("rate 50 Mbit/s loss 0.1%, rtt 40 ms", "--delay 20ms --rate@ab 50mbit --queue 100 --loss@ab 0.1%",
             alone=True),
        case("ack rate 0.3 Mbit/s, rtt 20 ms", "--delay 10ms --rate@ab 50mbit --queue 100 --rate@ba 0.3mbit",
             alone=True),
    ]
    return out


CASES = _cases()
