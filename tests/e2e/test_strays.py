"""A device that hands a segment to another worker than the one that knows its connection: net_af_packet does, when a ring
runs full (PACKET_FANOUT_FLAG_ROLLOVER, which DPDK always sets)."""
import ctypes
import os
import pathlib
import socket

import pytest

from net import wait_until
from vdev import AfPacket

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
libc = ctypes.CDLL(None, use_errno=True)


def ptrace(what, tid):
    assert libc.ptrace(ctypes.c_long(what), ctypes.c_long(tid), None, None) == 0, os.strerror(ctypes.get_errno())


@pytest.fixture(scope="session")
def backend():
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    made = AfPacket()
    made.prefix = "sy"
    made.setup(None)
    yield made
    made.teardown()


def test_a_full_ring_resets_nobody(edge_over, sample, monkeypatch):
    monkeypatch.setattr(AfPacket.Place, "vdev", lambda self, workers:
                        f"net_af_packet0,iface={self.iface},framecnt=32,qdisc_bypass=1,qpairs={workers}")
    edge = edge_over(sample, workers=2)
    want = (sample / "0/init.mp4").read_bytes()
    viewers = [edge.connect() for _ in range(24)]
    for c in viewers:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert c.get("/0/init.mp4").body == want
    # One worker stands still while requests come in small pieces: more of them than its ring holds.
    worker = next(int(t.name) for t in pathlib.Path(f"/proc/{edge.pid}/task").iterdir()
                  if (t / "comm").read_text() == "spate-1\n")
    ptrace(PTRACE_ATTACH, worker)
    os.waitpid(worker, 0x40000000)  # __WALL
    for c in viewers:
        for piece in (b"GET /0/init.mp4 ", b"HTTP/1.1\r\n", b"Host: ", b"a\r\n", b"X: ", b"y\r\n", b"\r\n"):
            c.sock.sendall(piece)
    wait_until(lambda: edge.metrics()["tcp_strays"] > 0, 10, "a segment at the wrong worker")
    ptrace(PTRACE_DETACH, worker)
    for c in viewers:
        assert c.response().body == want
        c.close()
