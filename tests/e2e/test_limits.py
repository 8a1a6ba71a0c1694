"""Many, slow and idle viewers: memory and descriptors stay bounded, others are served."""
import contextlib
import os
import pathlib
import resource
import subprocess
import time

import pytest

from net import wait_until

MIB = 1 << 20


@pytest.fixture
def files():
    """Room for some thousands of sockets on the test's own side."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    yield min(hard, 16384)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_2500_idle_connections(edge_over, sample, files):
    assert files > 3000, "raise the hard limit of open files"
    edge = edge_over(sample)
    assert edge.get("/0/init.mp4").status == 200
    before = edge.process.rss()
    conns = [edge.connect() for _ in range(2500)]
    wait_until(lambda: edge.metrics()["conn_open"] == 2500, 10, "2500 open")
    want = (sample / "0/init.mp4").read_bytes()
    for c in conns[::50]:
        assert c.get("/0/init.mp4").body == want
    assert edge.process.rss() - before < 2500 * 16384
    for c in conns:
        c.close()
    wait_until(lambda: edge.metrics()["conn_open"] == 0, 10, "all closed")
    assert edge.get("/0/init.mp4").body == want


def test_connection_limit(edge_over, sample):
    """Past the limit a viewer is turned away at once; those inside do not notice, and room comes back."""
    edge = edge_over(sample, limits={"connections": 20})
    conns = [edge.connect() for _ in range(20)]
    assert all(c.get("/0/init.mp4").status == 200 for c in conns)
    for _ in range(5):
        with contextlib.suppress(ConnectionResetError), edge.connect(timeout=3) as over:
            over.request("/0/init.mp4")
            assert over.rest() == b""
    assert edge.metrics()["conn_refused"] == 5
    assert all(c.get("/0/init.mp4").status == 200 for c in conns)
    for c in conns:
        c.close()
    wait_until(lambda: edge.metrics()["conn_open"] == 0, what="room")
    assert edge.get("/0/init.mp4").status == 200


def test_requests_a_connection(edge_over, sample):
    edge = edge_over(sample, limits={"requests": 3})
    with edge.connect() as c:
        assert [c.get("/0/init.mp4")["Connection"] for _ in range(3)][2] == "close"
        assert c.closed()


def test_slow_readers_cost_no_memory(edge_over, folder):
    """200 viewers who read nothing of 20 MiB each: the edge holds one copy, in its cache."""
    (folder / "big").write_bytes(b"x" * (20 * MIB))
    edge = edge_over(folder)
    assert len(edge.get("/big").body) == 20 * MIB
    before = edge.process.rss()
    conns = [edge.connect(rcvbuf=4096) for _ in range(200)]
    for c in conns:
        c.request("/big")
    time.sleep(1)
    assert edge.process.rss() - before < 40 * MIB
    assert edge.get("/big").status == 200
    assert conns[0].response().body == b"x" * (20 * MIB)  # and one of them wakes up
    for c in conns:
        c.close()


@pytest.mark.parametrize("size", [20_000, 700_000])
def test_a_slow_viewer_gets_the_end_of_a_closing_answer(edge_over, folder, size):
    """Connection: close, and he rests for longer than the edge waits for his FIN: nothing of the answer is thrown away."""
    body = bytes(range(251)) * (size // 251)
    (folder / "film").write_bytes(body)
    edge = edge_over(folder)
    with edge.connect(rcvbuf=4096) as c:
        c.request("/film", headers=[("Connection", "close")])
        time.sleep(6)
        assert c.response().body == body
        assert c.closed()


def test_pipelining_without_reading_is_held_back(edge_over, sample):
    """A viewer who only ever asks: the edge stops reading from it instead of queueing for ever."""
    edge = edge_over(sample)
    before = edge.process.rss()
    with edge.connect(timeout=1, rcvbuf=4096) as c:
        sent = 0
        try:
            while sent < 64 * MIB:
                sent += c.sock.send(b"GET /2/001.m4s HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        except TimeoutError:
            pass
        assert sent < 64 * MIB
        assert edge.process.rss() - before < 32 * MIB
        assert edge.get("/0/init.mp4").status == 200


def test_who_asks_without_reading_leaves_room_for_who_pipelines(edge_over, sample, files):
    """Hundreds of the former: what was received and not yet taken has a pool, and it is not theirs alone."""
    assert files > 3000, "raise the hard limit of open files"
    edge = edge_over(sample)
    (want,) = {edge.get("/0/init.mp4").body}
    asks = b"GET /2/001.m4s HTTP/1.1\r\nHost: x\r\n\r\n" * 3400  # 128 KiB
    greedy = [edge.connect(rcvbuf=4096) for _ in range(700)]
    for c in greedy:
        c.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            c.sock.send(asks)
    time.sleep(1)
    with edge.connect(timeout=20) as c:
        c.send(b"GET /0/init.mp4 HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
        assert all(c.response().body == want for _ in range(60))
    for c in greedy:
        c.close()


@pytest.mark.kernel_tcp
@pytest.mark.parametrize("nofile", [128, 1024])
def test_viewers_leave_descriptors_for_the_rest(edge_over, folder, nofile):
    """More of them than there are descriptors: some are turned away, and the origin and the health check are not."""
    for i in range(3):
        (folder / str(i)).write_bytes(b"%d" % i * 1000)
    edge = edge_over(folder, files=nofile)
    with contextlib.ExitStack() as opened:
        first = opened.enter_context(edge.connect())
        assert first.get("/0").status == 200
        for _ in range(nofile + 100):
            with contextlib.suppress(ConnectionResetError):
                opened.enter_context(edge.connect(timeout=3))
        wait_until(lambda: edge.metrics()["conn_refused"] > 100, what="some turned away")
        assert first.get("/1").status == 200  # a miss: a file is opened
        assert edge.admin("/healthz")[0] == 200
        m = edge.metrics()
        assert m["conn_refused"] + m["conn_open"] <= nofile + 101


def test_cache_never_passes_its_limit(edge_over, folder):
    """Three times more content than memory: everything is right, evicted, and the limit holds."""
    for i in range(48):
        (folder / str(i)).write_bytes(bytes([i]) * MIB)
    edge = edge_over(folder, cache={"memory": "16MiB"})
    for turn in range(2):
        for i in range(48):
            assert edge.get(f"/{i}").body == bytes([i]) * MIB, (turn, i)
            assert edge.metrics()["cache_bytes"] <= 16 * MIB
    assert edge.metrics()["cache_evicted"] > 0


@pytest.mark.parametrize("send", ["copy", "reference"])
def test_evicted_while_read(edge_over, folder, send):
    """A slow viewer's object is pushed out of the cache; what it reads stays right, though its pages may have been lent."""
    for i in range(40):
        (folder / str(i)).write_bytes(bytes([i]) * MIB)
    edge = edge_over(folder, cache={"memory": "16MiB"}, tcp={"send": send})
    with edge.connect(rcvbuf=4096) as slow:
        slow.request("/7")
        head = slow.head()
        for i in range(40):
            assert edge.get(f"/{i}").body == bytes([i]) * MIB
        assert slow._exactly(MIB, head) == bytes([7]) * MIB


@pytest.mark.parametrize("send, pipes", [("copy", 0), ("reference", 2)])
def test_pages_are_lent_only_where_asked(edge_over, sample, backend, send, pipes):
    """What is lent goes through a pipe of the worker's."""
    if backend.name != "sockets":
        return  # our own TCP always refers
    edge = edge_over(sample, tcp={"send": send})
    assert edge.get("/2/001.m4s").body == (sample / "2/001.m4s").read_bytes()
    held = []
    for fd in pathlib.Path(f"/proc/{edge.pid}/fd").iterdir():
        try:
            held.append(os.readlink(fd))
        except FileNotFoundError:
            pass  # closed meanwhile: a connection, or the file it filled from
    assert sum(x.startswith("pipe:") for x in held) == pipes, held


def test_ordinary_user_with_default_limits(edge_over, sample, files):
    """uid 65534, 8 MiB of locked memory, 1024 files: the edge works, and says what it could not have."""
    edge = edge_over(sample, user=65534)
    want = (sample / "2/001.m4s").read_bytes()
    assert edge.get("/2/001.m4s").body == want
    conns = [edge.connect() for _ in range(1500)]  # past the soft limit of files, within the hard one
    assert conns[-1].get("/2/001.m4s").body == want
    for c in conns:
        c.close()


def test_descriptors_do_not_leak(edge_over, nginx, sample):
    edge = edge_over(nginx())
    edge.get("/0/init.mp4")
    before = edge.process.fds()
    for i in range(300):
        assert edge.get(f"/0/init.mp4?{i}").status == 200
    wait_until(lambda: edge.process.fds() <= before + 40, what="descriptors to be closed")


def test_an_idle_edge_sleeps(edge_over, sample):
    """Viewers who are there and ask for nothing cost next to no CPU, on a device that has to be asked for packets too."""
    edge = edge_over(sample)
    with edge.connect() as c:
        assert c.get("/0/init.mp4").status == 200
        before = edge.process.cpu()
        time.sleep(2)
        assert edge.process.cpu() - before < 0.4
        assert c.get("/0/init.mp4").status == 200


@pytest.mark.workers(2)
def test_several_workers(edge_over, nginx, sample):
    origin = nginx("add_header Cache-Control max-age=600;")
    edge = edge_over(origin, workers=2)
    want = (sample / "2/001.m4s").read_bytes()
    assert all(edge.get("/2/001.m4s").body == want for _ in range(50))
    assert len(origin.settled("/2/001.m4s")) == 1


def test_churn_leaves_nothing_behind(edge_over, nginx, sample):
    """4,000 short connections, each fourth torn in the middle: counters add up, nothing stays open or pinned."""
    from test_coalesce import together
    edge = edge_over(nginx("add_header Cache-Control max-age=600;"))
    paths = [f"/2/{i:03}.m4s" for i in range(1, 13)]
    want = {p: (sample / p[1:]).read_bytes() for p in paths}
    fds = edge.process.fds()

    def viewer(k):
        for i in range(200):
            path = paths[(k * 7 + i) % len(paths)]
            with edge.connect(timeout=30) as c:
                if i % 4 == 3:
                    c.request(path)
                    c.head()
                else:
                    assert c.get(path).body == want[path]
        return True

    assert all(together(20, viewer))
    wait_until(lambda: edge.metrics()["conn_open"] == 0, 10, "all closed")
    m = edge.metrics()
    assert m["http_requests"] == m["http_2xx"] == 4000 == m["conn_accepted"]
    assert m["http_hit"] + m["http_miss"] + m["http_coalesced"] == 4000 and m["origin_requests"] == len(paths)
    assert len(edge.log(4000)) == 4000
    wait_until(lambda: edge.process.fds() <= fds + 40, what="descriptors to be closed")
    assert edge.stat()["cache"]["pins"] == 0


@pytest.mark.kernel_tcp
@pytest.mark.parametrize("name", ["cubic", "bbr"])
def test_congestion_control_is_the_one_asked_for(edge_over, sample, name):
    """That of our own TCP: test_dpdk_net.py, by what it does."""
    edge = edge_over(sample, tcp={"congestion": name})
    with edge.connect() as c:
        assert c.get("/0/init.mp4").status == 200
        said = subprocess.run(["ss", "-tniH", "state", "established", f"sport = :{edge.port}"],
                              capture_output=True, text=True, check=True).stdout
        assert f" {name} " in said, said


def test_bytes_behind_the_last_request_keep_no_connection(edge_over, scripted):
    """A body of unknown length, to somebody who has said more than he wants answered, and leaves as one does."""
    def unknown(conn, _request):
        conn.head(transfer_encoding="chunked")
        for _ in range(5):
            conn.send("4\r\nbody\r\n")
            time.sleep(0.1)
        conn.send("0\r\n\r\n")

    scripted.on("/unknown", unknown)
    edge = edge_over(scripted)
    with edge.connect() as c:
        c.send("GET /unknown HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nX")
        assert c.rest().endswith(b"0\r\n\r\n")
    wait_until(lambda: edge.metrics()["conn_open"] == 0, 5, "all closed")
