"""The edge over devices that are memory between two processes, our own client at the other end: memif, vhost, and virtio-user,
where the client's side reads the cache itself, with and without packets of 64 KiB. Every byte is compared."""
import os
import subprocess

import pytest

from edge import Edge
from lane import huge_pages
from net import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="huge pages need root")

# device of the edge, of the client; what the edge says of it
WIRES = {
    "memif": ("--vdev=net_memif0,role=server,socket={0},socket-abstract=no",
              "--vdev=net_memif0,role=client,socket={0},socket-abstract=no", "TSO off"),
    "vhost": ("--vdev=net_vhost0,iface={0}",
              "--single-file-segments --vdev=net_virtio_user0,path={0},queue_size=1024", "TSO off"),
    "virtio": ("--single-file-segments --vdev=net_virtio_user0,path={0},queue_size=1024,server=1",
               "--vdev=net_vhost0,iface={0},client=1", "TSO off, payload sent from the cache's memory"),
    "virtio-tso": ("--single-file-segments --vdev=net_virtio_user0,path={0},queue_size=1024,server=1",
                   "--vdev=net_vhost0,iface={0},client=1,tso=1", "TSO on, payload sent from the cache's memory"),
}
EAL = "--no-pci -m 128 --in-memory"
PAGES = 400  # 2 x 128 MiB, the cache where the device must see it, and what edges beside us take


class Wire:
    """A backend and a place (tests/lib/backend.py); its clients are no programs on sockets."""

    hosts, clients, capabilities, may_miss = {4: "10.88.0.1"}, {4: "10.88.0.2"}, "", b"never"

    def __init__(self, device):
        self.device = device

    def place(self, port):
        self.port = port
        return self

    def config(self, workers):  # pylint: disable=unused-argument
        return {"backend": "dpdk", "listen": [f"{self.hosts[4]}:{self.port}"], "cache": {"memory": "64MiB"},
                "dpdk": {"eal": [*EAL.split(), *self.device.split()], "ports": [{"addresses": [f"{self.hosts[4]}/24"]}]}}

    def started(self):
        pass

    def close(self):
        pass


@pytest.fixture
def pages():
    added = huge_pages(PAGES)
    try:
        if added < PAGES:
            pytest.skip("no huge pages are to be had")
        yield
    finally:
        huge_pages(-added)


@pytest.mark.parametrize("wire", WIRES)
def test_every_byte_over(wire, pages, spate_bin, build, work):
    near, far, says = (s.format(work / "wire.sock") for s in WIRES[wire])
    folder, load = work / "www", build / "bench/load/spate-load"
    folder.mkdir()
    sizes = [1, 1000, 20000, 300000, 5000000]
    for n in sizes:
        (folder / str(n)).write_bytes(os.urandom(n))
    urls = work / "urls"
    urls.write_bytes(subprocess.run([load, "--make-urls", folder], check=True, capture_output=True).stdout)
    edge = Edge(spate_bin, work, Wire(near), {"origins": [{"match": "/", "dir": str(folder)}]}, ready=False)
    try:
        # Before it is ready: virtio-user waits for who looks into its memory.
        wait_until((work / "wire.sock").exists, 10, "the edge's end")
        client = subprocess.Popen([load, "--quiet", "-n", "200", "-c", "8", "--urls", urls, "--verify", "list", "--dpdk",
                                   f"{EAL} {far}", "--address", "10.88.0.2/24", f"http://10.88.0.1:{edge.port}/"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            edge.wait_ready()
            assert says in edge.process.said().decode()
            said = client.communicate(timeout=60)[0]
        finally:
            client.kill()
            client.wait()
        assert client.returncode == 0, said
        m = edge.metrics()
        sent, packets = m["tcp_bytes_sent"], m["tcp_seg_sent"]
        assert sent >= 200 // len(sizes) * sum(sizes)
        # One segment of up to 64 KiB instead of 45; and a device that reads the cache itself is given nothing copied.
        assert (sent / packets > 4000) == ("tso" in wire), (sent, packets)
        assert m["port_tx_copied"] < 50, m["port_tx_copied"]
    finally:
        edge.stop()

