"""A DPDK port as an operator sees it: what the start says of it, its metrics, and the core that it costs."""
import os
import pathlib
import re
import time

import pytest

from net import wait_until
from vdev import AfPacket, AfXdp, ip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
SIZE = 1 << 20


@pytest.fixture(params=[AfPacket, AfXdp], ids=lambda device: device.name)
def backend(request):
    """For edge_over: these two, whatever the suite runs over."""
    made = request.param()
    made.prefix = "do"
    made.setup(None)
    yield made
    made.teardown()


only_af_packet = pytest.mark.parametrize("backend", [AfPacket], indirect=True, ids=lambda device: device.name)


@pytest.fixture
def content(folder):
    (folder / "object").write_bytes(data := os.urandom(SIZE))
    return data


def event(edge):
    """What it said of its port."""
    return re.search(rb'port="(.*?)"', edge.process.said())[1].decode()


def test_start_says_truly_whether_payload_is_copied(edge_over, folder, content, backend):
    edge = edge_over(folder)
    before = edge.metrics()
    for _ in range(3):
        assert edge.get("/object").body == content
    copied, sent = (edge.metrics()[f"port_{n}"] - before[f"port_{n}"] for n in ("tx_copied", "tx_packets"))
    said, least = event(edge), 3 * SIZE // 1460
    assert sent >= least
    if backend.name == "dpdk-af_packet":
        assert said.endswith("payload sent from the cache's memory") and copied <= 3, (said, copied)  # the heads
    else:
        assert said.endswith("payload copied (the device takes no multi-segment packets)"), said
        assert least <= copied <= sent, (copied, sent)


def test_link_and_packets(edge_over, folder, content):
    edge = edge_over(folder)

    def up(want):
        wait_until(lambda: edge.metrics()["port_link_up"] == want, 5, f"link_up {want}")

    def says(word):
        wait_until(lambda: word in edge.process.said(), 10, f"{word} in the log")

    up(1)
    assert b"port_down" not in edge.process.said()
    ip(f"link set {edge.place.peer} down", ns=edge.place.ns.name)
    up(0)
    says(b"warn port_down: ")
    ip(f"link set {edge.place.peer} up", ns=edge.place.ns.name)
    up(1)
    says(b"info port_up: ")
    before = edge.metrics()
    assert edge.get("/object").body == content
    rose = {n: edge.metrics()[f"port_{n}"] - before[f"port_{n}"] for n in ("rx_packets", "tx_packets", "tx_bytes")}
    assert rose["rx_packets"] > 10 and rose["tx_packets"] > SIZE // 1460 and rose["tx_bytes"] > SIZE, rose


def on_cpu(edge, worker=0):
    """(seconds that its worker ran, seconds that it could have run while others did)"""
    task = next(t for t in pathlib.Path(f"/proc/{edge.pid}/task").iterdir() if (t / "comm").read_text() == f"spate-{worker}\n")
    ran, waited, _ = map(int, (task / "schedstat").read_text().split())
    return ran / 1e9, waited / 1e9


@only_af_packet
@pytest.mark.slow(3)
@pytest.mark.parametrize("idle", ["adaptive", "spin"])
def test_idle_costs_a_core_only_where_asked_to(edge_over, sample, idle):
    """A property and no speed; on a machine that is full, spinning is to be ready to run."""
    edge = edge_over(sample, dpdk={"idle": idle})
    assert edge.get("/0/init.mp4").status == 200
    wait_until(lambda: edge.metrics()["conn_open"] == 0, what="all closed")
    began, (ran, waited) = time.monotonic(), on_cpu(edge)
    time.sleep(2)
    wall, (ran_after, waited_after) = time.monotonic() - began, on_cpu(edge)
    ran, waited = ran_after - ran, waited_after - waited
    if idle == "adaptive":
        assert ran < wall / 2, (ran, wall)
    else:
        assert ran + waited > wall / 2, (ran, waited, wall)


@only_af_packet
@pytest.mark.slow(2)
def test_who_has_never_had_a_packet_sleeps_too(edge_over, sample):
    """Three workers and nobody who asks: what little the neighbours say does not come to each."""
    edge = edge_over(sample, workers=3)
    time.sleep(0.5)
    began, before = time.monotonic(), [on_cpu(edge, i)[0] for i in range(3)]
    time.sleep(1)
    ran = [on_cpu(edge, i)[0] - before[i] for i in range(3)]
    assert max(ran) < (time.monotonic() - began) / 3, ran
