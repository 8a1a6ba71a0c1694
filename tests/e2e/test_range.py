"""Byte ranges: RFC 9110 section 14."""
import email
import random
import re

import pytest

FILE = "/ondemand/mid.mp4"


@pytest.fixture
def data(sample):
    return (sample / FILE[1:]).read_bytes()


@pytest.fixture
def edge(edge_over, nginx):
    return edge_over(nginx("add_header Cache-Control max-age=600;"))


def parts(r):
    """[(first, last, bytes)] of a multipart/byteranges answer."""
    assert r["Content-Type"].startswith("multipart/byteranges; boundary="), r
    boundary = re.fullmatch(r'multipart/byteranges; boundary="?([^"]+)"?', r["Content-Type"]).group(1).encode()
    pieces = (b"\r\n" + r.body).split(b"\r\n--" + boundary)
    assert pieces[0] == b"" and pieces[-1].startswith(b"--"), (pieces[0][:80], pieces[-1][:80])
    out = []
    for piece in pieces[1:-1]:
        head, body = piece[2:].split(b"\r\n\r\n", 1)
        fields = email.message_from_bytes(head)
        first, last, size = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", fields["Content-Range"]).groups())
        assert fields["Content-Type"] == "video/mp4"
        assert len(body) == last - first + 1
        out.append((first, last, body))
        assert size > last
    return out


def single(r, size):
    first, last, total = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", r["Content-Range"]).groups())
    assert total == size and len(r.body) == last - first + 1
    return first, last


def merged(asked, size):
    """What asked (pairs of first, last) covers within size, as RFC 9110 15.3.7.2 lets a server coalesce it."""
    out = []
    for first, last in sorted((f, min(end, size - 1)) for f, end in asked if f < size):
        if out and first <= out[-1][1] + 1:
            out[-1][1] = max(out[-1][1], last)
        else:
            out.append([first, last])
    return [tuple(x) for x in out]


def random_range(rnd, size):
    """(header value, [(first, last)]) of one of the shapes a client may send."""
    def one():
        kind = rnd.choice(["closed", "closed", "small", "open", "suffix"])
        if kind == "open":
            first = rnd.randrange(max(0, size - 70000), size)
            return f"{first}-", (first, size - 1)
        if kind == "suffix":
            n = rnd.randrange(1, 70000)
            return f"-{n}", (max(0, size - n), size - 1)
        first = rnd.randrange(size)
        last = first + rnd.randrange(100 if kind == "small" else 70000)
        return f"{first}-{last}", (first, last)

    specs = [one() for _ in range(rnd.choice([1, 1, 1, 2, 3, 5, 8]))]
    return "bytes=" + ",".join(s for s, _ in specs), [pair for _, pair in specs]


def test_a_thousand_random_ranges_equal_the_file(edge, data):
    rnd = random.Random(20261123)
    size, multi = len(data), 0
    with edge.connect() as c:
        for _ in range(1000):
            value, asked = random_range(rnd, size)
            r = c.get(FILE, headers={"Range": value})
            assert r.status == 206, (value, r)
            want = merged(asked, size)
            if r["Content-Range"] is not None:
                got = [single(r, size)]
                assert r.body == data[got[0][0]:got[0][1] + 1], value
            else:
                multi += 1
                pieces = parts(r)
                assert all(body == data[f:last + 1] for f, last, body in pieces), value
                got = sorted((f, last) for f, last, _ in pieces)
            assert got == want, value
    assert multi > 100


@pytest.mark.parametrize("origin", ["nginx", "folder"])
@pytest.mark.parametrize("value,first,last", [
    ("bytes=0-0", 0, 0), ("bytes=1000-1999", 1000, 1999), ("bytes=-1", -1, None), ("bytes=600000-", 600000, None),
])
def test_cold_range(edge_over, nginx, sample, data, origin, value, first, last):
    """The very first request for an object asks for a part of it."""
    edge = edge_over(nginx() if origin == "nginx" else sample)
    r = edge.get(FILE, headers={"Range": value})
    assert r.status == 206 and r.body == data[first:None if last is None else last + 1]
    assert r["Content-Range"].endswith(f"/{len(data)}")
    assert edge.get(FILE).body == data


def test_curl_ranges(edge, data, work):
    for value, body in [("0-99", data[:100]), ("-500", data[-500:]), ("608000-", data[608000:])]:
        out = work / "part"
        done = edge.run("curl", "-fsS", "-r", value, "-o", out, "-w", "%{http_code}", edge.url(FILE))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"206", b"")
        assert out.read_bytes() == body


def test_curl_multi_range(edge, data):
    done = edge.run("curl", "-fsS", "-r", "0-9,100-109", edge.url(FILE))
    assert done.returncode == 0 and data[:10] in done.stdout and data[100:110] in done.stdout


@pytest.mark.parametrize("value", ["bytes=608962-", "bytes=9999999-99999999", "bytes=-0", "bytes=608962-,700000-800000"])
def test_unsatisfiable(edge, data, value):
    with edge.connect() as c:
        c.get(FILE)
        r = c.get(FILE, headers={"Range": value})
        assert r.status == 416 and r["Content-Range"] == f"bytes */{len(data)}"
        assert c.get(FILE, headers={"Range": "bytes=0-1"}).body == data[:2]  # the connection goes on


@pytest.mark.parametrize("value", ["bytes=5-1", "bytes=", "bytes=a-b", "lines=0-1", "bytes=1-2-3", "bytes 0-1", "bytes=--1"])
def test_invalid_range_is_ignored(edge, data, value):
    r = edge.get(FILE, headers={"Range": value})
    assert r.status == 200 and r.body == data and r["Content-Range"] is None


def test_unsatisfiable_among_others_is_dropped(edge, data):
    r = edge.get(FILE, headers={"Range": "bytes=700000-,5-9"})
    assert r.status == 206 and r.body == data[5:10]


def test_overlapping_become_one(edge, data):
    r = edge.get(FILE, headers={"Range": "bytes=10-20,15-30,31-40"})
    assert r.status == 206 and r["Content-Range"] == f"bytes 10-40/{len(data)}" and r.body == data[10:41]


def test_more_than_eight_parts_are_refused_politely(edge, data):
    value = "bytes=" + ",".join(f"{i * 100}-{i * 100 + 9}" for i in range(9))
    r = edge.get(FILE, headers={"Range": value})
    assert r.status == 200 and r.body == data


def test_head_has_no_range(edge, data):
    r = edge.get(FILE, "HEAD", {"Range": "bytes=0-9"})
    assert r.status == 200 and r.length == len(data)


def test_accept_ranges_is_said(edge):
    assert edge.get(FILE, "HEAD")["Accept-Ranges"] == "bytes"


def test_multipart_has_its_length(edge):
    r = edge.get(FILE, headers={"Range": "bytes=0-9,100-109,-5"})
    assert r.status == 206 and r.length == len(r.body) and len(parts(r)) == 3


def test_if_range(edge, data):
    with edge.connect() as c:
        r = c.get(FILE)
        etag, date = r["ETag"], r["Last-Modified"]
        for validator, holds in [(etag, True), (date, True), ('"other"', False), ("W/" + etag, False),
                                 ("Thu, 01 Jan 1998 00:00:00 GMT", False)]:
            r = c.get(FILE, headers={"Range": "bytes=0-9", "If-Range": validator})
            assert (r.status, len(r.body)) == ((206, 10) if holds else (200, len(data))), validator


def test_range_of_what_is_still_arriving(edge_over, scripted, data):
    """A range far into a slow fill comes when its bytes come, and is right."""
    def slow(conn, _request):
        conn.head(content_length=len(data), cache_control="max-age=60")
        conn.trickle(data, 1.0)

    scripted.on("/slow", slow)
    edge = edge_over(scripted)
    with edge.connect() as first, edge.connect() as second:
        first.request("/slow")
        second.request("/slow", headers={"Range": "bytes=300000-300999,500000-"})
        assert second.response().status == 206
        assert first.response().body == data
        r = second.get("/slow", headers={"Range": "bytes=300000-300999"})
        assert r.body == data[300000:301000]


def test_range_of_an_empty_object(edge_over, folder):
    (folder / "empty").write_bytes(b"")
    edge = edge_over(folder)
    r = edge.get("/empty", headers={"Range": "bytes=0-9"})
    assert r.status in (200, 416) and r.body == b"" or r.status == 416
    assert edge.get("/empty").status == 200
