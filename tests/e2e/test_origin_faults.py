"""Origins die, lie, hang and talk nonsense: a clean status, nothing wrong kept, the edge alive."""
import os
import time

import pytest

from net import Closed, wait_until

BODY = os.urandom(300_000)
NOBODY = 65534


def still_works(edge, path, body):
    """After the fault: a good answer, whole, from the very same URL or another."""
    assert edge.alive()
    r = edge.get(path)
    assert r.status == 200 and r.body == body


def whole_or_cut(edge, path):
    """(status, body, whole): a response that is cut must be cut visibly, by a close before its length."""
    with edge.connect() as c:
        try:
            r = c.get(path)
            return r.status, r.body, True
        except (Closed, ConnectionResetError):
            return None, bytes(c.buf), False


def once(bad, good=BODY, **fields):
    """A handler that misbehaves on the first request only."""
    seen = []

    def handler(conn, request):
        seen.append(request)
        if len(seen) == 1:
            return bad(conn, request)
        return conn.respond(good, cache_control="max-age=60", **fields)

    return handler


def test_nginx_killed_in_the_middle(edge_over, nginx, sample):
    origin = nginx("location /2/ { limit_rate 30k; }")
    edge = edge_over(origin)
    path, want = "/2/001.m4s", (sample / "2/001.m4s").read_bytes()
    with edge.connect() as c:
        c.request(path)
        c.head()
        wait_until(lambda: c.buf or c._more() or True, 5)
        origin.kill()
        with pytest.raises((Closed, ConnectionResetError)):
            while True:
                c._more()
        assert len(c.buf) < len(want) and want.startswith(bytes(c.buf))
    assert edge.get("/0/init.mp4").status == 502  # nobody is there
    origin.start()
    still_works(edge, path, want)


def test_origin_is_not_there(edge_over, scripted):
    url = scripted.url()
    scripted.stop()
    edge = edge_over(url)
    with edge.connect() as c:
        assert c.get("/a").status == 502
        assert c.get("/b").status == 502  # and the connection stays


def test_origin_comes_back(edge_over, nginx, sample):
    """An error is not kept: the next request tries again."""
    origin = nginx()
    origin.kill()
    edge = edge_over(origin)
    assert edge.get("/2/001.m4s").status == 502
    origin.start()
    still_works(edge, "/2/001.m4s", (sample / "2/001.m4s").read_bytes())


@pytest.mark.parametrize("how", ["close", "reset"])
def test_length_promised_but_not_sent(edge_over, scripted, how):
    def short(conn, _request):
        conn.head(content_length=len(BODY), cache_control="max-age=60")
        conn.send(BODY[:100_000])
        time.sleep(0.2)
        if how == "reset":
            conn.reset()
        return False

    scripted.on("/short", once(short))
    edge = edge_over(scripted)
    status, body, whole = whole_or_cut(edge, "/short")
    assert not whole, (status, len(body))
    still_works(edge, "/short", BODY)
    assert scripted.count("/short") == 2
    assert edge.metrics()["origin_short"] == 1


def test_more_sent_than_promised(edge_over, scripted):
    """The length counts; what follows it is no response, and that connection is not used again."""
    def long(conn, _request):
        conn.respond(BODY + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", content_length=len(BODY),
                     cache_control="max-age=60")

    scripted.on("/long", long)
    scripted.on("/next", lambda conn, _r: conn.respond(b"right", cache_control="max-age=60"))
    edge = edge_over(scripted)
    r = edge.get("/long")
    assert r.status == 200 and r.body == BODY
    assert edge.get("/next").body == b"right"
    assert edge.get("/long").body == BODY


def test_chunked_cut_short(edge_over, scripted):
    def cut(conn, _request):
        conn.head(transfer_encoding="chunked", cache_control="max-age=60")
        conn.chunk(BODY[:50_000])
        time.sleep(0.1)
        return False

    scripted.on("/cut", once(cut))
    edge = edge_over(scripted)
    assert not whole_or_cut(edge, "/cut")[2]
    still_works(edge, "/cut", BODY)


def test_closed_before_any_head(edge_over, scripted):
    scripted.on("/nothing", lambda conn, _r: False)
    edge = edge_over(scripted)
    assert edge.get("/nothing").status == 502
    scripted.on("/nothing", lambda conn, _r: conn.respond(BODY))
    still_works(edge, "/nothing", BODY)


def test_hanging_origin_is_504_in_time(edge_over, scripted):
    scripted.on("/hang", lambda conn, _r: time.sleep(20))
    edge = edge_over(scripted, timeouts={"origin_head": "500ms"})
    began = time.monotonic()
    assert edge.get("/hang").status == 504
    assert 0.4 < time.monotonic() - began < 3
    assert edge.metrics()["origin_timeouts"] == 1
    scripted.on("/good", lambda conn, _r: conn.respond(BODY))
    still_works(edge, "/good", BODY)


def test_origin_that_hangs_in_the_body(edge_over, scripted):
    def stall(conn, _request):
        conn.head(content_length=len(BODY), cache_control="max-age=60")
        conn.send(BODY[:1000])
        time.sleep(20)

    scripted.on("/stall", once(stall))
    edge = edge_over(scripted, timeouts={"origin_idle": "500ms"})
    began = time.monotonic()
    assert not whole_or_cut(edge, "/stall")[2]
    assert time.monotonic() - began < 3
    still_works(edge, "/stall", BODY)


def test_slow_but_steady_is_not_hanging(edge_over, scripted):
    """The idle timeout counts from the last byte, not from the first."""
    def steady(conn, _request):
        conn.head(content_length=20)
        for i in range(20):
            conn.send(b"x")
            time.sleep(0.1)

    scripted.on("/steady", steady)
    assert edge_over(scripted, timeouts={"origin_idle": "700ms"}).get("/steady").body == b"x" * 20


@pytest.mark.parametrize("head", [
    "HTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\n folded: x\r\nContent-Length: 5\r\n\r\nhello",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is no HTTP at all\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: " + "y" * 100_000 + "\r\n\r\n",
], ids=["no-http", "short-status", "two-lengths", "word-length", "negative-length", "length-and-chunked",
        "other-coding", "space-before-colon", "folded", "tls", "huge"])
def test_malformed_head_is_502(edge_over, scripted, head):
    def bad(conn, _request):
        conn.send(head)
        return False

    scripted.on("/bad", once(bad))
    edge = edge_over(scripted)
    assert edge.get("/bad").status == 502
    still_works(edge, "/bad", BODY)


def test_malformed_chunk_is_cut(edge_over, scripted):
    def bad(conn, _request):
        conn.head(transfer_encoding="chunked", cache_control="max-age=60")
        conn.chunk(b"good")
        conn.send("zz\r\nbad\r\n")
        time.sleep(0.1)
        return False

    scripted.on("/bad", once(bad))
    edge = edge_over(scripted)
    status, _, whole = whole_or_cut(edge, "/bad")
    assert not whole or status == 502
    still_works(edge, "/bad", BODY)


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Service Unavailable"])
def test_origin_errors_are_not_kept(edge_over, scripted, status):
    scripted.on("/5xx", once(lambda conn, _r: conn.respond(b"oops", status)))
    edge = edge_over(scripted)
    assert edge.get("/5xx").status >= 500
    still_works(edge, "/5xx", BODY)


def test_origin_404_is_relayed(edge_over, scripted):
    edge = edge_over(scripted)
    r = edge.get("/missing")
    assert r.status == 404 and r.body == b"no such thing\n"
    scripted.on("/missing", lambda conn, _r: conn.respond(BODY))
    wait_until(lambda: edge.get("/missing").status == 200, 15, "a 404 to be forgotten")


def test_redirect_is_relayed(edge_over, scripted):
    scripted.on("/old", lambda conn, _r: conn.respond(b"", "302 Found", location="/new"))
    r = edge_over(scripted).get("/old")
    assert (r.status, r["Location"]) == (302, "/new")


def test_stale_pooled_connection_is_retried(edge_over, scripted):
    """The origin closes a kept connection just as the edge uses it again: no viewer notices."""
    def close_after(conn, _request):
        conn.respond(b"x", cache_control="no-store")
        time.sleep(0.05)
        return False

    scripted.on("/x", close_after)
    edge = edge_over(scripted)
    for _ in range(20):
        assert edge.get("/x").status == 200
        time.sleep(0.03)


def test_origin_without_length_ends_by_close(edge_over, scripted):
    def until_close(conn, _request):
        conn.head(connection="close", cache_control="max-age=60")
        conn.send(BODY)
        return False

    scripted.on("/close", until_close)
    edge = edge_over(scripted)
    assert edge.get("/close").body == BODY


def test_http_10_origin(edge_over, scripted):
    def old(conn, _request):
        conn.send(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
        return False

    scripted.on("/old", old)
    assert edge_over(scripted).get("/old").body == BODY


def test_name_that_does_not_resolve(edge_over, scripted):
    scripted.on("/good", lambda conn, _r: conn.respond(BODY))
    edge = edge_over(scripted)
    edge.configure({"origins": [{"match": "/gone", "url": "http://no-such-name.invalid:80"},
                                {"match": "/", "url": scripted.url()}], "timeouts": {"connect": "3s"}})
    edge.reload()  # at start such a name is refused, as it is most likely a slip
    wait_until(lambda: b"config_loaded" in edge.process.said(), what="the reload")
    with edge.connect(timeout=20) as c:
        c.request("/gone/x")
        began = time.monotonic()
        assert edge.get("/good").status == 200  # the loop is not blocked by the resolver
        assert time.monotonic() - began < 2
        assert c.response().status in (502, 504)


def test_larger_than_the_cache(edge_over, folder):
    """An object that cannot be kept is refused or streamed, and never half kept."""
    (folder / "huge").write_bytes(b"h" * (40 << 20))
    (folder / "small").write_bytes(BODY)
    edge = edge_over(folder, cache={"memory": "16MiB"})
    with edge.connect(timeout=30) as c:
        try:
            r = c.get("/huge")
            assert r.status in (502, 503, 507) or r.body == b"h" * (40 << 20)
        except (Closed, ConnectionResetError):
            pass
    still_works(edge, "/small", BODY)


# --- a folder as origin ---

def test_folder_has_no_such_file(edge_over, sample):
    edge = edge_over(sample)
    assert [edge.get(p).status for p in ("/none", "/2/none.m4s", "/stream.mpd/x")] == [404, 404, 404]


def test_folder_gives_no_listing(edge_over, sample):
    assert edge_over(sample).get("/2/").status in (403, 404)


@pytest.mark.parametrize("path", ["/../outside", "/a/../../outside", "/%2e%2e/outside", "/..%2foutside", "/link"])
def test_folder_is_not_left(edge_over, folder, path):
    (folder.parent / "outside").write_text("secret")
    (folder / "a").mkdir()
    (folder / "link").symlink_to("../outside")
    r = edge_over(folder).get(path)
    assert r.status in (400, 403, 404) and b"secret" not in r.body


def test_file_without_permission(edge_over, folder):
    (folder / "closed").write_bytes(BODY)
    (folder / "closed").chmod(0)
    (folder / "open").write_bytes(BODY)
    edge = edge_over(folder, user=NOBODY)
    assert edge.get("/closed").status == 403
    still_works(edge, "/open", BODY)
    (folder / "closed").chmod(0o644)
    still_works(edge, "/closed", BODY)  # the refusal was not kept


def test_folder_without_permission(edge_over, folder):
    inside = folder / "locked"
    inside.mkdir()
    (inside / "x").write_bytes(BODY)
    inside.chmod(0)
    edge = edge_over(folder, user=NOBODY)
    assert edge.get("/locked/x").status == 403
    inside.chmod(0o755)
    still_works(edge, "/locked/x", BODY)


def test_file_that_shrinks_while_read(edge_over, folder):
    """Whatever comes, it is never a whole response with wrong bytes."""
    target = folder / "shrinks"
    target.write_bytes(b"a" * (8 << 20))
    edge = edge_over(folder)
    with edge.connect() as c:
        c.request("/shrinks")
        target.write_bytes(b"a" * 1000)
        try:
            r = c.response()
            assert r.body == b"a" * r.length
        except (Closed, ConnectionResetError):
            pass
    assert edge.alive()
