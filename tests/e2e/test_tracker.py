"""The trackers over the wire: BEP 15, 3, 7, 23, 48 by scripted clients, and real clients that find each other."""
import contextlib
import socket
import struct
import subprocess
import sys

import pytest

from net import free_port, wait_until
from torrent import UdpTracker, bdecode, compact, escape, random_hash

FAMILIES = [4, 6]


@pytest.fixture
def tracked(edge_over, sample):
    """An edge with an open tracker (unless said otherwise), UDP on port .tracker_port."""
    def start(**p2p):
        port = free_port()
        p2p = {"tracker": [f"0.0.0.0:{port}", f"[::]:{port}"], "swarms": "open", "interval": "10s", **p2p}
        edge = edge_over(sample, p2p=p2p)
        edge.tracker_port = port
        return edge

    return start


@contextlib.contextmanager
def udp(edge, family=4):
    """From a socket of the client's side of the network."""
    with contextlib.ExitStack() as stack:
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        sock = stack.enter_context(edge.place.socket(family, kind=socket.SOCK_DGRAM))
        assert sock.family == kind
        yield UdpTracker(sock, (edge.place.hosts[family], edge.tracker_port))


def packed(edge, family):
    return socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, edge.place.clients[family])


@pytest.mark.parametrize("family", FAMILIES)
def test_udp_announce_and_scrape(tracked, family):
    edge, ih = tracked(), random_hash()
    with udp(edge, family) as t:
        first = t.announce(ih, 1001, event=2, ip6=family == 6)
        assert first == {"interval": 10, "leechers": 1, "seeds": 0, "peers": []}
        second = t.announce(ih, 1002, left=0, event=1, ip6=family == 6)
        assert second["peers"] == [(packed(edge, family), 1001)]
        assert t.scrape(ih, random_hash()) == [(1, 1, 1), (0, 0, 0)]
        t.announce(ih, 1001, event=3, ip6=family == 6)
        assert t.scrape(ih) == [(1, 1, 0)]
    m = edge.metrics()
    assert m["tracker_announces"] == 3 and m["tracker_scrapes"] == 2


def test_udp_and_http_have_one_swarm(tracked):
    edge, ih = tracked(), random_hash()
    with udp(edge) as t:
        t.announce(ih, 1001)
    r = edge.get(f"/announce?info_hash={escape(ih)}&peer_id=x&port=1002&uploaded=0&downloaded=0&left=9&compact=1")
    assert r.status == 200
    answer = bdecode(r.body)
    assert compact(answer[b"peers"], 4) == [(packed(edge, 4), 1001)]
    assert answer[b"incomplete"] == 2 and answer[b"interval"] == 10
    files = bdecode(edge.get(f"/scrape?info_hash={escape(ih)}").body)[b"files"]
    assert files == {ih: {b"complete": 0, b"downloaded": 0, b"incomplete": 2}}


def test_http_over_ipv6_names_both_families(tracked):
    edge, ih = tracked(), random_hash()
    ask = f"/announce?info_hash={escape(ih)}&port={{}}&left=1"
    edge.get(ask.format(1001), family=4)
    edge.get(ask.format(1002), family=6)
    answer = bdecode(edge.get(ask.format(1003), family=6).body)
    assert compact(answer[b"peers"], 4) == [(packed(edge, 4), 1001)]
    assert compact(answer[b"peers6"], 16) == [(packed(edge, 6), 1002)]


@pytest.mark.parametrize("byte", [0x00, 0x25, 0x26, 0x2f, 0x3d, 0x3f, 0x80, 0xff])
def test_every_byte_of_an_infohash_counts(tracked, byte):
    """Also those that no cache key may have, and those that only differ in how they are written."""
    edge = tracked()
    one, other = bytes([byte]) * 20, bytes([byte]) * 19 + b"A"
    plain = "".join(chr(b) if b < 128 and chr(b).isalnum() else f"%{b:02X}" for b in one)
    edge.get(f"/announce?info_hash={escape(one)}&port=1001&left=1")
    assert bdecode(edge.get(f"/announce?info_hash={plain}&port=1002&left=1").body)[b"incomplete"] == 2
    assert bdecode(edge.get(f"/announce?info_hash={escape(other)}&port=1002&left=1").body)[b"incomplete"] == 1


def test_only_what_was_published(tracked):
    edge = tracked(swarms="published")
    with udp(edge) as t:
        assert "not tracked" in t.announce(random_hash(), 1001)
    body = edge.get(f"/announce?info_hash={escape(random_hash())}&port=1&left=1").body
    assert b"not tracked" in bdecode(body)[b"failure reason"]
    assert edge.metrics()["tracker_unknown"] == 2


def test_without_a_tracker_announce_is_a_path_like_any(edge_over, sample):
    assert edge_over(sample).get(f"/announce?info_hash={escape(b'a' * 20)}&port=1").status == 404


def test_bad_questions_are_counted_and_not_answered(tracked):
    edge = tracked()
    with udp(edge) as t:
        t.sock.settimeout(0.5)
        for bad in (b"", b"x", b"\0" * 15, struct.pack(">QII", t.id, 7, 1), struct.pack(">QII", t.id, 1, 1) + b"\0" * 40):
            t.sock.sendto(bad, t.to)
        with pytest.raises(TimeoutError):
            t.sock.recv(100)
        t.sock.settimeout(5)
        action, text = t.ask(1, b"\0" * 82, id=t.id ^ 8)
        assert action == 3 and b"connection id" in text
        m = edge.metrics()
        assert m["tracker_bad_id"] == 1
        assert m["tracker_malformed"] >= 4  # the empty one may be lost on the way
        assert isinstance(t.announce(random_hash(), 1001), dict)


def test_a_flood_of_one_address_is_limited(tracked):
    edge, ih = tracked(announces=20), random_hash()
    with udp(edge) as t:
        for i in range(200):
            t.sock.sendto(struct.pack(">QII", t.id, 1, i) + ih + b"x" * 20 + struct.pack(">QQQIIIiH", 0, 1, 0, 0, 0, 0, 0, 9),
                          t.to)
        wait_until(lambda: edge.metrics()["tracker_limited"] > 100, 5, "announces over the limit")


def test_silent_peers_are_forgotten(tracked):
    edge, ih = tracked(interval="5s"), random_hash()
    with udp(edge) as t:
        t.announce(ih, 1001)
        wait_until(lambda: edge.metrics()["swarm_peers"] == 1, 5, "a peer")
        wait_until(lambda: edge.metrics()["swarm_peers"] == 0, 30, "no peer")
        assert edge.metrics()["swarms"] == 0


def test_near_peers_come_first(tracked):
    edge, ih = tracked(groups=["10.0.0.0/8,127.0.0.0/8", "fd00::/8"]), random_hash()
    with udp(edge) as t:
        for port in range(1001, 1041):
            t.announce(ih, port)
        assert len(t.announce(ih, 2000, want=8)["peers"]) == 8


@pytest.mark.workers(2)
def test_workers_share_the_swarms(edge_over, sample):
    port = free_port()
    edge = edge_over(sample, workers=2, p2p={"tracker": [f"0.0.0.0:{port}"], "swarms": "open"})
    edge.tracker_port = port
    ih = random_hash()
    for i in range(16):  # sixteen flows: both workers get some
        with udp(edge) as t:
            got = t.announce(ih, 1001 + i)
    assert got["leechers"] == 16 and len(got["peers"]) == 15
    each = [w["tracker_announces"] for w in edge.stat()["workers"]]
    assert sum(each) == 16


LIBTORRENT = """
import sys, time
import libtorrent as lt
torrent, folder, host, port, seconds = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5])
s = lt.session({"listen_interfaces": host + ":" + port, "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
                "enable_natpmp": False, "enable_outgoing_utp": False, "enable_incoming_utp": False,
                "min_announce_interval": 3, "allow_multiple_connections_per_ip": True,
                "alert_mask": lt.alert.category_t.tracker_notification | lt.alert.category_t.error_notification})
h = s.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
end = time.monotonic() + seconds
while time.monotonic() < end and not (len(sys.argv) <= 6 and h.status().is_seeding):
    time.sleep(0.1)
for a in s.pop_alerts():
    print(a.message())
sys.exit(not h.status().is_seeding)
"""


@pytest.mark.parametrize("scheme", ["udp", "http"])
def test_real_clients_find_each_other(tracked, work, scheme):
    """libtorrent has it, aria2 wants it; they know nothing of each other but the tracker. The edge does not seed."""
    lt = pytest.importorskip("libtorrent")
    edge = tracked()
    seed, leech = work / "seed", work / "leech"
    seed.mkdir(), leech.mkdir()
    (seed / "file.bin").write_bytes(random_hash() * 50000)
    files = lt.file_storage()
    lt.add_files(files, str(seed / "file.bin"))
    t = lt.create_torrent(files, 1 << 16, lt.create_torrent.v1_only)
    port = edge.tracker_port if scheme == "udp" else edge.port
    t.add_tracker(f"{scheme}://{edge.place.hosts[4]}:{port}/announce")
    lt.set_piece_hashes(t, str(seed))
    (work / "t.torrent").write_bytes(lt.bencode(t.generate()))
    (work / "client.py").write_text(LIBTORRENT)
    seeder = subprocess.Popen(edge.place.command([sys.executable, work / "client.py", work / "t.torrent", seed,
                                                  edge.place.clients[4], str(free_port()), "60", "stay"]),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: edge.metrics()["tracker_announces"] >= 1, 20, "the seed's announce")
        r = edge.run("aria2c", "--dir", leech, "--seed-time=0", "--enable-dht=true",  # else aria2 has no UDP trackers
                     f"--dht-listen-port={free_port()}", f"--dht-file-path={work}/dht.dat", "--enable-dht6=false",
                     "--bt-enable-lpd=false", "--file-allocation=none", f"--listen-port={free_port()}",
                     "--bt-stop-timeout=30", "--summary-interval=0", work / "t.torrent", timeout=60)
        assert r.returncode == 0, r.stdout.decode()[-2000:]
    finally:
        seeder.kill()
        seeder.wait()
    assert (leech / "file.bin").read_bytes() == (seed / "file.bin").read_bytes()
    wait_until(lambda: edge.metrics()["tracker_downloaded_bytes"] >= 900000, 5, "what aria2 says that it got")
