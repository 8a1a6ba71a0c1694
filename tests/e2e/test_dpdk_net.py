"""The edge in networks that are more than one cable: jumbo frames, VLANs, several addresses and ports, routers, narrow
paths, losses. Spate over DPDK's af_packet on veth; the kernel's TCP, and its routers, in network namespaces."""
import concurrent.futures
import contextlib
import os
import socket
import struct
import subprocess

import pytest

import wire
from net import Conn, wait_until
from proc import Process
from vdev import AfPacket, Namespace, ip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
BOTH = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def backend():
    """For edge_over, and af_packet whatever the suite runs over: a namespace for each case."""
    made = AfPacket()
    made.prefix = "dn"
    made.setup(None)
    at_once(made.ns)
    yield made
    made.teardown()


@pytest.fixture
def configured(monkeypatch):
    """configured(change): change(place, config) before an edge starts; dpdk.ports[0] is config's to change in place."""
    plain = AfPacket.Place.config

    def use(change):
        def config(self, workers):
            made = plain(self, workers)
            change(self, made)
            return made

        monkeypatch.setattr(AfPacket.Place, "config", config)

    return use


@pytest.fixture
def content(folder):
    data = os.urandom(1 << 20)
    (folder / "object").write_bytes(data)
    return data


def fetch(ns, edge, host, seconds=10):
    """curl's exit status and what it got."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{edge.port}/object"
    done = subprocess.run(ns.command(["curl", "-sg", "-m", seconds, url]), capture_output=True, check=False)
    return done.returncode, done.stdout


def inside(ns, *argv):
    done = subprocess.run(ns.command(argv), capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def at_once(ns):
    """IPv6 addresses may be used when they are there: a router does not ask for its neighbours for two seconds else."""
    inside(ns, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")


# --- frames ---

@BOTH
def test_jumbo_frames(edge_over, folder, content, configured, monkeypatch, family):
    plain = AfPacket.Place.link

    def link(self, queues=1):
        plain(self, queues)
        ip(f"link set {self.iface} mtu 9000")
        ip(f"link set {self.peer} mtu 9000", ns=self.ns.name)

    def mtu(_, config):
        config["dpdk"]["ports"][0]["mtu"] = 9000

    monkeypatch.setattr(AfPacket.Place, "link", link)
    monkeypatch.setattr(AfPacket.Place, "vdev", lambda self, workers:
                        f"net_pcap0,rx_iface_in={self.iface},tx_iface={self.iface}")
    configured(mtu)
    edge = edge_over(folder)
    with edge.connect(family) as c:
        assert c.get("/object").body == content
        info = c.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        to_edge, from_edge = struct.unpack_from("2I", info, 16)  # tcpi_snd_mss, tcpi_rcv_mss: as sent, as seen coming
        assert to_edge > 8000 and from_edge > 8000, (to_edge, from_edge)


# The kernel's TCP in VLAN 7 where the kernel has no VLANs: a TAP whose frames get the tag on their way to the cable and
# lose it on the way back. argv is the cable and the TAP's name.
TAGGER = """
import fcntl, os, select, socket, struct, sys
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", sys.argv[2].encode(), 0x1002))  # TUNSETIFF: IFF_TAP, IFF_NO_PI
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(263, 8, 1)  # PACKET_AUXDATA: the kernel takes the tag out of the frame and says it there
s.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
s.bind((sys.argv[1], 0))
s.setsockopt(263, 1, struct.pack("iHH8x", socket.if_nametoindex(sys.argv[1]), 1, 0))  # promiscuous
print("ready", flush=True)
while True:
    for r in select.select([s, tap], [], [])[0]:
        if r == tap:
            f = os.read(tap, 2000)
            s.send(f[:12] + bytes([0x81, 0, 0, 7]) + f[12:])
            continue
        f, extra, _, _ = s.recvmsg(2000, 200)
        status, tci = struct.unpack_from("I12xH", extra[0][2])
        if status & 16 and tci & 0xfff == 7:  # TP_STATUS_VLAN_VALID
            os.write(tap, f)
"""


def test_vlan(edge_over, folder, content, configured, work):
    """Nothing for who is untagged, with the same addresses that are served once they are in the VLAN."""
    def tagged(_, config):
        config["dpdk"]["ports"][0]["vlan"] = 7

    configured(tagged)
    edge = edge_over(folder)
    place, ns = edge.place, edge.place.ns
    assert [fetch(ns, edge, place.hosts[f], 0.5) for f in (4, 6)] == [(28, b"")] * 2
    assert edge.metrics()["net_drop_vlan"] > 0 and edge.metrics()["conn_accepted"] == 0
    ip(f"addr flush dev {place.peer}", ns=ns.name)
    tap = f"{place.peer}.7"
    tagger = Process("tagger", ns.command(["/usr/bin/python3", "-c", TAGGER, place.peer, tap]), work)
    try:
        wait_until(lambda: b"ready" in tagger.said() or not tagger.alive(), 5, "the tagger")
        assert tagger.alive(), tagger.said()
        ip(f"addr add {place.clients[4]}/24 dev {tap}", f"addr add {place.clients[6]}/64 dev {tap} nodad",
           f"link set {tap} up", ns=ns.name)
        for family in (4, 6):
            assert fetch(ns, edge, place.hosts[family]) == (0, content)
        wait_until(lambda: edge.metrics()["conn_open"] == 0, what="all closed")
    finally:
        tagger.end()


# --- addresses ---

def refused(edge, family, host):
    with edge.place.socket(family) as s, pytest.raises(ConnectionRefusedError):
        s.settimeout(5)
        s.connect((host, edge.port))
    return True


@BOTH
def test_listen_on_one_address_of_a_port(edge_over, folder, content, configured, family):
    """Two addresses of one family, one of them in `listen`: the other one is there, and refuses."""
    def second(place, config):
        other = {f: place.hosts[f][:-1] + "9" for f in (4, 6)}
        config["dpdk"]["ports"][0]["addresses"] += [f"{other[4]}/24", f"{other[6]}/64"]
        config["listen"] = [f"{other[4]}:{place.port}" if family == 4 else f"[{other[6]}]:{place.port}"]
        place.other = other

    configured(second)
    edge = edge_over(folder)
    place = edge.place
    assert fetch(place.ns, edge, place.other[family]) == (0, content)
    assert refused(edge, family, place.hosts[family])
    assert refused(edge, 10 - family, place.other[10 - family])


def test_two_ports(edge_over, folder, content, configured):
    """Two cables, each with its own addresses; two workers, each on both."""
    others = []

    def second(place, config):
        others.append(AfPacket.Place(place.backend, place.port, 200))
        config["dpdk"]["eal"] += [f"--vdev={others[0].vdev(2)}".replace("packet0", "packet1")]
        config["dpdk"]["ports"] += [{"addresses": [f"{others[0].hosts[4]}/24", f"{others[0].hosts[6]}/64"]}]

    configured(second)
    try:
        edge = edge_over(folder, workers=2)
        for place in edge.place, others[0]:
            for family in (4, 6):
                assert fetch(place.ns, edge, place.hosts[family]) == (0, content)
        sent = {p["name"]: p["tx_bytes"] for p in edge.stat()["ports"]}
        assert len(sent) == 2 and all(n > 2 * len(content) for n in sent.values()), sent
        edge.stop()
    finally:
        for place in others:
            place.close()


# --- routers ---

class Routed:
    """Namespaces that forward, and links between them; all go with close()."""

    def __init__(self):
        self.spaces = []

    def space(self):
        self.spaces.append(Namespace(f"dr{os.getpid()}-{len(self.spaces)}"))
        at_once(self.spaces[-1])
        self.forward(self.spaces[-1])
        return self.spaces[-1]

    @staticmethod
    def forward(ns):
        inside(ns, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    @staticmethod
    def link(near, far, number, mtu=1500, default=True):
        """10.2xx.0.1 and fd00:2xx::1 at near, .2 and ::2 at far, which sends everything this way."""
        a, b = f"to{number}", f"fr{number}"
        # Of a pair with one index the kernel may notice a second later that it is up.
        ip(f"link add {a} index {number} netns {near.name} mtu {mtu} type veth "
           f"peer name {b} index {number + 100} netns {far.name} mtu {mtu}")
        for ns, dev, host in (near, a, 1), (far, b, 2):
            inside(ns, "ethtool", "-K", dev, "tx", "off", "tso", "off", "gso", "off")
            ip(f"addr add 10.{number}.0.{host}/16 dev {dev}", f"addr add fd00:{number}::{host}/32 dev {dev} nodad",
               f"link set {dev} up", ns=ns.name)
        if default:
            ip(f"route add default via 10.{number}.0.1", f"route add default via fd00:{number}::1", ns=far.name)

    def close(self):
        for ns in self.spaces:
            ns.close()


@pytest.fixture
def routed():
    made = Routed()
    yield made
    made.close()


def gateway(place, config):
    config["dpdk"]["ports"][0]["gateway"] = [place.clients[4], place.clients[6]]


def test_gateway_and_routes(edge_over, folder, content, configured, routed):
    """Viewers behind two routers on one cable: the gateway's, and those of a network that only the other one knows."""
    def second(place, config):
        gateway(place, config)
        place.other = {4: place.clients[4][:-1] + "3", 6: place.clients[6][:-1] + "3"}
        config["dpdk"]["ports"][0]["routes"] = [f"10.202.0.0/16 via {place.other[4]}",
                                                f"fd00:202::/32 via {place.other[6]}"]

    configured(second)
    edge = edge_over(folder)
    place, one = edge.place, edge.place.ns
    routed.forward(one)
    other, behind_one, behind_other = (routed.space() for _ in range(3))
    routed.link(one, behind_one, 201)
    routed.link(other, behind_other, 202)
    ip(f"link add link {place.peer} name mv0 type macvlan mode bridge", f"link set mv0 netns {other.name}", ns=one.name)
    ip(f"addr add {place.other[4]}/24 dev mv0", f"addr add {place.other[6]}/64 dev mv0 nodad", "link set mv0 up",
       ns=other.name)
    for family in (4, 6):
        assert fetch(behind_one, edge, place.hosts[family]) == (0, content)
        assert fetch(behind_other, edge, place.hosts[family]) == (0, content)


def counted(ns, name):
    """A counter of the kernel's IP or IPv6 there."""
    if name.startswith("Ip6"):
        return int(dict(line.split() for line in inside(ns, "cat", "/proc/net/snmp6").splitlines())[name])
    lines = inside(ns, "cat", "/proc/net/snmp").splitlines()
    names, values = (line.split() for line in lines if line.startswith("Ip:"))
    return int(dict(zip(names, values))[name])


def test_path_mtu(edge_over, folder, content, configured, routed):
    """
    The narrow link is in the middle, so no MSS tells of it: only the kernel's router does, which may not cut what says
    that it must not be.
    """
    configured(gateway)
    edge = edge_over(folder)
    place, near = edge.place, edge.place.ns
    routed.forward(near)
    far, viewer = routed.space(), routed.space()
    routed.link(near, far, 201, mtu=1400)
    routed.link(far, viewer, 202)
    ip("route add 10.202.0.0/16 via 10.201.0.2", "route add fd00:202::/32 via fd00:201::2", ns=near.name)
    for family, refusals, pieces in (4, "FragFails", "ReasmReqds"), (6, "Ip6InTooBigErrors", "Ip6ReasmReqds"):
        lowered = edge.metrics()["tcp_pmtu"]
        with viewer.socket(socket.AF_INET if family == 4 else socket.AF_INET6) as s:
            s.settimeout(10)
            s.connect((place.hosts[family], edge.port))
            assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) > 1400
            assert Conn(s).get("/object").body == content
        assert counted(viewer, pieces) == 0
        assert edge.metrics()["tcp_pmtu"] > lowered and (refused := counted(near, refusals)) > 0
        assert fetch(viewer, edge, place.hosts[family]) == (0, content)
        assert counted(near, refusals) == refused  # the next connection knew


# --- losses ---

@pytest.mark.slow(4)
def test_bbr_is_what_runs(build, work, folder):
    """2 % of the data lost on the way: cubic takes them for congestion, BBR does not."""
    (folder / "object").write_bytes(os.urandom(2 << 20))
    with contextlib.ExitStack() as ends:
        servers = []
        for name in ("cubic", "bbr"):
            cable = wire.Wire(build / "tests/lib/link", work, ["--delay", "10ms", "--loss@ab", "2%"])
            ends.callback(cable.close)
            servers.append(wire.SpateServer(build / "spate", work, cable, folder, tcp={"congestion": name}))
            ends.callback(servers[-1].stop)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            cubic, bbr = (done.seconds for done in pool.map(lambda s: s.fetch("/object"), servers))
    assert cubic > 2 * bbr, (cubic, bbr)


# argv is the edge's address and port, and what forged sources begin with: 6,000 of them ask for a connection.
FLOOD = """
import socket, struct, sys
edge, port, net = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
dst = socket.inet_aton(edge)
for i in range(6000):
    src = socket.inet_aton(f"{net}.{100 + i % 100}")
    tcp = struct.pack("!HHIIBBHHH", 1024 + i, port, i * 7919, 0, 0x60, 2, 65535, 0, 0) + b"\\2\\4\\5\\xb4"
    words = struct.unpack("!18H", src + dst + struct.pack("!HH", 6, len(tcp)) + tcp)
    c = sum(words)
    c = (c & 0xffff) + (c >> 16)
    c = ~((c & 0xffff) + (c >> 16)) & 0xffff
    tcp = tcp[:16] + struct.pack("!H", c) + tcp[18:]
    s.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, 6, 0) + src + dst + tcp, (edge, 0))
"""


def test_a_flood_of_forged_syns_turns_no_viewer_away(edge_over, folder, content):
    """Fewer connections are allowed than SYNs may be half-open: the flood must not have their places."""
    edge = edge_over(folder, limits={"connections": 200})
    place = edge.place
    host, net = place.hosts[4], place.hosts[4].rpartition(".")[0]
    subprocess.run(place.ns.command(["/usr/bin/python3", "-c", FLOOD, host, edge.port, net]), check=True, timeout=30)
    wait_until(lambda: edge.metrics()["tcp_half_open"] == 4096, 10, "the flood")
    for _ in range(5):
        assert fetch(place.ns, edge, host) == (0, content)
    assert edge.metrics()["tcp_cookie_taken"] >= 5
