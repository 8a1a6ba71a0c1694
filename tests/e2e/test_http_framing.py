"""HTTP/1.1 on the wire: RFC 9112. What is ambiguous is refused and the connection closed."""
import socket
import time

import pytest

PATH = "/0/init.mp4"


@pytest.fixture
def edge(edge_over, sample):
    return edge_over(sample)


@pytest.fixture
def data(sample):
    return (sample / PATH[1:]).read_bytes()


# --- what is allowed ---

def test_keep_alive(edge, data):
    with edge.connect() as c:
        for _ in range(50):
            assert c.get(PATH).body == data
    assert edge.metrics()["conn_accepted"] == 1


@pytest.mark.parametrize("path", [PATH, "/2/001.m4s"])
def test_pipelining_100_requests(edge, sample, path):
    want = (sample / path[1:]).read_bytes()
    with edge.connect(timeout=30) as c:
        c.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        assert [c.response().body == want for _ in range(100)] == [True] * 100
        assert c.get(path).body == want


def test_pipelined_answers_keep_their_order(edge, sample):
    """Misses, hits, errors and other methods, all in one write."""
    with edge.connect() as c:
        c.send("GET /2/003.m4s HTTP/1.1\r\nHost: x\r\n\r\n"
               "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
               "HEAD /2/003.m4s HTTP/1.1\r\nHost: x\r\n\r\n"
               "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
               "GET /2/004.m4s HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.response().body == (sample / "2/003.m4s").read_bytes()
        assert c.response().status == 404
        assert c.response(head=True).status == 200
        assert c.response().status == 405
        assert c.response().body == (sample / "2/004.m4s").read_bytes()


def test_request_byte_by_byte(edge, data):
    with edge.connect() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n":
            c.send(byte)
            time.sleep(0.001)
        assert c.response().body == data


def test_http_10_closes(edge, data):
    with edge.connect() as c:
        c.send(f"GET {PATH} HTTP/1.0\r\n\r\n")
        assert c.response().body == data and c.closed()


def test_http_10_keep_alive(edge, data):
    with edge.connect() as c:
        for _ in range(2):
            c.send(f"GET {PATH} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            r = c.response()
            assert r.body == data
            if r["Connection"] is None or r["Connection"].lower() != "keep-alive":
                assert c.closed()  # not offering it is allowed, saying so and closing is not
                return


def test_connection_close_is_kept(edge, data):
    with edge.connect() as c:
        r = c.get(PATH, headers={"Connection": "close"})
        assert r.body == data and r["Connection"].lower() == "close" and c.closed()


def test_half_close_after_the_request(edge, sample):
    """shutdown(SHUT_WR) says no more requests, not no more answers."""
    with edge.connect() as c:
        c.request("/2/001.m4s")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.response().body == (sample / "2/001.m4s").read_bytes()
        assert c.closed()


def test_head_has_the_same_fields(edge, data):
    with edge.connect() as c:
        c.get(PATH)
        get, head = c.get(PATH), c.get(PATH, "HEAD")
        assert head.status == 200 and head.length == len(data) and head.body == b""

        def stable(r):
            return sorted((n, v) for n, v in r.fields if n not in ("Date", "Age", "Cache-Status"))

        assert stable(get) == stable(head)
        assert c.get(PATH).body == data  # nothing was left over


def test_head_of_a_miss(edge, sample):
    r = edge.get("/2/005.m4s", "HEAD")
    assert r.status == 200 and r.length == (sample / "2/005.m4s").stat().st_size


def test_absolute_form(edge, data):
    assert edge.get(f"http://edge.example{PATH}").body == data


def test_leading_empty_line_is_skipped(edge, data):
    with edge.connect() as c:
        c.send(f"\r\nGET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.response().body == data


def test_every_response_has_a_date(edge):
    with edge.connect() as c:
        for r in (c.get(PATH), c.get("/none"), c.get(PATH, "OPTIONS")):
            then = time.strptime(r["Date"], "%a, %d %b %Y %H:%M:%S GMT")
            assert abs(time.mktime(then) - time.mktime(time.gmtime())) < 5


# --- CORS ---

def test_cors_on_a_get(edge):
    r = edge.get(PATH, headers={"Origin": "https://player.example"})
    assert r["Access-Control-Allow-Origin"] == "*"
    exposed = {x.strip().lower() for x in r["Access-Control-Expose-Headers"].split(",")}
    assert exposed >= {"content-range", "content-length", "date", "etag"}


def test_cors_preflight(edge):
    r = edge.get(PATH, "OPTIONS", {"Origin": "https://player.example", "Access-Control-Request-Method": "GET",
                                   "Access-Control-Request-Headers": "range"})
    assert r.status in (200, 204) and r["Access-Control-Allow-Origin"] == "*"
    assert {"GET", "HEAD", "OPTIONS"} <= {x.strip() for x in r["Access-Control-Allow-Methods"].split(",")}
    allowed = {x.strip().lower() for x in r["Access-Control-Allow-Headers"].split(",")}
    assert "range" in allowed
    assert {"cmcd-request", "cmcd-object", "cmcd-status", "cmcd-session"} <= allowed  # what dash.js adds where it is asked to
    assert int(r["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize("target", ["*", PATH])
def test_options(edge, target):
    with edge.connect() as c:
        r = c.get(target, "OPTIONS")
        assert r.status in (200, 204) and "GET" in r["Allow"]
        assert c.get(PATH).status == 200


# --- what is refused, the connection staying ---

@pytest.mark.parametrize("method,status", [("POST", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405), ("TRACE", 405),
                                           ("BREW", 501)])
def test_other_methods(edge, data, method, status):
    with edge.connect() as c:
        r = c.get(PATH, method)
        assert r.status == status
        if status == 405:
            assert {"GET", "HEAD"} <= {x.strip() for x in r["Allow"].split(",")}
    assert edge.get(PATH).body == data


@pytest.mark.parametrize("target", ["/%zz", "/../x", "/%2e%2e/x", "/a%00b", "/%"])
def test_bad_targets(edge, data, target):
    """Where such a request ends is not in doubt, only what it means."""
    with edge.connect() as c:
        assert c.get(target).status == 400
    assert edge.get(PATH).body == data


# --- what is refused, the connection closing ---

SMUGGLED = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n"

REFUSED = {
    "no-http": ("hello\r\n\r\n", 400),
    "no-host": (f"GET {PATH} HTTP/1.1\r\n\r\n", 400),
    "two-hosts": (f"GET {PATH} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "bad-host": (f"GET {PATH} HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "bare-lf": (f"GET {PATH} HTTP/1.1\nHost: x\n\n", 400),
    "bare-cr": (f"GET {PATH} HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400),
    "nul": (f"GET {PATH} HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
    "folded": (f"GET {PATH} HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    "space-before-colon": (f"GET {PATH} HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
    "space-in-target": (f"GET {PATH} x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "two-spaces": (f"GET  {PATH} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "no-slash": ("GET init.mp4 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "fragment": (f"GET {PATH}#a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "empty-field-name": (f"GET {PATH} HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400),
    "http-2": (f"GET {PATH} HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "http-0.9": (f"GET {PATH} HTTP/0.9\r\nHost: x\r\n\r\n", 505),
    "long-target": ("GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "large-head": (f"GET {PATH} HTTP/1.1\r\nHost: x\r\n" + ("A: " + "b" * 1000 + "\r\n") * 20 + "\r\n", 431),
    "many-fields": (f"GET {PATH} HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * 200 + "\r\n", 431),
    "endless-field": (f"GET {PATH} HTTP/1.1\r\nHost: x\r\nA: " + "b" * 20000, 431),
    "expectation": (f"GET {PATH} HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n", 417),
    # request smuggling: two readers of these could see two different requests
    "length-and-chunked": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                           f"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}", 400),
    "two-lengths": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n{SMUGGLED}",
                    400),
    "length-list": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 44\r\n\r\n{SMUGGLED}", 400),
    "signed-length": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n{SMUGGLED}", 400),
    "hex-length": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n{SMUGGLED}", 400),
    "huge-length": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n{SMUGGLED}", 400),
    "spaced-chunked": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n{SMUGGLED}", 400),
    "twice-chunked": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                      f"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n{SMUGGLED}", (400, 501)),
    "xchunked": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{SMUGGLED}", (400, 501)),
    "chunked-in-1.0": (f"POST {PATH} HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}", 400),
    "tab-chunked": (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{SMUGGLED}",
                    (400, 501)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_closed(edge, data, name):
    sent, status = REFUSED[name]
    with edge.connect() as c:
        c.send(sent)
        r = c.response()
        assert r.status in (status if isinstance(status, tuple) else (status,)), r
        # Nothing of what came after is answered: not one byte more.
        assert c.closed(), c.buf
    assert edge.get(PATH).body == data


def test_body_of_a_get_is_not_a_request(edge, data):
    """A body with a GET is either read over or refused with a close, never taken for the next request."""
    with edge.connect() as c:
        c.send(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n{SMUGGLED}")
        r = c.response()
        assert r.status in (200, 400, 413)
        if r.status == 200:
            assert r.body == data
        c.sock.settimeout(0.5)
        try:
            assert c.sock.recv(1) == b""
        except (TimeoutError, ConnectionResetError):
            pass


def test_connect_is_refused(edge):
    with edge.connect() as c:
        c.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
        assert c.response().status in (400, 405, 501)


def test_garbage_is_survived(edge, data):
    import random
    rnd = random.Random(1)
    for _ in range(200):
        with edge.connect() as c:
            try:
                c.send(rnd.randbytes(rnd.randrange(1, 600)) + b"\r\n\r\n")
            except OSError:
                pass
    assert edge.get(PATH).body == data


# --- time ---

def test_head_that_never_ends_is_408(edge_over, sample):
    edge = edge_over(sample, timeouts={"header": "500ms"})
    with edge.connect() as c:
        began = time.monotonic()
        c.send(f"GET {PATH} HTTP/1.1\r\nHost:")
        r = c.response()
        assert r.status == 408 and c.closed()
        assert 0.3 < time.monotonic() - began < 3


def test_time_begins_when_the_connection_does(edge_over, sample):
    """Not when a worker that has nothing to do looked at the clock last."""
    edge = edge_over(sample, timeouts={"header": "400ms"})
    for i in range(8):
        time.sleep(0.45 + i * 0.07)
        with edge.connect() as c:
            time.sleep(0.02)
            assert c.get(PATH).status == 200


def test_dripping_bytes_do_not_move_the_limit(edge_over, sample):
    edge = edge_over(sample, timeouts={"header": "500ms"})
    with edge.connect() as c:
        began = time.monotonic()
        c.send("GET / HTTP/1.1\r\nX: ")
        c.sock.settimeout(0.1)
        while time.monotonic() - began < 4:
            try:
                c.send("y")
                c._more()
                break
            except TimeoutError:
                pass
            except OSError:
                break
        assert time.monotonic() - began < 3


def test_idle_connection_is_closed(edge_over, sample, data):
    edge = edge_over(sample, timeouts={"idle": "500ms"})
    with edge.connect() as c:
        assert c.get(PATH).body == data
        began = time.monotonic()
        assert c.closed(5)
        assert 0.3 < time.monotonic() - began < 3


def test_reader_that_stops_is_reset(edge_over, folder):
    (folder / "big").write_bytes(b"x" * (30 << 20))
    edge = edge_over(folder, timeouts={"send": "700ms"})
    with edge.connect(rcvbuf=4096) as c:
        c.request("/big")
        c.head()
        time.sleep(2.5)
        got = len(c.rest())
        assert got < 30 << 20
    assert edge.metrics()["conn_timeout"] >= 1


@pytest.mark.slow(12)
def test_reader_that_has_become_slow_is_no_reader_that_stops(edge_over, folder):
    """The kernel has grown its buffer for a fast viewer: it takes nothing more for seconds while the slow one reads on."""
    (folder / "big").write_bytes(b"x" * (48 << 20))
    edge = edge_over(folder, timeouts={"send": "1500ms"})
    with edge.connect(rcvbuf=300000, mss=1400) as c:
        c.request("/big")
        c.head()
        got = 0
        while got < 20 << 20:
            got += len(c.sock.recv(1 << 16))
        end = time.monotonic() + 10
        while time.monotonic() < end:
            assert c.sock.recv(16000)
            time.sleep(0.04)
    assert edge.metrics()["conn_timeout"] == 0
