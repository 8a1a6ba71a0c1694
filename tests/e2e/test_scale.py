"""Ten thousand viewers at once, and viewers who come and go for a while: all served, and nothing is left of them."""
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from net import wait_until

CROWD = pathlib.Path(__file__).parents[1] / "lib/crowd.py"
MANY = 10_000
CHURN_SECONDS = float(os.environ.get("SPATE_CHURN_SECONDS", "15"))
TIME_WAIT = 60  # how long our TCP stays in it
# What must be as it was before: gauges of the backend, none of which the sockets have.
HELD = ("tcp_conns", "tcp_half_open", "tcp_runs", "tcp_held", "port_buffers_used")


class Crowd:
    """crowd.py where the clients are; say() is its next line."""

    def __init__(self, edge, what, path, much, family=4):
        argv = [sys.executable, CROWD, what, edge.place.hosts[family], edge.port, path, much]
        self.popen = subprocess.Popen(edge.place.command([str(a) for a in argv]), stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)

    def say(self):
        line = self.popen.stdout.readline()
        assert line, f"it ended with {self.popen.wait(5)}"
        return json.loads(line)

    def end(self):
        self.popen.stdin.close()
        said = self.popen.stdout.read()
        assert self.popen.wait(60) == 0
        return said


@pytest.fixture
def crowd():
    started = []

    def start(*args, **kw):
        started.append(Crowd(*args, **kw))
        return started[-1]

    yield start
    for c in started:
        if c.popen.poll() is None:
            c.popen.kill()
        c.popen.wait()


def held(edge, backend):
    """
    Exactly what is held while nobody is there. A device keeps its last packets until the next, so all counts follow one
    and the same request.
    """
    assert edge.get("/0/init.mp4").status == 200
    wait_until(lambda: edge.metrics()["conn_open"] == 0, 20, "every connection to end")
    time.sleep(0.05)  # gauges are written every 10 ms
    m = edge.metrics()
    counts = {k: m[k] for k in HELD} if backend.name != "sockets" else {"fds": edge.process.fds()}
    return {**counts, "pins": edge.stat()["cache"]["pins"]}


def before_all(edge, backend):
    first = held(edge, backend)
    counts = wait_until(lambda: (now := held(edge, backend)) == held(edge, backend) and now, 10, f"{first} to stay")
    # Two devices hold a ring's worth of receive buffers, the third none.
    assert not any(v for k, v in counts.items() if k not in ("fds", "port_buffers_used")), counts
    assert backend.name != "dpdk-af_packet" or counts["port_buffers_used"] == 0, counts
    return counts


def nothing_left(edge, backend, before):
    left = {}

    def none():
        left.update(held(edge, backend))
        return left == before

    wait_until(none, 20, f"{before} again; the last: {left}")


@pytest.mark.slow(15)
def test_ten_thousand_at_once(edge_over, backend, sample, crowd):
    edge = edge_over(sample, limits={"connections": MANY + 1000}, timeouts={"idle": "60s"})
    before, rss = before_all(edge, backend), edge.process.rss()
    asked = edge.metrics()["http_requests"]
    c = crowd(edge, "hold", "/0/init.mp4", MANY)
    said = c.say()
    print(said, before)
    assert said["first"] == said["again"] == said["open"] == MANY, said
    assert edge.metrics()["conn_open"] == MANY
    assert edge.process.rss() - rss < MANY * 16384
    assert edge.get("/0/init.mp4").body == (sample / "0/init.mp4").read_bytes()  # and one more is no matter
    c.end()
    m = edge.metrics()
    assert m["http_2xx"] == m["http_requests"] == asked + 2 * MANY + 2 and m["conn_refused"] == 0
    nothing_left(edge, backend, before)


@pytest.mark.slow(80)
def test_churn_returns_to_zero(edge_over, backend, sample, crowd):
    """Connections end in seven ways, some thousand a second, half of them over IPv6; then every count is what it was."""
    # Idle: where a device lost a viewer's RST nobody will ever tell of his end.
    edge = edge_over(sample, timeouts={"idle": "5s", "header": "5s"})
    before = before_all(edge, backend)
    for family in (4, 6):
        c = crowd(edge, "churn", "/2/001.m4s", CHURN_SECONDS / 2, family=family)
        said = c.say()
        print(said, before)
        c.end()
        assert not said["why"] and min(said["done"].values()) > 20, said
    nothing_left(edge, backend, before)
    if backend.name != "sockets":
        wait_until(lambda: edge.metrics()["tcp_time_wait"] == 0, TIME_WAIT + 10, "TIME-WAIT to end")
        nothing_left(edge, backend, before)
    for family in (4, 6):
        assert edge.get("/2/001.m4s", family=family).body == (sample / "2/001.m4s").read_bytes()
