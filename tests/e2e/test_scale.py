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
    m = edge.metrics()
    if backend.name == "sockets":
        return {"fds": edge.process.fds()}
    return {k: m[k] for k in HELD}


def nothing_left(edge, backend, before):
    wait_until(lambda: edge.metrics()["conn_open"] == 0, 20, "every connection to end")
    assert edge.stat()["cache"]["pins"] == 0
    # What lies in a device's own rings differs by a few with what came last; a leak would be one a connection.
    slack = 64 if backend.name == "dpdk-af_xdp" else 0
    if backend.name == "dpdk-af_packet":
        assert not any(before.values()), before  # it holds none at all
    wait_until(lambda: all(held(edge, backend)[k] <= before[k] + slack for k in before), 10,
               f"{before} again; the last: {held(edge, backend)}")


def test_ten_thousand_at_once(edge_over, backend, sample, crowd):
    edge = edge_over(sample, limits={"connections": MANY + 1000}, timeouts={"idle": "60s"})
    assert edge.get("/0/init.mp4").status == 200
    wait_until(lambda: edge.metrics()["conn_open"] == 0)
    time.sleep(0.1)
    before, rss = held(edge, backend), edge.process.rss()
    c = crowd(edge, "hold", "/0/init.mp4", MANY)
    said = c.say()
    print(said, before)
    assert said["first"] == said["again"] == said["open"] == MANY, said
    assert edge.metrics()["conn_open"] == MANY
    assert edge.process.rss() - rss < MANY * 16384
    assert edge.get("/0/init.mp4").body == (sample / "0/init.mp4").read_bytes()  # and one more is no matter
    c.end()
    m = edge.metrics()
    assert m["http_2xx"] == m["http_requests"] == 2 * MANY + 3 and m["conn_refused"] == 0
    nothing_left(edge, backend, before)


@pytest.mark.parametrize("family", [4, 6])
def test_churn_returns_to_zero(edge_over, backend, sample, crowd, family):
    """Connections end in seven ways, some thousand a second; then every count is what it was."""
    edge = edge_over(sample)
    assert edge.get("/2/001.m4s", family=family).status == 200
    wait_until(lambda: edge.metrics()["conn_open"] == 0)
    time.sleep(0.1)
    before = held(edge, backend)
    c = crowd(edge, "churn", "/2/001.m4s", CHURN_SECONDS / 2, family=family)
    said = c.say()
    print(said, before)
    c.end()
    assert not said["why"] and min(said["done"].values()) > 20, said
    nothing_left(edge, backend, before)
    if backend.name != "sockets":
        wait_until(lambda: edge.metrics()["tcp_time_wait"] == 0, TIME_WAIT + 10, "TIME-WAIT to end")
    assert edge.get("/2/001.m4s", family=family).body == (sample / "2/001.m4s").read_bytes()
