"""Viewers, origin and cache all misbehave at once; what is delivered whole is right, and nothing is left over."""
import hashlib
import random
import threading
import time

import pytest

from net import Closed, wait_until

SEED = 20261123
PATHS = 120
SECONDS = 6


def body_of(path):
    """Its own bytes and size for each path: 1 byte to 900 KB, so that a 16 MiB cache cannot keep them all."""
    seed = hashlib.sha256(path.encode()).digest()
    size = 1 + int.from_bytes(seed[:4], "big") % (1 << (4 + seed[4] % 17))
    return (seed * (size // 32 + 1))[:size]


def chaotic(conn, request):
    """Whole, chunked, trickled, cut short, reset, or an error: as the dice fall."""
    body, dice = body_of(request.target), random.random()
    fields = {"cache_control": random.choice(["max-age=60", "max-age=0", "no-store", "max-age=1"]), "etag": '"e"'}
    if request["If-None-Match"] and dice < 0.5:
        conn.head("304 Not Modified", **fields)
        return True
    if dice < 0.5:
        conn.respond(body, **fields)
        return True
    if dice < 0.65:
        conn.head(transfer_encoding="chunked", **fields)
        for i in range(0, len(body), 50000):
            conn.chunk(body[i:i + 50000])
        conn.send("0\r\n\r\n")
        return True
    if dice < 0.75:
        conn.head(content_length=len(body), **fields)
        conn.trickle(body, 0.2, pieces=5)
        return True
    if dice < 0.85:
        conn.head(content_length=len(body) + 7, **fields)
        conn.send(body)
        return False
    if dice < 0.92:
        conn.head(content_length=len(body), **fields)
        conn.send(body[:len(body) // 2])
        conn.reset()
        return False
    conn.respond(b"broken", "500 Internal Server Error")
    return True


def viewer(edge, seed, until, tally):
    dice = random.Random(seed)
    while time.monotonic() < until:
        try:
            with edge.connect() as c:
                for _ in range(dice.randrange(1, 8)):
                    path = f"/{int(dice.paretovariate(0.7)) % PATHS}"
                    want, what = body_of(path), dice.random()
                    if what < 0.1:  # leaves in the middle
                        c.request(path)
                        c.sock.recv(dice.randrange(1, 5000))
                        break
                    if what < 0.15:  # half a request
                        c.sock.sendall(b"GET /half HTTP/1.1\r\nHo")
                        break
                    if what < 0.2:  # nonsense
                        c.sock.sendall(bytes(dice.randrange(256) for _ in range(300)) + b"\r\n\r\n")
                        c.sock.recv(1000)
                        break
                    if what < 0.4:
                        first = dice.randrange(len(want))
                        last = dice.randrange(first, len(want))
                        r = c.get(path, headers=[("Range", f"bytes={first}-{last}")])
                        want = {206: want[first:last + 1], 200: want}.get(r.status)
                    else:
                        r = c.get(path)
                    assert r.status in (200, 206, 502, 503, 504), r.status
                    if r.status in (200, 206):
                        assert r.body == want, f"{path}: {len(r.body)} bytes of {len(want)}"
                        tally["whole"] += 1
                    else:
                        tally["refused"] += 1
        except (Closed, OSError):
            tally["cut"] += 1


@pytest.mark.workers(2)
def test_chaos(edge_over, scripted):
    random.seed(SEED)
    for i in range(PATHS):
        scripted.on(f"/{i}", chaotic)
    edge = edge_over(scripted, cache={"memory": "16MiB"}, workers=2)
    until, wrong = time.monotonic() + SECONDS, []
    tallies = [{"whole": 0, "refused": 0, "cut": 0} for _ in range(24)]

    def one(i):
        try:
            viewer(edge, SEED + i, until, tallies[i])
        except AssertionError as e:
            wrong.append(str(e))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(tallies))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]
    total = {k: sum(t[k] for t in tallies) for k in tallies[0]}
    assert total["whole"] > 100 and total["refused"] > 0 and total["cut"] > 0, total
    # Nothing is left: no connection, no pin; and a good request is answered.
    wait_until(lambda: edge.metrics()["conn_open"] == 0, 10, "every connection to end")
    assert edge.stat()["cache"]["pins"] == 0
    scripted.on("/good", lambda conn, _r: conn.respond(b"good", cache_control="max-age=60"))
    assert edge.get("/good").body == b"good"
