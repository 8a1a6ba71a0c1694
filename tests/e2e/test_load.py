"""spate-load and spate-leech against the edge: what is right passes, and each way to be wrong is told from the others."""
import hashlib
import json
import random
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from net import free_port
from torrent import bdecode


@pytest.fixture
def load(build, work):
    """Runs it where the edge can be reached, or (None) here; (exit status, {metric: value}, everything it said)."""
    def run(edge, *argv):
        out = work / "load.json"
        out.unlink(missing_ok=True)
        argv = [build / "bench/load/spate-load", "--quiet", "--json", out, *argv]
        done = edge.run(*argv) if edge else subprocess.run(argv, capture_output=True, timeout=60, check=False)
        said = (done.stdout + done.stderr).decode()
        rows = json.loads(out.read_text()) if out.exists() and out.read_text() else []
        return done.returncode, {r["metric"]: r["value"] for r in rows}, said

    return run


@pytest.fixture
def edge(edge_over, nginx):
    return edge_over(nginx("add_header Cache-Control max-age=600;"))


def listed(build, edge, sample, work):
    """The sample's files with their hashes, as a list for --urls."""
    out = edge.run(build / "bench/load/spate-load", "--make-urls", sample)
    assert out.returncode == 0, out
    (work / "urls").write_bytes(out.stdout)
    return work / "urls"


def test_all_of_the_sample_is_right(build, edge, sample, work, load):
    urls = listed(build, edge, sample, work)
    code, got, said = load(edge, "-n", "2000", "-c", "8", "--urls", urls, "--verify", "list", edge.url("/"))
    assert code == 0, said
    assert got["answers"] == 2000 and got["verified"] == 2000 and got["wrong"] == 0, said


def test_pipelined_ranges_are_right(edge, load):
    code, got, said = load(edge, "-n", "1000", "-c", "4", "--pipeline", "8", "--range", "4KiB", "--verify", "first",
                           edge.url("/ondemand/mid.mp4"))
    assert code == 0 and got["verified"] == 1000, said


def test_one_request_a_connection(edge, load):
    code, got, said = load(edge, "-n", "200", "-c", "4", "--one-shot", "--verify", "first", edge.url("/stream.mpd"))
    assert code == 0 and got["answers"] == 200, said


def test_open_loop_sends_what_was_asked(edge, load):
    code, got, said = load(edge, "--rate", "200", "-n", "300", "-c", "8", edge.url("/stream.mpd"))
    assert code == 0 and got["answers"] == 300, said


def test_a_wrong_byte_is_found(edge, sample, work, load):
    """The list says otherwise than the edge sends: as an edge that sends other bytes would look."""
    (work / "urls").write_text("/stream.mpd 0123456789abcdef\n")
    code, got, said = load(edge, "-n", "20", "--urls", work / "urls", "--verify", "list", edge.url("/"))
    assert code == 1 and got["wrong"] == 20, said


def test_bodies_that_change_are_found(scripted, load):
    """Straight at an origin that answers something else each time: the first transfer is the reference."""
    origin = scripted
    origin.on("/x", lambda c, q: c.respond(b"%08d" % len(origin.requests) * 1000))
    code, got, said = load(None, "-n", "5", "-c", "1", "--verify", "first", f"http://127.0.0.1:{origin.port}/x")
    assert code == 1 and got["wrong"] == 4, said


def test_a_server_that_stands_still_is_told(scripted, load):
    """Open loop: what waits counts from when it was due, and what never came has failed."""
    origin = scripted
    origin.on("/x", lambda c, q: time.sleep(3) or c.respond(b"late"))
    code, got, said = load(None, "--rate", "50", "-d", "1s", "--warmup", "0", "-c", "2", "--timeout", "1s",
                           f"http://127.0.0.1:{origin.port}/x")
    assert code == 1 and got["failed"] >= 40, said
    assert got["latency p50"] > 500000, said


def test_each_url_once_before_it_counts(edge_over, folder, load):
    for i in range(100):
        (folder / str(i)).write_bytes(b"x")
    edge = edge_over(folder)
    code, got, said = load(edge, "--cover", "--rate", "200", "-d", "0.1s", "--warmup", "0", "-c", "1", edge.url("/{0..99}"))
    assert code == 0 and edge.metrics()["http_miss"] == 100, said
    assert got["answers"] < 50, said


def test_nobody_there(edge, load):
    code, _, said = load(edge, "-n", "10", "http://127.0.0.1:1/x")
    assert code == 2 and "no connection could be made" in said, said


def test_viewers_play_in_real_time(edge, load):
    t = time.monotonic()
    code, got, said = load(edge, "--dash", "-c", "5", "--together", "--stop-after", "3s", "--buffer", "4s", "--start", "2s",
                           "--verify", "first", edge.url("/stream.mpd"))
    assert code == 0, said
    assert got["viewers finished"] == 5 and got["stalls"] == 0, said
    assert time.monotonic() - t >= 3, "three seconds of video cannot be watched in less"


def test_viewers_play_parts_of_one_file(edge_over, folder, sample, load):
    """SegmentList with mediaRange: what is fetched are ranges, and each viewer gets the same bytes."""
    shutil.copy(sample / "ondemand/mid.mp4", folder)
    ranges = "".join(f'<SegmentURL mediaRange="{at}-{at + 49999}"/>' for at in (1000, 51000, 101000))
    (folder / "list.mpd").write_text(
        '<MPD mediaPresentationDuration="PT3S"><Period><AdaptationSet contentType="video">'
        '<Representation id="mid" bandwidth="400000"><BaseURL>mid.mp4</BaseURL><SegmentList duration="1">'
        f'<Initialization range="0-796"/>{ranges}</SegmentList></Representation></AdaptationSet></Period></MPD>')
    edge = edge_over(folder)
    code, got, said = load(edge, "--dash", "-c", "3", "--together", "--start", "1s", "--verify", "first",
                           edge.url("/list.mpd"))
    assert code == 0, said
    assert got["viewers finished"] == 3 and got["wrong"] == 0, said
    assert got["verified"] == got["answers"] == 3 * (1 + 1 + 3), said
    parts = {line.get("range") for line in edge.log(15) if line["url"] == "/mid.mp4"}
    assert parts == {"bytes=0-796", "bytes=1000-50999", "bytes=51000-100999", "bytes=101000-150999"}


def test_a_slow_origin_stalls_viewers(scripted, sample, load):
    """Segments of two seconds that take three: every viewer stalls."""
    origin = scripted
    mpd = (sample / "stream.mpd").read_bytes()
    origin.on("/stream.mpd", lambda c, q: c.respond(mpd))
    for folder in sample.iterdir():
        for f in folder.glob("*") if folder.is_dir() else ():
            body = f.read_bytes()
            origin.on(f"/{folder.name}/{f.name}", lambda c, q, body=body: time.sleep(
                3 if q.target.endswith("m4s") and not q.target.endswith("1.m4s") else 0) or c.respond(body))
    code, got, said = load(None, "--dash", "-c", "1", "--stop-after", "4s", "--buffer", "4s", "--start", "1s",
                           f"http://127.0.0.1:{origin.port}/stream.mpd")
    assert code == 0, said
    assert got["stalls"] >= 1 and got["stall time"] > 0, said


# --- spate-leech ---

PIECE = 32768


@pytest.fixture
def leech(build):
    """Runs it where the edge can be reached, or (None) here; (exit status, what it counted, everything it said)."""
    def run(edge, *argv):
        argv = [build / "bench/load/spate-leech", *argv]
        done = edge.run(*argv) if edge else subprocess.run(argv, capture_output=True, timeout=60, check=False)
        return done.returncode, json.loads(done.stdout or "{}"), (done.stdout + done.stderr).decode()

    return run


def test_every_piece_has_its_hash(leech, edge_over, sample):
    """Twice the whole torrent, which is asked for over the same network while it is being made."""
    port = free_port()
    edge = edge_over(sample, p2p={"piece": PIECE, "listen": [f"0.0.0.0:{port}"]})
    code, got, said = leech(edge, "-c", "2", "--once", "--verify", edge.url("/2.torrent"), f"{edge.place.hosts[4]}:{port}")
    info = bdecode(edge.get("/2.torrent").body)[b"info"]
    assert code == 0, said
    assert got["bytes"] == 2 * info[b"length"] and got["rejected"] == 0, said
    assert got["verified"] == 2 * len(info[b"pieces"]) // 20 and got["wrong"] == 0, said


def test_time_ends_it_and_a_sample_is_verified(leech, edge_over, sample):
    port = free_port()
    edge = edge_over(sample, p2p={"piece": PIECE, "listen": [f"0.0.0.0:{port}"]})
    code, got, said = leech(edge, "-d", "0.5", "--warmup", "0.2", "--verify=8", edge.url("/2.torrent"),
                            f"{edge.place.hosts[4]}:{port}")
    assert code == 0, said
    assert got["bytes"] > 0 and got["seconds"] >= 0.5 and got["verified"] > 0 and got["wrong"] == 0, said


class Liar(threading.Thread):
    """A seeder for one peer. lie(piece, begin, block) makes what is sent of what was asked for."""

    def __init__(self, work, lie):
        super().__init__(daemon=True)
        self.lie, self.content = lie, random.Random(1).randbytes(5 * PIECE + 20000)
        hashes = b"".join(hashlib.sha1(self.content[i:i + PIECE]).digest() for i in range(0, len(self.content), PIECE))
        info = b"d6:lengthi%de4:name1:x12:piece lengthi%de6:pieces%d:%se" % (len(self.content), PIECE, len(hashes), hashes)
        self.hash, self.torrent = hashlib.sha1(info).digest(), work / "x.torrent"
        self.torrent.write_bytes(b"d4:info" + info + b"e")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.start()

    def run(self):
        s, _ = self.listener.accept()
        with s, s.makefile("rb") as f:
            f.read(68)
            s.sendall(b"\x13BitTorrent protocol" + b"\0\0\0\0\0\0\0\4" + self.hash + b"-XX0001-abcdefghijkl"
                      + b"\0\0\0\1\x0e" + b"\0\0\0\1\1")  # have all, unchoke
            try:
                while head := f.read(4):
                    m = f.read(struct.unpack(">I", head)[0])
                    if m[:1] == b"\6":
                        piece, begin, n = struct.unpack(">III", m[1:])
                        at = piece * PIECE + begin
                        piece, begin, block = self.lie(piece, begin, self.content[at:at + n])
                        s.sendall(struct.pack(">IBII", 9 + len(block), 7, piece, begin) + block)
            except OSError:
                pass  # it has seen enough


def test_a_seeder_that_tells_the_truth(leech, work):
    seeder = Liar(work, lambda piece, begin, block: (piece, begin, block))
    code, got, said = leech(None, "-c", "1", "--once", "--verify", seeder.torrent, seeder.address)
    assert code == 0 and got["verified"] == 6 and got["bytes"] == len(seeder.content), said


def test_a_wrong_byte_is_found_by_the_hash_of_its_piece(leech, work):
    seeder = Liar(work, lambda piece, begin, block: (piece, begin, block[:-1] + b"?" if (piece, begin) == (3, 16384) else block))
    code, got, said = leech(None, "-c", "1", "--once", "--verify", seeder.torrent, seeder.address)
    assert code == 1 and got["wrong"] == 1 and got["verified"] == 5, said


@pytest.mark.parametrize("lie, why", [
    (lambda piece, begin, block: (piece + 7, begin, block), "not asked for"),
    (lambda piece, begin, block: (piece, begin + 1, block), "not asked for"),
    (lambda piece, begin, block: (piece, begin, block[:-1]), "another length"),
], ids=["piece", "begin", "length"])
def test_a_block_that_was_not_asked_for(leech, work, lie, why):
    seeder = Liar(work, lie)
    code, _, said = leech(None, "-c", "1", "--once", seeder.torrent, seeder.address)
    assert code == 1 and why in said, said
