"""Real BitTorrent clients fetch from the edge: by the peer wire alone, by web seed alone, beside a peer that lies."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import urllib.parse

import pytest

from net import free_port, wait_until

lt = pytest.importorskip("libtorrent", reason="python3-libtorrent is not installed")

LT_PEER = pathlib.Path(__file__).resolve().parent.parent / "lib/lt_peer.py"
LT_CONFUSED = 3  # lt_peer.py says when
LT_CRASHED = (-11, -6)  # libtorrent 2.0.8 itself, at times, when blocks of a hybrid fail their hashes (-6: boost::bad_get)
ADDRESS = "10.77.77.1"  # Transmission takes no peers on 127.0.0.1
PIECE = 32768


@pytest.fixture
def film(work, sample):
    shutil.copytree(sample, work / "origin/vod/film")
    return work / "origin"


class Film:
    """An edge that seeds, and what it publishes of one representation."""

    def __init__(self, edge, root, peer_port, host, rep="2"):
        self.edge, self.root, self.rep, self.host, self.peer_port = edge, root / "vod/film", rep, host, peer_port
        self.peer = f"{host}:{peer_port}"
        self.v1, self.hybrid = self.get(f"/vod/film/{rep}.torrent"), self.get(f"/vod/film/{rep}.hybrid.torrent")
        listed = json.loads(edge.get("/vod/film/stream.mpd.torrents").body)["representations"]
        self.entry = next(r for r in listed if r["id"] == rep)

    def get(self, path):
        got = []

        def there():
            r = self.edge.get(path)
            got.append(r)
            return r.status == 200

        wait_until(there, 30, path)
        return got[-1].body

    def parts(self):
        folder = self.root / self.rep
        return [folder / "init.mp4", *sorted(folder.glob("*.m4s"))]

    def whole(self):
        return b"".join(p.read_bytes() for p in self.parts())

    def write(self, path, torrent, web=False, trackers=True):
        """A .torrent without its web seeds, without trackers."""
        t = lt.bdecode(torrent)
        if not web:
            t.pop(b"url-list", None)
        if not trackers:
            t.pop(b"announce", None)
            t.pop(b"announce-list", None)
        path.write_bytes(lt.bencode(t))
        return path

    def stat(self):
        return json.loads(self.edge.admin("/stat")[1])

    def count(self, name):
        return counter(self.stat(), name)


def counter(stat, name):
    """A counter of /stat wherever it lies in it."""
    if isinstance(stat, dict):
        if name in stat and isinstance(stat[name], int):
            return stat[name]
        for v in stat.values():
            if (n := counter(v, name)) is not None:
                return n
    return None


@pytest.fixture
def address(backend):
    """Of an edge on kernel sockets, where we may choose; else None: it is the device's."""
    if backend.name != "sockets" or os.getuid() != 0:
        return None
    subprocess.run(["ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo"], stderr=subprocess.DEVNULL, check=False)
    return ADDRESS


@pytest.fixture
def seeding(edge_over, film, address):
    def start(**p2p):
        port, tracker = free_port(), free_port()
        more, host = {}, address
        if host:
            http = free_port()
            more = {"listen": [f"0.0.0.0:{http}"]}
        conf = {"piece": PIECE, "listen": [f"0.0.0.0:{port}"], "tracker": [f"0.0.0.0:{tracker}"], **p2p}
        if host:
            conf["url"] = f"http://{host}:{http}"
        edge = edge_over(film, p2p=conf, **more)
        if host:
            edge.port = http
        else:
            host = edge.place.hosts[4]
        return Film(edge, film, port, host)

    return start


def run(film, argv, seconds=130, again=(), **more):
    """The client, as it reaches the edge. What it said; None if it left with one of `again`."""
    done = subprocess.run(film.edge.place.command([str(a) for a in argv]), timeout=seconds, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, check=False, **more)
    if done.returncode in again:
        return None
    assert done.returncode == 0, f"{argv} left with {done.returncode}\n{done.stdout[-2000:]}\n{notable(done.stderr)}"
    return done.stdout


def notable(said):
    """Without the lines that libtorrent's dispatcher of pieces repeats each second."""
    return "\n".join(x for x in said.split("\n") if " 0 0 0 0 0 0" not in x)[-4000:]


def libtorrent(film, source, out, *words):
    argv = ["/usr/bin/python3", LT_PEER, source, out, *words]
    for _ in range(4):
        out.mkdir(exist_ok=True)
        if (said := run(film, argv, again=(LT_CONFUSED, *LT_CRASHED))) is not None:
            return said
        shutil.rmtree(out)  # it begins anew
    raise AssertionError("v1 and v2 hashes disagree, or the client crashes, four times")


def sha(data):
    return hashlib.sha256(data).hexdigest()


def same_file(film, out):
    found = [p for p in out.rglob("*") if p.is_file() and p.stat().st_size == len(film.whole())]
    assert len(found) == 1, list(out.rglob("*"))
    assert sha(found[0].read_bytes()) == sha(film.whole())


def same_files(film, out):
    for part in film.parts():
        got = out / "film" / film.rep / part.name
        assert sha(got.read_bytes()) == sha(part.read_bytes()), part.name


# --- by the peer wire alone ---

def test_libtorrent_v1(seeding, work):
    film = seeding()
    libtorrent(film, film.write(work / "a.torrent", film.v1), work / "out", f"peer={film.peer}")
    same_file(film, work / "out")
    assert film.count("bt_piece_bytes") >= len(film.whole())
    assert film.count("http_torrent") == 0


def test_libtorrent_hybrid(seeding, work):
    film = seeding()
    libtorrent(film, film.write(work / "a.torrent", film.hybrid), work / "out", f"peer={film.peer}")
    same_files(film, work / "out")


def test_libtorrent_v2_only(seeding, work):
    film = seeding()
    libtorrent(film, film.write(work / "a.torrent", film.hybrid), work / "out", f"peer={film.peer}", "only=v2")
    same_files(film, work / "out")
    assert film.count("bt_hashes") > 0


def test_libtorrent_magnet_names_its_peer(seeding, work):
    film = seeding()
    assert f"x.pe={film.host}" in film.entry["magnet"].replace("%3A", ":")
    libtorrent(film, film.entry["magnet"], work / "out")
    same_file(film, work / "out")
    assert film.count("bt_metadata") > 0


def test_libtorrent_hybrid_magnet(seeding, work):
    """The info dictionary by BEP 9, piece layers by hash requests (BEP 52)."""
    film = seeding()
    libtorrent(film, film.entry["hybrid_magnet"], work / "out", f"peer={film.peer}")
    same_files(film, work / "out")


def test_libtorrent_tries_utp_first(seeding, work):
    film = seeding()
    libtorrent(film, film.write(work / "a.torrent", film.v1), work / "out", f"peer={film.peer}", "utp")
    same_file(film, work / "out")
    assert film.count("bt_utp_resets") > 0


def test_the_http_tracker_names_the_address_that_was_asked(seeding):
    film = seeding()
    info_hash = urllib.parse.quote(bytes.fromhex(film.entry["infohash"]))
    answer = lt.bdecode(film.edge.get(f"/announce?info_hash={info_hash}&port=1001&left=9").body)
    host = film.edge.place.hosts[4]
    assert answer[b"peers"] == socket.inet_aton(host) + film.peer_port.to_bytes(2, "big")


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


ARIA2 = ["aria2c", "--seed-time=0", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
         "--file-allocation=none", "--no-conf", "--bt-stop-timeout=30", "--follow-torrent=mem", "--summary-interval=0"]


def aria2(film, source, out):
    return run(film, [*ARIA2, f"--dir={out}", f"--listen-port={free_port()}", source])


@needs("aria2c")
def test_aria2(seeding, work):
    """The edge names itself as a peer in its own tracker's answer."""
    film = seeding()
    aria2(film, film.write(work / "a.torrent", film.v1), work / "out")
    same_file(film, work / "out")
    assert film.count("bt_piece_bytes") >= len(film.whole())


@needs("aria2c")
def test_aria2_magnet(seeding, work):
    film = seeding()
    magnet = "&".join(p for p in film.entry["magnet"].split("&") if not p.startswith("ws="))
    aria2(film, magnet, work / "out")
    same_file(film, work / "out")


def has_whole(film, out):
    for p in out.rglob("*"):
        with contextlib.suppress(OSError):  # the last .part is renamed just now
            if p.is_file() and p.stat().st_size == len(film.whole()) and p.read_bytes() == film.whole():
                return True
    return False


def end(client):
    client.terminate()
    try:
        client.wait(20)
    except subprocess.TimeoutExpired:
        client.kill()
        client.wait()


def until_whole(film, out, client, seconds=60):
    """Ends a client that would go on seeding, once the file is there and right."""
    try:
        wait_until(lambda: client.poll() is not None or has_whole(film, out), seconds, "the whole file")
    finally:
        end(client)
    same_file(film, out)


def start(film, argv, log, **more):
    return subprocess.Popen(film.edge.place.command([str(a) for a in argv]), stdin=subprocess.DEVNULL,
                            stdout=open(log, "wb"), stderr=subprocess.STDOUT, **more)


def transmission_argv(folder, *words):
    """Into folder/out."""
    (folder / "tr").mkdir()
    (folder / "tr/settings.json").write_text(json.dumps({"dht-enabled": False, "lpd-enabled": False, "utp-enabled": False,
                                                         "port-forwarding-enabled": False}))
    return ["transmission-cli", "-g", folder / "tr", "-w", folder / "out", "-p", free_port(), *words]


def transmission(film, work, *words):
    (work / "out").mkdir()
    client = start(film, transmission_argv(work, *words), work / "tr.log", env={**os.environ, "HOME": str(work)})
    until_whole(film, work / "out", client)


@needs("transmission-cli")
@pytest.mark.slow(15)
def test_transmission(seeding, work):
    """It tries an encrypted handshake first, and comes again in the clear."""
    film = seeding()
    transmission(film, work, film.write(work / "a.torrent", film.v1))
    assert film.count("bt_piece_bytes") >= len(film.whole())


@needs("transmission-cli")
@pytest.mark.slow(15)
def test_transmission_magnet(seeding, work):
    film = seeding()
    magnet = "&".join(p for p in film.entry["magnet"].split("&") if not p.startswith("ws="))
    transmission(film, work, "-et", magnet)


def rtorrent_argv(folder, source):
    """Into folder/out."""
    session, rc = folder / "session", folder / "rc"
    session.mkdir()
    rc.write_text(f"""system.daemon.set = true
directory.default.set = {folder / "out"}
session.path.set = {session}
network.port_range.set = {free_port()}-65000
dht.mode.set = disable
protocol.pex.set = no
schedule2 = add,0,3600,"load.start_verbose={source}"
""")
    return ["rtorrent", "-n", "-o", f"import={rc}"]


@needs("rtorrent")
@pytest.mark.parametrize("magnet", [False, True], ids=["torrent", "magnet"])
def test_rtorrent(seeding, work, magnet):
    film = seeding()
    (work / "out").mkdir()
    source = film.entry["magnet"] if magnet else film.write(work / "a.torrent", film.v1)
    until_whole(film, work / "out", start(film, rtorrent_argv(work, source), work / "rtorrent.log", cwd=work))


# --- by each other ---

def viewer_argv(name, torrent, folder, scheme):
    """A client that has only the torrent's tracker to find peers by. Into folder/out."""
    if name == "libtorrent":
        return ["/usr/bin/python3", LT_PEER, torrent, folder / "out", "announce"]
    if name == "rtorrent":
        return rtorrent_argv(folder, torrent)
    if name == "transmission":
        return transmission_argv(folder, torrent)
    argv = [*ARIA2, f"--dir={folder / 'out'}", f"--listen-port={free_port()}", torrent]
    if scheme == "udp":  # which aria2 does with DHT only
        argv += ["--enable-dht=true", f"--dht-listen-port={free_port()}", f"--dht-file-path={folder}/dht.dat"]
    return argv


@pytest.mark.slow(30)
@pytest.mark.parametrize("scheme", ["udp", "http"])
@pytest.mark.parametrize("viewers", [
    ("aria2", "libtorrent"),
    ("rtorrent",),
    pytest.param(("transmission",), marks=needs("transmission-cli")),
], ids="-".join)
def test_viewers_go_on_without_the_edge(seeding, edge_over, work, address, viewers, scheme):
    """
    One has it all from the edge, which is then switched off. All others have it from him, whom they find through the
    tracker of a second edge, which does not seed.
    Transmission (before 4.1) and rtorrent know peers by address alone, and all viewers have one here: of those that the
    tracker names they would try the first and never another, so each is alone with him who has it (Transmission's
    issue 4594).
    """
    udp, http = free_port(), free_port()
    tracker = edge_over(work / "origin", listen=[f"0.0.0.0:{http}"], p2p={"tracker": [f"0.0.0.0:{udp}"], "swarms": "open",
                                                                         "interval": "60s"})
    url = f"{scheme}://{address or tracker.place.hosts[4]}:{udp if scheme == 'udp' else http}/announce"
    film = seeding(announce=[url], tracker=[])
    torrent = film.write(work / "a.torrent", film.v1)
    assert [t.url for t in lt.torrent_info(str(torrent)).trackers()] == [url]
    clients, outs = [], {}
    for name in ("first", *viewers):
        outs[name] = work / name / "out"
        outs[name].mkdir(parents=True)
    try:
        log = work / "first.log"
        argv = [*viewer_argv("libtorrent", torrent, work / "first", scheme), f"peer={film.peer}", "seed"]
        clients.append(start(film, argv, log))
        wait_until(lambda: b"DONE" in log.read_bytes(), 30, "the first viewer has it")
        film.edge.stop()
        wait_until(lambda: tracker.metrics()["swarm_peers"] == 1, 30, "the tracker knows him")
        for name in viewers:
            clients.append(start(film, viewer_argv(name, torrent, work / name, scheme), work / f"{name}.log",
                                 cwd=work / name, env={**os.environ, "HOME": str(work / name)}))
        for name in viewers:
            # Who is told of one who has just left asks again after the interval.
            wait_until(lambda out=outs[name]: has_whole(film, out), 100, f"{name} has it")
    finally:
        for client in clients:
            end(client)
    assert tracker.metrics()["bt_accepted"] == 0


# --- by web seed alone ---

def test_libtorrent_web_seed(seeding, work):
    film = seeding()
    libtorrent(film, film.write(work / "a.torrent", film.v1, web=True), work / "out", "web")
    same_file(film, work / "out")
    assert film.count("http_torrent") > 0
    assert film.count("bt_accepted") == 0


@needs("aria2c")
def test_aria2_web_seed(seeding, work):
    film = seeding()
    aria2(film, film.write(work / "a.torrent", film.v1, web=True, trackers=False), work / "out")
    same_file(film, work / "out")
    assert film.count("bt_accepted") == 0


def test_ranges_of_the_single_file(seeding):
    film = seeding()
    whole, url = film.whole(), film.entry["file"]
    cut = len(film.parts()[0].read_bytes())
    for first, last in ((0, 0), (cut - 1, cut), (cut - 10, len(whole) - 1), (len(whole) - 1, len(whole) - 1)):
        r = film.edge.get(urllib.parse.urlsplit(url).path, headers={"Range": f"bytes={first}-{last}"})
        assert r.status == 206
        assert r.body == whole[first:last + 1]


# --- a peer that lies ---

class Poisoner(threading.Thread):
    """Says it has everything, and answers each request with rubbish."""

    def __init__(self, place):
        super().__init__(daemon=True)
        self.listener = place.socket(4)
        self.listener.bind((place.clients[4], 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        self.sent = 0
        self.start()

    def run(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(conn,), daemon=True).start()

    def talk(self, conn):
        def take(n):
            got = b""
            while len(got) < n:
                more = conn.recv(n - len(got))
                if not more:
                    raise OSError("closed")
                got += more
            return got

        try:
            hello = take(68)
            conn.sendall(b"\x13BitTorrent protocol" + b"\0\0\0\0\0\0\0\x04" + hello[28:48] + b"-XX0001-poisonpoison")
            conn.sendall(b"\0\0\0\1\x0e" + b"\0\0\0\1\1")
            while True:
                n, = struct.unpack(">I", take(4))
                body = take(n)
                if n == 13 and body[0] == 6:
                    piece, begin, length = struct.unpack(">III", body[1:])
                    conn.sendall(struct.pack(">IBII", 9 + length, 7, piece, begin) + b"\xbd" * length)
                    self.sent += length
        except (OSError, struct.error):
            conn.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join()
        self.listener.close()


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_a_poisoning_peer_harms_nobody(seeding, work, kind):
    """v1: the edge comes when the first piece was found wrong. v2: it has info, and is slowed so that the liar gets his turn."""
    film = seeding(**({"peer_rate": "128KiB"} if kind == "v2" else {}))
    liar = Poisoner(film.edge.place)
    try:
        torrent = film.write(work / "a.torrent", film.hybrid if kind == "v2" else film.v1)
        words = [f"peer={film.peer}", "only=v2"] if kind == "v2" else [f"then={film.peer}"]
        said = libtorrent(film, torrent, work / "out", f"peer={film.edge.place.clients[4]}:{liar.port}", *words)
    finally:
        liar.stop()
    (same_files if kind == "v2" else same_file)(film, work / "out")
    assert liar.sent > 0
    assert int(said.split()[2]) > 0, f"bytes that failed their hash: {said}"
