"""SIGTERM drains, SIGHUP reloads."""
import signal
import socket
import time

import pytest

from net import Closed, wait_until

BODY = bytes(range(256)) * 8192  # 2 MiB


def slow_origin(scripted, seconds=1.5):
    def handler(conn, _request):
        conn.head(content_length=len(BODY), cache_control="max-age=60")
        conn.trickle(BODY, seconds)

    scripted.on("/slow", handler)


def test_term_finishes_what_flows(edge_over, scripted):
    slow_origin(scripted)
    edge = edge_over(scripted)
    with edge.connect() as c:
        c.request("/slow")
        head = c.head()
        edge.term()
        assert c._exactly(len(BODY), head) == BODY
        assert c.closed()
    edge.stop()


def test_term_refuses_new_connections(edge_over, scripted):
    slow_origin(scripted)
    edge = edge_over(scripted)
    with edge.connect() as c:
        c.request("/slow")
        c.head()
        edge.term()

        def refused():
            try:
                with edge.connect(timeout=1) as late:
                    late.get("/slow")
                return False
            except (OSError, Closed):  # refused, or caught in the queue of a listener that closed
                return True

        # The first one may have slipped in before the drain began: it then takes its second of patience.
        wait_until(refused, 5.0, "new connections refused")


def test_term_answers_who_has_just_connected(edge_over, sample):
    """Whoever got through before the listener closed is answered, also when all of it comes at once."""
    edge = edge_over(sample)
    if edge.place.kernel_accepts:  # also those whom the edge itself has not seen yet
        edge.process.send(signal.SIGSTOP)
    viewers = [edge.connect() for _ in range(20)]
    edge.process.send(signal.SIGSTOP)
    for c in viewers[:10]:
        c.request("/0/init.mp4")
    edge.term()
    edge.process.send(signal.SIGCONT)
    time.sleep(0.1)
    for c in viewers[10:]:
        c.request("/0/init.mp4")
    for c in viewers:
        assert c.response().status == 200
        # Without Connection: close when it was answered just before the edge had heard of the signal.
        assert c.closed()
        c.close()
    edge.stop()


def test_term_ends_an_idle_edge_at_once(edge_over, sample):
    edge = edge_over(sample, timeouts={"drain": "10s"})
    with edge.connect() as c:
        assert c.get("/0/init.mp4").status == 200
        began = time.monotonic()
        edge.term()
        assert c.closed()
        edge.stop()
        assert time.monotonic() - began < 3


def test_term_cuts_what_does_not_end(edge_over, scripted):
    """The stated time is kept even when a viewer would take for ever."""
    slow_origin(scripted, seconds=60)
    edge = edge_over(scripted, timeouts={"drain": "1s"})
    with edge.connect() as c:
        c.request("/slow")
        c.head()
        began = time.monotonic()
        edge.term()
        edge.stop()
        assert 0.5 < time.monotonic() - began < 5


@pytest.mark.kernel_tcp
def test_what_the_kernel_has_whole_is_not_cut(edge_over, folder):
    """All of the answer and our FIN lie in the kernel, which outlives us; only the viewer is slow."""
    (folder / "two").write_bytes(b"x" * (2 << 20))
    edge = edge_over(folder, timeouts={"drain": "1s"})
    with edge.connect(rcvbuf=4096) as c:
        c.request("/two", headers={"Connection": "close"})
        c.head()
        got = 0
        while edge.metrics()["http_body_bytes"] < 2 << 20 or got < 1 << 20:
            got += len(c.sock.recv(1 << 16))
        edge.term()
        edge.stop()
        got += len(c.rest())
        assert got > (2 << 20) - (1 << 17)  # what came with the head is in the buffer


def test_asked_twice_it_ends_at_once(edge_over, scripted):
    slow_origin(scripted, seconds=60)
    edge = edge_over(scripted, timeouts={"drain": "60s"})
    with edge.connect() as c:
        c.request("/slow")
        c.head()
        edge.term()
        time.sleep(0.3)
        assert edge.alive()
        edge.term()
        edge.stop(3)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_end_it_well(edge_over, sample, sig):
    edge = edge_over(sample)
    edge.term(sig)
    edge.stop()


def test_hup_changes_an_origin_and_drops_nobody(edge_over, scripted, folder):
    slow_origin(scripted)
    (folder / "new").write_bytes(b"from the folder")
    edge = edge_over(scripted)
    with edge.connect() as flowing, edge.connect() as idle:
        assert idle.get("/new").status == 404
        flowing.request("/slow")
        head = flowing.head()
        edge.configure({"origins": [{"match": "/", "dir": str(folder)}]})
        edge.reload()

        def answers():
            r = idle.get(f"/new?{time.monotonic_ns()}")
            return r.status == 200 and r.body == b"from the folder"

        wait_until(answers, 5, "the new origin")
        assert flowing._exactly(len(BODY), head) == BODY
        assert flowing.get("/slow").status == 200  # what is kept stays
    assert edge.metrics()["conn_reset"] == 0


def test_hup_changes_a_timeout(edge_over, sample):
    edge = edge_over(sample, timeouts={"idle": "30s"})
    with edge.connect() as c:
        assert c.get("/0/init.mp4").status == 200
        edge.configure({"origins": [{"match": "/", "dir": str(sample)}], "timeouts": {"idle": "500ms"}})
        edge.reload()
        wait_until(lambda: b"config_loaded" in edge.process.said(), what="the reload")
        assert c.get("/0/init.mp4").status == 200  # not dropped by the reload
        assert c.closed(5)


def test_hup_with_a_broken_file_keeps_the_old(edge_over, sample):
    edge = edge_over(sample)
    good = edge.file.read_text()
    edge.file.write_text("listen: [nonsense\n")
    edge.reload()
    # It says what was wrong, with the file's name, and goes on as before.
    wait_until(lambda: edge.file.name in edge.process.err.read_text(), what="a word about it")
    assert edge.get("/0/init.mp4").status == 200
    edge.file.write_text(good)
    edge.reload()
    assert edge.get("/0/init.mp4").status == 200


def test_hup_that_names_a_missing_folder_changes_nothing(edge_over, sample):
    edge = edge_over(sample)
    edge.configure({"origins": [{"match": "/", "dir": str(sample / "gone")}]})
    edge.reload()
    wait_until(lambda: b"gone" in edge.process.said(), what="a word about it")
    assert edge.get("/0/init.mp4").status == 200


def test_each_hup_says_what_still_needs_a_restart(edge_over, sample):
    edge = edge_over(sample)
    edge.configure({"origins": [{"match": "/", "dir": str(sample)}], "workers": 2})
    for times in (1, 2):
        edge.reload()
        wait_until(lambda: edge.process.said().count(b"config_needs_restart") == times, what="a word about it")


def test_hup_reopens_the_log(edge_over, sample):
    edge = edge_over(sample)
    edge.get("/0/init.mp4")
    assert len(edge.log(1)) == 1
    edge.access.rename(edge.access.with_suffix(".1"))
    edge.reload()
    # The file is there a moment before lines go to it.
    wait_until(lambda: b"log_reopened" in edge.process.said(), 5, "a new log file")
    edge.get("/0/init.mp4")
    assert len(edge.log(1)) == 1


def test_many_hups_under_load(edge_over, sample):
    edge = edge_over(sample)
    with edge.connect() as c:
        for _ in range(30):
            edge.reload()
            assert c.get("/0/init.mp4").status == 200
    assert edge.alive()


def test_pipe_signal_is_survived(edge_over, sample):
    """Viewers who vanish while bytes flow to them."""
    edge = edge_over(sample)
    for _ in range(50):
        c = edge.connect()
        c.request("/ondemand/mid.mp4")
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        c.close()
    assert edge.get("/0/init.mp4").status == 200


def test_a_full_queue_of_signals_is_survived(edge_over, sample):
    """SIGIO is what the kernel sends in place of a device's own signals once they are too many."""
    edge = edge_over(sample)
    for _ in range(3):
        edge.process.send(signal.SIGIO)
        assert edge.get("/0/init.mp4").status == 200


def test_systemd_is_told(spate_bin, work, sample, backend):
    """sd_notify: READY=1 once it serves, STOPPING=1 when it ends."""
    from edge import Edge
    import os
    path = str(work / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(5)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            (work / "e").mkdir()
            edge = Edge(spate_bin, work / "e", backend, {"origins": [{"match": "/", "dir": str(sample)}]})
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert "READY=1" in s.recv(4096).decode().split("\n")
        edge.stop()
        said = []
        s.settimeout(0.5)
        try:
            while True:
                said += s.recv(4096).decode().split("\n")
        except TimeoutError:
            pass
        assert "STOPPING=1" in said
