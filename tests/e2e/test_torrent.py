"""Torrents of what the edge serves: made when asked for, taken by every checker, right as web seeds."""
import hashlib
import json
import shutil
import subprocess
import sys
import time

import pytest

from net import free_port, wait_until

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
