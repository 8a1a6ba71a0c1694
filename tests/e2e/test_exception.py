"""dpdk.exception: tap: one NIC, one address, two stacks: our ports are ours, everything else is the kernel's."""
import socket
import subprocess
import threading

import pytest

from vdev import AfXdp, ip


@pytest.fixture(scope="session")
def backend():
    # Over af_xdp the kernel does not see the frames itself, as with a NIC; over af_packet it would answer them too.
    made = AfXdp()
    made.prefix = "sx"
    made.setup(None)
    yield made
    made.teardown()


def test_other_ports_and_pings_are_the_kernels(edge_over, sample):
    edge = edge_over(sample, dpdk={"exception": "tap"})
    ip(f"addr add {edge.place.hosts[4]}/24 dev spate0")
    with socket.create_server((edge.place.hosts[4], 0)) as kernel:
        def serve():
            conn, _ = kernel.accept()
            with conn:
                conn.sendall(b"kernel" * 10000)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with edge.place.socket() as s:
            s.settimeout(5)
            s.connect((edge.place.hosts[4], kernel.getsockname()[1]))
            got = b""
            while data := s.recv(65536):
                got += data
        thread.join()
        assert got == b"kernel" * 10000
    assert edge.get("/0/init.mp4").status == 200
    # And outwards: the answers come to a port that was ours alone.
    subprocess.run(["ping", "-c", "2", "-W", "2", edge.place.clients[4]], check=True, capture_output=True)
