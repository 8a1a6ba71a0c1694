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


@pytest.mark.parametrize("family", [4, 6])
def test_other_ports_and_pings_are_the_kernels(edge_over, sample, family):
    edge = edge_over(sample, dpdk={"exception": "tap"})
    here, there = edge.place.hosts[family], edge.place.clients[family]
    ip(f"addr add {here}/24 dev spate0" if family == 4 else f"addr add {here}/64 dev spate0 nodad")
    with socket.create_server((here, 0), family=socket.AF_INET if family == 4 else socket.AF_INET6) as kernel:
        def serve():
            conn, _ = kernel.accept()
            with conn:
                conn.sendall(b"kernel" * 10000)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with edge.place.socket(family) as s:
            s.settimeout(5)
            s.connect((here, kernel.getsockname()[1]))
            got = b""
            while data := s.recv(65536):
                got += data
        thread.join()
        assert got == b"kernel" * 10000
    assert edge.get("/0/init.mp4", family=family).status == 200
    # And outwards: the answers come to a port that was ours alone.
    subprocess.run(["ping", "-c", "2", "-W", "2", there], check=True, capture_output=True)
