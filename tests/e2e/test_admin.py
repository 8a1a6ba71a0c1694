"""The admin endpoint, and that its sums are right."""
import re
import subprocess


def test_healthz(edge_over, sample):
    assert edge_over(sample).admin("/healthz")[0] == 200


def test_unknown_path(edge_over, sample):
    assert edge_over(sample).admin("/nothing")[0] == 404


def test_viewers_cannot_reach_it(edge_over, sample):
    edge = edge_over(sample)
    assert edge.get("/metrics").status == 404 and edge.get("/stat").status == 404


def test_metrics_is_prometheus_text(edge_over, sample):
    edge = edge_over(sample)
    status, body = edge.admin("/metrics")
    lines = body.decode().splitlines()
    series = re.compile(r'^(spate|process)_[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+]+$')
    assert status == 200 and lines
    for line in lines:
        assert re.match(r"^# (HELP|TYPE) (spate|process)_", line) or series.match(line), line
    typed = {x.split()[2] for x in lines if x.startswith("# TYPE")}
    assert all(re.split(r"[{ ]", x)[0] in typed for x in lines if not x.startswith("#"))


def test_metrics_add_up(edge_over, nginx, sample):
    """What one known session of requests must have counted, exactly."""
    edge = edge_over(nginx("add_header Cache-Control max-age=600;"))
    size = (sample / "2/001.m4s").stat().st_size
    with edge.connect() as c:
        assert c.get("/2/001.m4s").status == 200                                     # miss
        etag = c.get("/2/001.m4s")["ETag"]                                           # hit
        assert c.get("/2/001.m4s", headers={"Range": "bytes=0-99"}).status == 206    # hit
        assert c.get("/2/001.m4s", headers={"If-None-Match": etag}).status == 304    # hit
        assert c.get("/2/001.m4s", headers={"Range": f"bytes={size}-"}).status == 416
        assert c.get("/missing").status == 404                                       # miss
        assert c.get("/2/001.m4s", "POST").status == 405
    m = edge.metrics()
    want = {"conn_accepted": 1, "http_requests": 7, "http_2xx": 3, "http_3xx": 1, "http_4xx": 3, "http_5xx": 0,
            "http_miss": 2, "origin_requests": 2}
    assert {k: m[k] for k in want} == want
    assert m["http_body_bytes"] >= 2 * size + 100
    assert m["origin_bytes"] >= size and m["cache_objects"] >= 1 and size <= m["cache_bytes"] <= 64 << 20


def test_gauge_of_open_connections(edge_over, sample):
    from net import wait_until
    edge = edge_over(sample)
    conns = [edge.connect() for _ in range(5)]
    for c in conns:
        assert c.get("/0/init.mp4").status == 200
    wait_until(lambda: edge.metrics()["conn_open"] == 5, what="five open")
    for c in conns:
        c.close()
    wait_until(lambda: edge.metrics()["conn_open"] == 0, what="none open")
    assert edge.metrics()["conn_accepted"] == 5


def test_stat_is_json_with_the_same_numbers(edge_over, sample):
    edge = edge_over(sample)
    for _ in range(3):
        assert edge.get("/0/init.mp4").status == 200
    text = str(edge.stat())
    assert "http_requests" in text and "cache_bytes" in text


def test_every_counter_of_the_table_is_there(edge_over, sample, backend):
    import pathlib
    table = pathlib.Path(__file__).parents[2] / "include/spate/tbl/counters.def"
    names = re.findall(r"^SPATE_COUNTER\((\w+),", table.read_text(), re.M)
    edge = edge_over(sample)
    if backend.name == "sockets":  # those of our own TCP are shown where it runs
        names = [n for n in names if not n.startswith("tcp_")]
    m = edge.metrics()
    assert names and not set(names) - set(m)


def test_stat_command(edge_over, sample, spate_bin):
    edge = edge_over(sample)
    done = subprocess.run([spate_bin, "stat", "--config", edge.file], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0 and b"http_requests" in done.stdout, done.stderr
