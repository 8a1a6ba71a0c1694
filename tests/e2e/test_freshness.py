"""How long an answer is good: RFC 9111 sections 4.2 and 4.3, as a shared cache."""
import email.utils
import time

import pytest

BODY = b"x" * 5000


def date(offset=0):
    return email.utils.formatdate(time.time() + offset, usegmt=True)


def asked_again(edge_over, scripted, wait=0.0, **fields):
    """How often the origin was asked for two requests with `wait` between them."""
    def handler(conn, _request):
        conn.respond(BODY, **{n: v() if callable(v) else v for n, v in fields.items()})

    scripted.on("/x", handler)
    edge = edge_over(scripted)
    assert edge.get("/x").body == BODY
    time.sleep(wait)
    assert edge.get("/x").body == BODY
    return scripted.count("/x")


@pytest.mark.parametrize("fields", [
    {"cache_control": "max-age=60"},
    {"cache_control": "public, max-age=60"},
    {"cache_control": "max-age=0, s-maxage=60"},
    {"cache_control": 'MAX-AGE="60"'},
    {"cache_control": "max-age=60", "expires": "0"},
    {"expires": lambda: date(60), "date": date},
    {"cache_control": "max-age=60", "age": "30"},
    {"cache_control": "max-age=60, unknown=\"a, no-store\""},
], ids=str)
def test_fresh_is_kept(edge_over, scripted, fields):
    assert asked_again(edge_over, scripted, **fields) == 1


@pytest.mark.parametrize("fields", [
    {"cache_control": "no-store"},
    {"cache_control": "private"},
    {"cache_control": "private, max-age=60"},
    {"cache_control": "max-age=60, no-store"},
    {"cache_control": "max-age=0"},
    {"cache_control": "no-cache"},
    {"cache_control": "max-age=60, s-maxage=0"},
    {"cache_control": "max-age=60", "age": "61"},
    {"expires": lambda: date(-60), "date": date},
    {"expires": "0"},
], ids=str)
def test_not_kept_or_not_fresh(edge_over, scripted, fields):
    assert asked_again(edge_over, scripted, **fields) == 2


@pytest.mark.parametrize("fields", [{"vary": "*"}, {"set_cookie": "a=b"}], ids=str)
def test_not_for_everybody(edge_over, scripted, fields):
    assert asked_again(edge_over, scripted, cache_control="max-age=60", **fields) == 2


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "301 Moved Permanently"])
def test_other_answers_are_kept_as_long_as_they_say(edge_over, scripted, status):
    scripted.on("/x", lambda conn, _r: conn.respond(b"", status, cache_control="max-age=60", location="/y"))
    edge = edge_over(scripted)
    assert [edge.get("/x").status for _ in range(2)] == [int(status[:3])] * 2
    assert scripted.count("/x") == 1


def test_becomes_stale(edge_over, scripted):
    assert asked_again(edge_over, scripted, wait=2.3, cache_control="max-age=1") == 2


def test_private_answers_are_not_shared(edge_over, scripted):
    """Viewers who wait for one private answer each get one of their own."""
    import threading
    count = [0]
    lock = threading.Lock()

    def handler(conn, _request):
        with lock:
            count[0] += 1
            body = b"for viewer %d" % count[0]
        time.sleep(0.3)
        conn.respond(body, cache_control="private")

    scripted.on("/me", handler)
    edge = edge_over(scripted)
    bodies = []
    threads = [threading.Thread(target=lambda: bodies.append(edge.get("/me").body)) for _ in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(bodies)) == 5, bodies


def test_age_and_date(edge_over, scripted):
    made = date()
    scripted.on("/x", lambda conn, _r: conn.respond(BODY, cache_control="max-age=60", date=made, age="7"))
    edge = edge_over(scripted)
    assert edge.get("/x").status == 200
    time.sleep(1.2)
    r = edge.get("/x")
    assert r["Date"] == made and 8 <= int(r["Age"]) <= 11
    assert r["Cache-Control"] == "max-age=60"


def test_one_age_and_no_hop_fields(edge_over, scripted):
    scripted.on("/x", lambda conn, _r: conn.respond(
        BODY, cache_control="max-age=60", connection="keep-alive, x-hop", keep_alive="timeout=5", x_hop="1",
        x_kept="2", content_type="video/mp4"))
    r = edge_over(scripted).get("/x")
    assert r["X-Hop"] is None and r["Keep-Alive"] is None and r["X-Kept"] == "2"
    assert r["Content-Type"] == "video/mp4" and r.length == len(BODY)


@pytest.mark.parametrize("validator", ["etag", "last-modified"])
def test_revalidation_confirmed(edge_over, scripted, validator):
    modified = date(-1000)
    seen = []

    def handler(conn, request):
        seen.append((request["If-None-Match"], request["If-Modified-Since"]))
        fields = {"etag": '"v1"'} if validator == "etag" else {"last_modified": modified}
        if seen[-1] != (None, None):
            return conn.head("304 Not Modified", cache_control="max-age=60", **fields)
        return conn.respond(BODY, cache_control="max-age=1", **fields)

    scripted.on("/x", handler)
    edge = edge_over(scripted)
    first = edge.get("/x")
    time.sleep(2.2)
    again = edge.get("/x")
    assert (again.status, again.body) == (200, first.body)
    assert seen[1] == (('"v1"', None) if validator == "etag" else (None, modified)) or seen[1][0] == '"v1"'
    assert edge.get("/x").body == BODY and len(seen) == 2  # the 304's freshness counts now
    m = edge.metrics()
    assert m["http_revalidated"] == 1 and m["origin_304"] == 1


def test_revalidation_changed(edge_over, scripted):
    seen = []

    def handler(conn, _request):
        seen.append(1)
        n = len(seen)
        conn.respond(b"version %d" % n, cache_control="max-age=1" if n == 1 else "max-age=60", etag=f'"v{n}"')

    scripted.on("/x", handler)
    edge = edge_over(scripted)
    assert edge.get("/x").body == b"version 1"
    time.sleep(2.2)
    r = edge.get("/x")
    assert r.body == b"version 2" and r["ETag"] == '"v2"'
    assert edge.get("/x").body == b"version 2" and len(seen) == 2


def test_many_viewers_of_a_stale_object_revalidate_once(edge_over, scripted):
    import threading

    def handler(conn, request):
        if request["If-None-Match"]:
            time.sleep(0.3)
            return conn.head("304 Not Modified", cache_control="max-age=60", etag='"v"')
        return conn.respond(BODY, cache_control="max-age=1", etag='"v"')

    scripted.on("/x", handler)
    edge = edge_over(scripted)
    edge.get("/x")
    time.sleep(2.2)
    bodies = []
    threads = [threading.Thread(target=lambda: bodies.append(edge.get("/x").body)) for _ in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert bodies == [BODY] * 30 and scripted.count("/x") == 2


def test_stale_is_not_served_when_it_must_not(edge_over, scripted):
    scripted.on("/x", lambda conn, _r: conn.respond(BODY, cache_control="max-age=1, must-revalidate", etag='"v"'))
    edge = edge_over(scripted)
    edge.get("/x")
    time.sleep(2.2)
    scripted.on("/x", lambda conn, _r: False)
    assert edge.get("/x").status in (502, 504)


def test_folder_notices_a_new_file(edge_over, folder):
    """What a directory origin gives is checked again soon: a changed file does not stay hidden."""
    (folder / "x").write_bytes(b"one")
    edge = edge_over(folder)
    assert edge.get("/x").body == b"one"
    (folder / "x").write_bytes(b"two, and longer")
    end = time.monotonic() + 15
    while edge.get("/x").body != b"two, and longer":
        assert time.monotonic() < end
        time.sleep(0.2)
