"""Torrents of what the edge serves: made when asked for, taken by every checker, right as web seeds."""
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import threading
import urllib.parse

import pytest

from net import free_port, wait_until

LIB = pathlib.Path(__file__).resolve().parent.parent / "lib"
lt = pytest.importorskip("libtorrent", reason="python3-libtorrent is not installed")

PIECE = 32768


@pytest.fixture
def film(folder, sample):
    """The sample in a folder of its own, as a film among others."""
    shutil.copytree(sample, folder / "vod/film")
    return folder


@pytest.fixture
def p2p(edge_over, backend):
    def start(origin, **more):
        edge = edge_over(origin, p2p={"piece": PIECE, **more, "tracker": [f"0.0.0.0:{free_port()}"],
                                      "listen": [f"0.0.0.0:{free_port()}"]})
        return edge

    return start


def ask(edge, path, seconds=30.0):
    """The body of what is 503 at first."""
    got = []

    def there():
        r = edge.get(path)
        assert r.status in (200, 503), (path, r.status, r.body)
        if r.status == 503:
            assert int(r["retry-after"]) >= 1
            return False
        got.append(r)
        return True

    wait_until(there, seconds, path)
    return got[0].body


def index(edge, manifest):
    r = edge.get(manifest + ".torrents")
    assert r.status == 200
    return json.loads(r.body)


def whole(root, rep):
    """The concatenation that a v1 torrent is of."""
    return b"".join(f.read_bytes() for f in [root / rep / "init.mp4", *sorted((root / rep).glob("*.m4s"))])


def pieces_of(info):
    return [info.hash_for_piece(i) for i in range(info.num_pieces())]


def test_a_torrent_is_503_then_complete(film, p2p):
    edge = p2p(film)
    first = edge.get("/vod/film/2.torrent")
    assert first.status == 503 and first["retry-after"] == "1"
    info = lt.torrent_info(lt.bdecode(ask(edge, "/vod/film/2.torrent")))
    data = whole(film / "vod/film", "2")
    assert info.num_files() == 1 and info.total_size() == len(data)
    assert info.name() == "film-2.mp4"
    assert pieces_of(info) == [hashlib.sha1(data[i:i + PIECE]).digest() for i in range(0, len(data), PIECE)]


def test_the_hybrid_is_taken_as_v1_and_v2(film, p2p):
    edge = p2p(film)
    info = lt.torrent_info(lt.bdecode(ask(edge, "/vod/film/2.hybrid.torrent")))
    assert info.info_hashes().has_v1() and info.info_hashes().has_v2()
    assert info.name() == "film"
    files = info.files()
    names = [files.file_path(i) for i in range(files.num_files()) if not files.file_flags(i) & files.flag_pad_file]
    assert names == sorted(["film/2/init.mp4"] + [f"film/2/{n:03d}.m4s" for n in range(1, 13)])


def test_the_index_tells_how_far_each_is(film, p2p):
    edge = p2p(film)
    before = index(edge, "/vod/film/stream.mpd")
    assert before["state"] == "static"
    assert [(r["id"], r["state"]) for r in before["representations"]] == [(str(i), "unasked") for i in range(4)]
    ask(edge, "/vod/film/1.torrent")
    rep = index(edge, "/vod/film/stream.mpd")["representations"][1]
    assert rep["state"] == "ready" and rep["bytes"] == len(whole(film / "vod/film", "1"))
    for magnet, hashes in (("magnet", ["infohash"]), ("hybrid_magnet", ["hybrid_infohash"])):
        found = lt.parse_magnet_uri(rep[magnet])
        assert str(found.info_hashes.v1) == rep[hashes[0]]
        assert found.url_seeds and found.trackers
    assert "x.pe=" in rep["magnet"]


def test_the_same_content_makes_the_same_torrent_on_another_edge(film, p2p):
    a, b = p2p(film), p2p(film)
    hashes = {lt.torrent_info(lt.bdecode(ask(e, "/vod/film/0.hybrid.torrent"))).info_hashes().v2 for e in (a, b)}
    assert len(hashes) == 1


def test_trackers_that_are_said_stand_in_place_of_its_own(film, p2p):
    said = ["udp://tracker.example:6969/announce", "http://tracker.example/announce"]
    edge = p2p(film, announce=said)
    for path in ("/vod/film/0.torrent", "/vod/film/0.hybrid.torrent"):
        assert [t.url for t in lt.torrent_info(lt.bdecode(ask(edge, path))).trackers()] == said
    rep = index(edge, "/vod/film/stream.mpd")["representations"][0]
    assert [lt.parse_magnet_uri(rep[k]).trackers for k in ("magnet", "hybrid_magnet")] == [said, said]


# --- checkers and clients ---

def take(edge, path, work):
    file = work / path.rsplit("/", 1)[1]
    file.write_bytes(ask(edge, path))
    return file


def by_libtorrent(edge, file, out, *more):
    return edge.run(sys.executable, LIB / "lt_fetch.py", file, out, 60, *more, timeout=90)


def by_aria2(edge, file, out):
    return edge.run("aria2c", "--enable-dht=false", "--bt-enable-lpd=false", "--seed-time=0", "--bt-stop-timeout=30",
                    "--file-allocation=none", f"--dir={out}", file, timeout=60)


def by_transmission(edge, file, out):
    """It has no end of its own: it runs a program when all is there."""
    stop = out.parent / "stop"
    stop.write_text("#!/bin/sh\nkill $PPID\n")
    stop.chmod(0o755)
    return edge.run("timeout", "60", "transmission-cli", "-g", out.parent / "conf", "-M", "-w", out, "-f", stop, file,
                    timeout=90)


def fetched(root, under):
    """What of the original folder is in the client's, and is the same."""
    got = {p.relative_to(under): p.read_bytes() for p in under.rglob("*") if p.is_file() and ".pad" not in p.parts}
    assert got, list(under.parent.rglob("*"))
    for name, data in got.items():
        assert data == (root / name).read_bytes(), name
    return len(got)


@pytest.mark.parametrize("kind", ["torrent", "hybrid.torrent"])
def test_checkers_accept_it(film, p2p, work, kind):
    edge = p2p(film)
    for rep in ("2", "3"):
        file = take(edge, f"/vod/film/{rep}.{kind}", work)
        subprocess.run(["aria2c", "-S", file], capture_output=True, check=True, timeout=20)
        if kind == "torrent":  # btcheck stops at a key without characters, which BEP 52 wants
            subprocess.run(["btcheck", "-i", "-n", file], capture_output=True, check=True, timeout=20)


@pytest.mark.parametrize("client", [by_libtorrent, by_aria2])  # Transmission 3.00 cannot parse BEP 52's empty key
def test_hybrid_from_the_folder_alone(film, edge_over, work, client):
    """BEP 19, directory form: no peer and no tracker, only the folder that viewers are served from, and its pads."""
    edge = edge_over(film, p2p={"piece": PIECE, "listen": [f"0.0.0.0:{free_port()}"]})
    out = work / "out"
    out.mkdir()
    said = client(edge, take(edge, "/vod/film/2.hybrid.torrent", work), out)
    assert said.returncode == 0, said.stdout + said.stderr
    assert fetched(film / "vod/film", out / "film") == 13


def test_hybrid_of_a_manifest_without_a_folder_is_redirected(folder, sample, edge_over, work):
    shutil.copytree(sample, folder, dirs_exist_ok=True)
    edge = edge_over(folder, p2p={"piece": PIECE, "listen": [f"0.0.0.0:{free_port()}"]})
    out = work / "out"
    out.mkdir()
    said = by_libtorrent(edge, take(edge, "/2.hybrid.torrent", work), out)
    assert said.returncode == 0, said.stdout + said.stderr
    assert fetched(folder, out / "stream-2") == 13
    assert edge.get("/stream.mpd.torrents/2/stream-2/2/001.m4s")["location"] == "/2/001.m4s"


@pytest.mark.parametrize("client", [by_libtorrent, by_aria2, by_transmission])
def test_single_file_by_web_seed_alone(film, edge_over, work, client):
    edge = edge_over(film, p2p={"piece": PIECE, "listen": [f"0.0.0.0:{free_port()}"]})
    out = work / "out"
    out.mkdir()
    said = client(edge, take(edge, "/vod/film/2.torrent", work), out)
    file = out / "film-2.mp4"
    assert file.exists() and file.read_bytes() == whole(film / "vod/film", "2"), said.stdout + said.stderr


def test_pads_are_zeros(film, p2p):
    edge = p2p(film)
    r = edge.get("/vod/film/.pad/1234")
    assert r.status == 200 and r.body == bytes(1234)
    assert edge.get("/vod/film/.pad/1234", headers=[("Range", "bytes=1000-")]).body == bytes(234)
    assert edge.get(f"/vod/film/.pad/{PIECE}").status == 404
    below = "/vod/film/stream.mpd.torrents/2/film/.pad/"
    assert edge.get(f"{below}1234").body == bytes(1234)
    assert edge.get(f"{below}{PIECE}").status == 404


# --- what becomes of them ---

def infohash(edge, path):
    return str(lt.torrent_info(lt.bdecode(ask(edge, path))).info_hashes().v1)


def test_changed_content_is_withdrawn_and_made_again(film, p2p):
    edge = p2p(film)
    before = infohash(edge, "/vod/film/1.torrent")
    segment = film / "vod/film/1/003.m4s"
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)

    def noticed():
        """A file in a directory is looked at again after two seconds."""
        assert edge.get("/vod/film/1/003.m4s").status == 200
        return edge.metrics()["torrent_withdrawn"] == 1

    wait_until(noticed, 15, "withdrawn")
    after = infohash(edge, "/vod/film/1.torrent")
    assert after != before
    assert infohash(edge, "/vod/film/1.torrent") == after


class Peer:
    """As much of a BitTorrent client as asks for one block (BEP 3, with BEP 6)."""

    def __init__(self, edge, port, infohash):
        self.sock = edge.place.socket(4)
        self.sock.settimeout(10)
        self.sock.connect((edge.place.hosts[4], port))
        self.sock.sendall(b"\x13BitTorrent protocol" + bytes(7) + b"\4" + bytes.fromhex(infohash) + b"-XX0001-abcdefghijkl")
        assert self.take(68)[28:48].hex() == infohash
        self.say(2)

    def take(self, n):
        got = b""
        while len(got) < n:
            more = self.sock.recv(n - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def say(self, what, *numbers):
        self.sock.sendall(struct.pack(f">IB{len(numbers)}I", 1 + 4 * len(numbers), what, *numbers))

    def block(self, piece, begin, n):
        """Its bytes; None where it is rejected. EOFError: the edge has hung up."""
        self.say(6, piece, begin, n)
        while True:
            body = self.take(struct.unpack(">I", self.take(4))[0])
            if body[:1] in (b"\7", b"\x10") and struct.unpack(">II", body[1:9]) == (piece, begin):
                return body[9:] if body[0] == 7 else None


@pytest.mark.parametrize("status", ["429 Too Many Requests", "403 Forbidden", "404 Not Found"])
def test_an_error_for_a_segment_is_no_other_content(vod, kept, status):
    edge, name = kept(), "/vod/film/2/003.m4s"
    before = infohash(edge, BOTH[0])
    stored(edge, 1)
    good = vod.origin.handlers[name]
    vod.origin.on(name, lambda conn, _request: conn.respond(b"not now", status, cache_control="max-age=1"))
    wait_until(lambda: edge.get(name).status != 200, 10, "the error")
    vod.origin.on(name, good)
    wait_until(lambda: edge.get(name).status == 200, 10, "the segment again")
    assert infohash(edge, BOTH[0]) == before
    m = edge.metrics()
    assert m["torrent_withdrawn"] == 0 and m["torrents_published"] == 2
    assert len(list(kept.store.iterdir())) == 1


def test_what_changes_while_others_are_hashed_is_not_published(vod, kept):
    """The first segments are hashed and the last one is on its way, as the first becomes another."""
    edge, go_on = kept(), threading.Event()
    last = max(n for n in vod if n.startswith("/vod/film/2/") and n.endswith(".m4s"))
    serve = vod.origin.handlers[last]

    def late(conn, request):
        go_on.wait(60)
        return serve(conn, request)

    vod.origin.on(last, late)
    assert edge.get(BOTH[0]).status == 503
    wait_until(lambda: next(r for r in index(edge, "/vod/film/stream.mpd")["representations"] if r["id"] == "2")["hashed"] > 2,
               10, "the first ones")
    vod.change("2/001.m4s")
    name = "/vod/film/2/001.m4s"
    wait_until(lambda: edge.get(name).body == vod[name][0], 10, "the other content")
    go_on.set()
    wait_until(lambda: edge.get(BOTH[0]).status == 502, 10, "said")
    assert edge.get(BOTH[0]).body == b"a segment has changed meanwhile\n"
    wait_until(lambda: edge.get(BOTH[0]).status != 502, 10, "begun again")
    info = lt.torrent_info(lt.bdecode(ask(edge, BOTH[0])))
    data = vod["/vod/film/2/init.mp4"][0] + b"".join(vod[n][0] for n in sorted(vod) if n.startswith("/vod/film/2/0"))
    assert pieces_of(info) == [hashlib.sha1(data[i:i + PIECE]).digest() for i in range(0, len(data), PIECE)]
    stored(edge, 1)


MPD = """<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT{0}S"><Period>
<AdaptationSet mimeType="video/mp4"><Representation id="v" bandwidth="1">{1}</Representation></AdaptationSet></Period></MPD>"""


def test_a_file_and_a_folder_of_its_name(scripted, p2p):
    """As a hybrid's files they would be one, so they have numbers."""
    urls = ["film", "film/2", "film/3"]
    text = MPD.format(3, "<SegmentList duration='1'>" + "".join(f"<SegmentURL media='{u}'/>" for u in urls) + "</SegmentList>")
    scripted.on("/a/stream.mpd", lambda conn, _: conn.respond(text.encode()))
    for u in urls:
        scripted.on("/a/" + u, lambda conn, request: conn.respond(request.target.encode() * 9000, etag='"1"'))
    edge = p2p(scripted)
    files = lt.torrent_info(lt.bdecode(ask(edge, "/a/v.hybrid.torrent"))).files()
    names = [files.file_path(i) for i in range(files.num_files()) if not files.file_flags(i) & lt.file_flags_t.flag_pad_file]
    assert [n.rsplit("/", 1)[1] for n in names] == ["000000.mp4", "000001.mp4", "000002.mp4"]


def test_lists_of_segments_are_of_the_memory(scripted, p2p):
    """Each takes more than half of it; what is asked for is there all the same, even two at once."""
    text = MPD.format(4000, f"<SegmentTemplate duration='1' startNumber='1' media='{'x' * 100}-$Number$.m4s'/>").encode()
    names = [f"/{i}/stream.mpd" for i in range(8)] + ["/two/a.mpd", "/two/b.mpd"]
    for name in names:
        scripted.on(name, lambda conn, _: conn.respond(text, cache_control="max-age=1000"))
    edge = p2p(scripted, torrents="2MiB")
    for name in names + names[:2]:
        rep, = index(edge, name)["representations"]
        assert rep["segments"] == 4000
        assert 1 << 20 < edge.metrics()["torrent_memory"] <= 2 << 20
    assert edge.get("/two/v.torrent").status == 503


def test_what_a_seeder_finds_changed_is_withdrawn(film, scripted, p2p):
    """The new segment never comes to its end, so no fill tells: the worker that sees its head does."""
    root, changed, go_on = film / "vod/film", threading.Event(), threading.Event()

    def serve(path):
        def handler(conn, _request):
            body = path.read_bytes()
            tag, age = '"one"', 1000
            if path.name == "003.m4s":
                age = 0
                if changed.is_set():
                    body, tag = bytes(len(body)), '"two"'
            conn.head(content_length=len(body), etag=tag, cache_control=f"max-age={age}")
            conn.send(body[:1000])
            if tag == '"two"':
                go_on.wait(60)
            conn.send(body[1000:])

        return handler

    for path in [root / "stream.mpd", *(root / "1").iterdir()]:
        scripted.on(f"/vod/film/{path.relative_to(root)}", serve(path))
    edge = p2p(scripted)
    port = int(edge.config["p2p"]["listen"][0].rsplit(":", 1)[1])
    before = infohash(edge, "/vod/film/1.torrent")
    inside = sum((root / "1" / n).stat().st_size for n in ("init.mp4", "001.m4s", "002.m4s")) + 2000
    ask_for = inside // PIECE, inside % PIECE, 100
    peer = Peer(edge, port, before)
    assert peer.block(*ask_for) == whole(root, "1")[inside:inside + 100]
    changed.set()
    with edge.connect() as viewer:
        viewer.request("/vod/film/1/003.m4s")
        assert viewer.head()["etag"] == '"two"'
        with pytest.raises((EOFError, ConnectionResetError)):
            assert peer.block(*ask_for) is None
            peer.take(1)
        wait_until(lambda: edge.metrics()["torrents_published"] == 0, 10, "withdrawn")
        assert edge.get("/vod/film/1.torrent").status == 503
        go_on.set()
        after = infohash(edge, "/vod/film/1.torrent")
    assert after != before
    assert Peer(edge, port, after).block(*ask_for) == bytes(100)
    with pytest.raises((EOFError, ConnectionResetError)):
        Peer(edge, port, before)


def test_stat_lists_what_was_asked_for(film, p2p):
    edge = p2p(film)
    assert edge.stat()["torrents"] == []
    made = infohash(edge, "/vod/film/1.torrent")
    data = whole(film / "vod/film", "1")
    assert edge.get("/vod/film/stream.mpd.torrents/1.mp4").body == data
    wait_until(lambda: edge.stat()["torrents"][0]["v1"]["sent_as_file_bytes"] == len(data), 5, "bytes counted")
    assert edge.stat()["torrents_asked_for"] == 1
    one, = edge.stat()["torrents"]
    assert (one["manifest"], one["id"], one["state"]) == ("/vod/film/stream.mpd", "1", "ready")
    assert one["segments"] == one["hashed"] == 13
    assert one["v1"]["infohash"] == made and one["v1"]["bytes"] == len(data)
    assert one["hybrid"]["peers"] == one["hybrid"]["sent_to_peers_bytes"] == 0


def test_stat_counts_the_swarm_of_each(film, p2p):
    edge = p2p(film)
    made = bytes.fromhex(infohash(edge, "/vod/film/1.torrent"))
    ask_for = f"/announce?info_hash={urllib.parse.quote_from_bytes(made)}&peer_id=x&compact=1&port="
    for more in ("1001&left=9", "1002&left=9", "1003&left=0&event=completed"):
        assert edge.get(ask_for + more).status == 200

    def counted():
        v1 = edge.stat()["torrents"][0]["v1"]
        return (v1["swarm_seeds"], v1["swarm_leechers"], v1["swarm_completed"])

    wait_until(lambda: counted() == (1, 2, 1), 10, "a seed, two others")
    assert edge.stat()["torrents"][0]["hybrid"]["swarm_leechers"] == 0


def test_purge_withdraws(film, p2p):
    edge = p2p(film)
    before = infohash(edge, "/vod/film/0.torrent")
    assert edge.metrics()["torrents_published"] == 2
    assert edge.admin("/purge?url=/vod/film/0/005.m4s", "POST")[0] == 200
    wait_until(lambda: edge.metrics()["torrents_published"] == 0, 10, "withdrawn")
    assert infohash(edge, "/vod/film/0.torrent") == before


def test_a_live_manifest_has_none(folder, sample, p2p):
    shutil.copytree(sample, folder / "live")
    mpd = folder / "live/stream.mpd"
    mpd.write_text(mpd.read_text().replace('type="static"', 'type="dynamic"'))
    edge = p2p(folder)
    assert index(edge, "/live/stream.mpd") == {"manifest": "/live/stream.mpd", "state": "live", "representations": []}
    assert edge.get("/live/0.torrent").status == 404


def test_what_is_missing_is_said(film, p2p):
    (film / "vod/film/2/004.m4s").unlink()
    edge = p2p(film)
    assert edge.get("/vod/film/nobody.torrent").status == 404
    assert edge.get("/nowhere/1.torrent").status == 404
    assert edge.get("/nowhere/stream.mpd.torrents").status == 404
    wait_until(lambda: edge.get("/vod/film/2.torrent").status == 502, 15, "502")
    assert b"segment is missing" in edge.get("/vod/film/2.torrent").body
    rep = index(edge, "/vod/film/stream.mpd")["representations"][2]
    assert rep["state"] == "failed" and rep["reason"] == "a segment is missing"


def test_offline_makes_what_the_edge_makes(film, p2p, work, spate_bin):
    edge = p2p(film)
    said = subprocess.run([spate_bin, "torrent", film / "vod/film/ondemand.mpd", "-o", work / "t", "--set",
                           f"p2p.piece={PIECE}"], capture_output=True, timeout=60, check=True).stdout.decode()
    for name in ("mid", "audio"):
        for kind in ("torrent", "hybrid.torrent"):
            mine = lt.torrent_info(str(work / f"t/{name}.{kind}")).info_hashes()
            theirs = lt.torrent_info(lt.bdecode(ask(edge, f"/vod/film/ondemand.mpd.torrents/{name}.{kind}")))
            assert mine == theirs.info_hashes()
            assert f"infohash {mine.v1}" in said


# --- hashes kept on disk ---

class Vod(dict):
    """The film at an origin that is not a folder: {path: (body, tag)}, each asked for as often as `asked` says."""

    def __init__(self, origin, root, under="/vod/film"):
        super().__init__()
        self.origin, self.under = origin, under
        for path in [root / "stream.mpd", *root.glob("*/*.m*4*")]:
            name = f"{under}/{path.relative_to(root)}"
            self[name] = path.read_bytes(), f'"{name}"'
            origin.on(name, self.serve(name))

    def serve(self, name):
        def handler(conn, request):
            body, tag = self[name]
            if tag and request["if-none-match"] == tag:
                conn.head("304 Not Modified", etag=tag, cache_control="max-age=1")
            else:
                conn.head(content_length=len(body), etag=tag, cache_control="max-age=1")
                conn.send(body)

        return handler

    def change(self, name):
        body = bytearray(self[f"{self.under}/{name}"][0])
        body[-1] ^= 1
        self[f"{self.under}/{name}"] = bytes(body), '"changed"'

    def segments_asked(self):
        return [r.target for r in self.origin.requests if not r.target.endswith(".mpd")]


@pytest.fixture
def vod(film, scripted):
    return Vod(scripted, film / "vod/film")


@pytest.fixture
def kept(vod, p2p, work):
    """Starts an edge over the same store and with the same addresses in its torrents, and ends the one before."""
    store, running = work / "store", []
    store.mkdir()

    def start(**more):
        for edge in running:
            edge.stop()
        vod.origin.requests.clear()
        running[:] = [p2p(vod.origin, store=str(store), url="http://edge.example", announce=["udp://t.example:1"], **more)]
        return running[0]

    start.store = store
    return start


def stored(edge, n):
    wait_until(lambda: edge.metrics()["torrent_stored"] == n, 10, f"{n} stored")


BOTH = ["/vod/film/2.torrent", "/vod/film/2.hybrid.torrent"]


def test_a_restart_keeps_the_torrents(vod, kept):
    edge = kept()
    before = [ask(edge, path) for path in BOTH]
    stored(edge, 1)
    assert len(list(kept.store.iterdir())) == 1
    edge = kept()
    for path, body in zip(BOTH, before):
        again = edge.get(path)
        assert (again.status, again.body) == (200, body)
    assert vod.segments_asked() == []
    m = edge.metrics()
    assert m["torrent_loaded"] == 1 and m["torrents_published"] == 2
    assert m["torrent_hashed_bytes"] == m["torrent_pieces"] == m["torrent_stored"] == m["torrent_store_errors"] == 0


def test_the_index_finds_what_is_stored(vod, kept):
    edge = kept()
    ask(edge, BOTH[0])
    stored(edge, 1)
    said = index(edge, "/vod/film/stream.mpd")
    edge = kept()
    again = index(edge, "/vod/film/stream.mpd")
    for one in (said, again):
        for rep in one["representations"]:  # the port of the peer wire is another one each time
            rep.update({k: rep[k].split("&x.pe=")[0] for k in ("magnet", "hybrid_magnet") if rep[k]})
    assert again == said
    assert [r["state"] for r in said["representations"]] == ["unasked", "unasked", "ready", "unasked"]
    assert vod.segments_asked() == []


@pytest.mark.parametrize("client", [by_libtorrent, by_aria2])
def test_a_client_completes_from_a_torrent_that_was_kept(film, vod, kept, edge_over, work, client):
    """By the web seed, whose segments come only now."""
    store = {"piece": PIECE, "store": str(kept.store), "listen": [f"0.0.0.0:{free_port()}"]}
    first = edge_over(vod.origin, p2p=store)
    ask(first, BOTH[0])
    stored(first, 1)
    first.stop()
    vod.origin.requests.clear()
    edge = edge_over(vod.origin, p2p=store)
    file = work / "2.torrent"
    torrent = edge.get(BOTH[0])
    assert torrent.status == 200 and vod.segments_asked() == []
    file.write_bytes(torrent.body)
    out = work / "out"
    out.mkdir()
    said = client(edge, file, out)
    made = out / "film-2.mp4"
    assert made.exists() and made.read_bytes() == whole(film / "vod/film", "2"), said.stdout + said.stderr
    m = edge.metrics()
    assert m["torrent_loaded"] == 1 and m["torrent_hashed_bytes"] == m["torrent_withdrawn"] == 0


def test_a_seeder_sends_what_was_kept(film, vod, kept):
    edge = kept()
    made = infohash(edge, BOTH[0])
    stored(edge, 1)
    edge = kept()
    assert edge.get(BOTH[0]).status == 200
    peer = Peer(edge, int(edge.config["p2p"]["listen"][0].rsplit(":", 1)[1]), made)
    assert peer.block(0, 0, 16384) == whole(film / "vod/film", "2")[:16384]
    assert len(vod.segments_asked()) < 5


def test_a_segment_that_changed_meanwhile_is_withdrawn_and_hashed_anew(vod, kept):
    edge = kept()
    before = infohash(edge, BOTH[0])
    stored(edge, 1)
    vod.change("2/003.m4s")
    edge = kept()
    assert edge.get(BOTH[0]).status == 200  # nobody can know yet
    assert edge.get("/vod/film/2/003.m4s").status == 200
    wait_until(lambda: edge.metrics()["torrent_withdrawn"] == 1, 10, "withdrawn")
    wait_until(lambda: not list(kept.store.iterdir()), 10, "removed from the store")
    after = infohash(edge, BOTH[0])
    assert after != before
    stored(edge, 1)
    edge = kept()
    assert edge.get(BOTH[0]).status == 200 and infohash(edge, BOTH[0]) == after
    assert vod.segments_asked() == []


def test_what_the_cache_knows_to_differ_is_not_published(vod, kept):
    edge = kept()
    before = infohash(edge, BOTH[0])
    stored(edge, 1)
    vod.change("2/003.m4s")
    edge = kept()
    assert edge.get("/vod/film/2/003.m4s").status == 200  # a viewer was first
    assert infohash(edge, BOTH[0]) != before
    stored(edge, 1)
    m = edge.metrics()
    assert m["torrent_loaded"] == m["torrent_withdrawn"] == 0


def test_other_segments_in_the_manifest_are_hashed(vod, kept):
    edge = kept()
    before = infohash(edge, BOTH[0])
    stored(edge, 1)
    mpd = "/vod/film/stream.mpd"
    text = vod[mpd][0].replace(b"$Number%03d$.m4s", b"$Number%03d$.m4s?v=2")
    assert text != vod[mpd][0]
    vod[mpd] = text, '"second"'
    for n in list(vod):
        if n.endswith(".m4s"):
            vod[n + "?v=2"] = vod[n]
            vod.origin.on(n + "?v=2", vod.serve(n))
    edge = kept()
    assert edge.get(BOTH[0]).status == 503
    assert infohash(edge, BOTH[0]) == before  # the concatenation has no segments' names
    m = edge.metrics()
    assert m["torrent_loaded"] == m["torrent_store_errors"] == 0 and m["torrent_hashed_bytes"] > 0


def test_another_piece_length_is_hashed(vod, kept):
    edge = kept()
    ask(edge, BOTH[0])
    stored(edge, 1)
    edge = kept(piece=2 * PIECE)
    assert edge.get(BOTH[0]).status == 503
    ask(edge, BOTH[0])
    stored(edge, 1)
    assert len(list(kept.store.iterdir())) == 2


@pytest.mark.parametrize("spoil", ["cut", "flip", "empty"])
def test_a_spoilt_file_is_said_and_hashed_anew(vod, kept, spoil):
    edge = kept()
    before = ask(edge, BOTH[0])
    stored(edge, 1)
    file, = kept.store.iterdir()
    whole_file = file.read_bytes()
    file.write_bytes({"cut": whole_file[:-1], "flip": whole_file[:99] + bytes([whole_file[99] ^ 4]) + whole_file[100:],
                      "empty": b""}[spoil])
    edge = kept()
    assert edge.get(BOTH[0]).status == 503
    assert ask(edge, BOTH[0]) == before
    stored(edge, 1)
    assert edge.metrics()["torrent_store_errors"] == 1
    assert b"torrent_store_unreadable" in edge.process.said()
    assert file.read_bytes() == whole_file


def test_a_purge_takes_it_out_of_the_store(vod, kept):
    edge = kept()
    ask(edge, BOTH[0])
    ask(edge, "/vod/film/1.torrent")
    stored(edge, 2)
    assert edge.admin("/purge?url=/vod/film/2/005.m4s", "POST")[0] == 200
    wait_until(lambda: len(list(kept.store.iterdir())) == 1, 10, "one removed")
    edge = kept()
    assert edge.get("/vod/film/1.torrent").status == 200
    assert edge.get(BOTH[0]).status == 503


def test_a_purge_reaches_what_was_not_asked_for_since(vod, kept):
    """The manifest is known, the representation only in the store."""
    edge = kept()
    ask(edge, BOTH[0])
    stored(edge, 1)
    edge = kept()
    assert edge.get("/vod/film/1.torrent").status == 503
    assert edge.admin("/purge?url=/vod/film/2/005.m4s", "POST")[0] in (200, 404)
    assert edge.get(BOTH[0]).status == 503


def test_what_is_asked_for_is_among_the_last_to_go(vod, kept):
    """By the time of its file, which the edge that has it in memory renews."""
    edge = kept()
    ask(edge, BOTH[0])
    stored(edge, 1)
    file, = kept.store.iterdir()
    os.utime(file, (0, 0))

    def renewed():
        assert edge.get(BOTH[0]).status == 200
        return file.stat().st_mtime > 0

    wait_until(renewed, 10, "renewed")


def test_two_edges_share_a_store(vod, kept, p2p):
    first = kept()
    mine = ask(first, BOTH[0])
    stored(first, 1)
    second = p2p(vod.origin, store=str(kept.store), url="http://edge.example", announce=["udp://t.example:1"])
    assert second.get(BOTH[0]).body == mine
    assert second.metrics()["torrent_loaded"] == 1


def test_bytes_without_a_validator_are_not_kept(vod, kept):
    """Another file of that length could not be told from the one that was hashed."""
    vod["/vod/film/2/003.m4s"] = vod["/vod/film/2/003.m4s"][0], None
    edge = kept()
    ask(edge, BOTH[0])
    ask(edge, "/vod/film/1.torrent")
    stored(edge, 1)
    assert len(list(kept.store.iterdir())) == 1


def test_a_store_that_went_away_only_costs_the_store(film, p2p, work):
    store = work / "store"
    store.mkdir()
    edge = p2p(film, store=str(store))
    store.rmdir()
    ask(edge, BOTH[0])
    wait_until(lambda: edge.metrics()["torrent_store_errors"] == 1, 10, "said")
    assert b"torrent_store_failed" in edge.process.said()


def test_a_store_that_is_not_there_is_refused_at_the_start(film, work, spate_bin):
    for verb in (["check"], ["run", "--admin", "off", "--listen", f"127.0.0.1:{free_port()}"]):
        said = subprocess.run([spate_bin, *verb, "--origin", film, "--set", f"p2p.store={work / 'nowhere'}"],
                              capture_output=True, timeout=20)
        assert said.returncode != 0
        assert b"p2p.store" in said.stderr and b"No such file or directory" in said.stderr


def test_an_offline_torrent_leaves_the_store_alone(film, vod, kept, work, spate_bin):
    """Any folder has a /stream.mpd; what the edge has of its own says nothing about it."""
    (work / "t").mkdir()
    subprocess.run([spate_bin, "torrent", film / "vod/film/stream.mpd", "-o", work / "t", "--set", f"p2p.piece={PIECE}",
                    "--set", f"p2p.store={kept.store}"], capture_output=True, timeout=60, check=True)
    assert list(kept.store.iterdir()) == []
