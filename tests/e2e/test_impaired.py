"""
Our TCP over a wire with faults (tests/lib/link.c), against the kernel's client: what arrives must be what was sent,
every connection must end, and the goodput is set beside what the kernel's own TCP (nginx, CUBIC) gets over the same wire.

    spate ── af_packet ── veth ══ veth ── link ── tap ── curl          (the right half in the clients' namespace)
    nginx in a namespace of its own ═ veth ── link ── tap ── curl

$SPATE_IMPAIRED_TRANSFERS: transfers for each case (default 4; the full run is 100). $SPATE_IMPAIRED_JSON: rows.
"""
import hashlib
import json
import os
import re
import statistics
import subprocess

import pytest

from net import wait_until
from proc import Process
from vdev import AfPacket, ip

SIZE = 10 << 20
TRANSFERS = int(os.environ.get("SPATE_IMPAIRED_TRANSFERS", "4"))
AT_ONCE = 4

CASES = {
    "clean-20ms": ["--delay", "10ms"],
    "loss-data": ["--delay", "10ms", "--loss@ab", "1%"],
    "loss-acks": ["--delay", "10ms", "--loss@ba", "10%"],
    "bursts": ["--delay", "5ms", "--burst@ab", "0.1%:12"],
    "reorder": ["--delay", "10ms", "--reorder", "2%:3ms"],
    "duplicates": ["--delay", "5ms", "--dup", "3%"],
    "corruption": ["--delay", "5ms", "--corrupt", "0.5%"],
    "rate-100mbit": ["--delay", "10ms", "--rate", "100mbit", "--queue", "150"],
    "jitter": ["--delay", "10ms", "--jitter", "8ms"],
    "all": ["--delay", "10ms", "--jitter", "2ms", "--loss", "0.5%", "--dup", "0.5%", "--reorder", "1%:2ms",
            "--corrupt", "0.1%"],
}


class Linked(AfPacket):
    """A place whose clients sit behind the link."""

    name = "impaired"
    prefix = "si"

    class Place(AfPacket.Place):
        def client_end(self):
            self.tap = f"t{self.peer}"
            subprocess.run(self.command(["sysctl", "-qw", f"net.ipv6.conf.{self.peer}.disable_ipv6=1"]), check=True)
            ip(f"link set {self.peer} up", ns=self.ns.name)

        def wire(self, build, work, options):
            """Starts the link between the veth's end (a) and the clients' TAP (b)."""
            made = Process(f"link-{self.peer}", self.command([build / "tests/lib/link", "--a", f"packet:{self.peer}", "--b",
                                                 f"tap:{self.tap}", "--seed", "1", *options]), work)
            wait_until(lambda: b"ready" in made.out.read_bytes(), 5, "link ready")
            ip(f"addr add {self.clients[4]}/24 dev {self.tap}", f"link set {self.tap} up", ns=self.ns.name)
            self.wires = [*getattr(self, "wires", []), made]
            return made

        def close(self):
            for made in getattr(self, "wires", []):
                made.kill()
            super().close()


@pytest.fixture(scope="session")
def backend():
    made = Linked()
    made.setup(None)
    yield made
    made.teardown()


@pytest.fixture
def content(folder):
    data = os.urandom(1 << 20) * 10
    (folder / "ten").write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def fetch(place, url, want, n):
    """n transfers, AT_ONCE at a time; the seconds of each."""
    seconds = []
    while len(seconds) < n:
        batch = [subprocess.Popen(place.command(["sh", "-c", "curl -sS -m 120 -w '%{stderr}%{time_total}' "
                                                 f"{url} | sha256sum"]), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for _ in range(min(AT_ONCE, n - len(seconds)))]
        for p in batch:
            out, err = p.communicate(timeout=150)
            assert out.split()[0].decode() == want, err
            seconds.append(float(re.search(rb"[\d.]+$", err)[0]))
    return seconds


@pytest.fixture
def kernel(nginx, backend, folder):
    """nginx in a namespace of its own, on the edge's end of a place; the kernel's TCP with CUBIC."""
    place = backend.place(0)
    ns = f"{place.ns.name}k"
    ip(f"netns add {ns}", f"link set {place.iface} netns {ns}")
    ip(f"addr add {place.hosts[4]}/24 dev {place.iface}", f"link set {place.iface} up", "link set lo up", ns=ns)
    inside = ["ip", "netns", "exec", ns]
    subprocess.run([*inside, "sysctl", "-qw", "net.ipv4.tcp_congestion_control=cubic"], check=True)
    subprocess.run([*inside, "ethtool", "-K", place.iface, "tx", "off", "tso", "off", "gso", "off"], check=True,
                   capture_output=True)
    conf = folder.parent / "kernel.conf"
    conf.write_text(f"daemon off; worker_processes 1; pid {folder.parent}/k.pid; error_log {folder.parent}/k.err;\n"
                    "events {} http { access_log off; sendfile on; tcp_nopush on;\n"
                    f"server {{ listen {place.hosts[4]}:80; root {folder}; }} }}\n")
    served = Process("kernel", [*inside, "nginx", "-c", conf], folder.parent)
    yield place
    for made in getattr(place, "wires", []):
        made.kill()
    served.end(5)
    ip(f"netns del {ns}")


@pytest.mark.parametrize("case", CASES)
def test_every_byte_arrives_however_bad_the_wire(case, build, work, edge_over, kernel, folder, content):
    edge = edge_over(folder, timeouts={"send": "60s"})
    options = CASES[case]
    wire = edge.place.wire(build, work, options)
    assert hashlib.sha256(subprocess.run(edge.place.command(["curl", "-sS", "-m", "60", edge.url("/ten")]),
                                         capture_output=True, check=True).stdout).hexdigest() == content
    ours = fetch(edge.place, edge.url("/ten"), content, TRANSFERS)
    wait_until(lambda: edge.metrics().get("spate_conn_open", 0) == 0, 20, "every connection ended")
    wire.end(5)
    reference = kernel.wire(build, work, options)
    theirs = fetch(kernel, f"http://{kernel.hosts[4]}/ten", content, TRANSFERS)
    reference.end(5)
    row = {"bench": "impaired", "case": case, "metric": "goodput against the kernel's", "unit": "ratio", "aim": 0.9,
           "value": round(statistics.mean(theirs) / statistics.mean(ours), 3),
           "seconds": round(statistics.mean(ours), 3), "kernel_seconds": round(statistics.mean(theirs), 3)}
    print(json.dumps(row))
    if path := os.environ.get("SPATE_IMPAIRED_JSON"):
        with open(path, "a", encoding="ascii") as f:
            f.write(json.dumps(row) + "\n")
    # A collapse is what this catches; the aim is judged over 100 transfers, from the rows.
    assert row["value"] > 0.25, row
