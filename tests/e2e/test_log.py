"""The access log: one record a request, written by control, in both formats."""
import re
import time

from net import wait_until


def test_json_record(edge_over, nginx, sample):
    edge = edge_over(nginx("add_header Cache-Control max-age=600;"))
    size = (sample / "2/001.m4s").stat().st_size
    with edge.connect() as c:
        c.get("/2/001.m4s?a=b", headers={"User-Agent": "test/1 \"q\" \\ \xe9", "Referer": "http://x/"})
        time.sleep(0.2)  # the last byte may reach a viewer a moment before the object counts as whole
        c.get("/2/001.m4s?a=b", headers={"Range": "bytes=0-9"})
        c.get("/none", "HEAD")
    miss, hit, none = edge.log(3)
    assert (miss["method"], miss["url"], miss["status"], miss["bytes"]) == ("GET", "/2/001.m4s?a=b", 200, size)
    assert miss["cache"] == "miss" and miss["origin_us"] > 0 and miss["complete"] is True
    assert miss["user_agent"] == 'test/1 "q" \\ \xe9' and miss["referer"] == "http://x/"
    assert miss["client"] == edge.place.clients[4] and miss["http"] == "1.1"
    assert (hit["status"], hit["bytes"], hit["cache"], hit["range"]) == (206, 10, "hit", "bytes=0-9")
    assert hit["origin_us"] == 0
    assert (none["method"], none["status"], none["bytes"]) == ("HEAD", 404, 0)
    when = time.mktime(time.strptime(miss["time"][:19], "%Y-%m-%dT%H:%M:%S"))
    assert abs(when - time.mktime(time.gmtime())) < 60


def test_ipv6_client(edge_over, sample):
    edge = edge_over(sample)
    edge.get("/0/init.mp4", family=6)
    assert edge.log(1)[0]["client"] == edge.place.clients[6]


def test_combined_record(edge_over, sample):
    edge = edge_over(sample, log={"format": "combined"})
    edge.get("/0/init.mp4", headers={"User-Agent": 'a "b"', "Referer": "http://x/"})
    line = wait_until(lambda: edge.access.exists() and edge.access.read_text(), what="a line")
    size = (sample / "0/init.mp4").stat().st_size
    assert re.fullmatch(
        re.escape(edge.place.clients[4]) + r" - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
        rf'"GET /0/init.mp4 HTTP/1.1" 200 {size} "http://x/" "a \\x22b\\x22"( .*)?\n', line), line


def test_coalesced_and_duration(edge_over, scripted):
    from test_coalesce import together

    def slow(conn, _request):
        time.sleep(0.5)
        conn.respond(b"x" * 1000, cache_control="max-age=60")

    scripted.on("/x", slow)
    edge = edge_over(scripted)
    together(4, lambda _: edge.get("/x").status)
    records = edge.log(4)
    assert sorted(r["cache"] for r in records) == ["coalesced"] * 3 + ["miss"]
    assert all(r["duration_us"] > 300_000 for r in records)
    assert [r["origin_us"] > 400_000 for r in records if r["cache"] == "miss"] == [True]


def test_cut_response_is_not_complete(edge_over, folder):
    (folder / "big").write_bytes(b"x" * (30 << 20))
    edge = edge_over(folder)
    with edge.connect(rcvbuf=4096) as c:
        c.request("/big")
        c.head()
    record = edge.log(1)[0]
    assert record["complete"] is False and record["bytes"] < 30 << 20


def test_refused_requests_are_logged(edge_over, sample):
    edge = edge_over(sample)
    with edge.connect() as c:
        c.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert c.response().status == 400
    assert edge.log(1)[0]["status"] == 400


def test_every_request_of_a_burst(edge_over, sample):
    edge = edge_over(sample)
    with edge.connect() as c:
        c.send("GET /0/init.mp4 HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
        for _ in range(500):
            assert c.response().status == 200
    assert len(edge.log(500)) == 500
    m = edge.metrics()
    assert m["log_written"] == 500 and m["log_dropped"] == 0
