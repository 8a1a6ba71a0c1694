"""
How clients reach an edge. Every case takes its connections and client programs from its edge, and the edge has them
from its place; so a second backend (DPDK on a vdev, clients in a network namespace, a link of its own for each
edge) is a second pair of classes here and nothing else. What such a pair must offer is what Sockets offers:

    backend = Sockets(); backend.setup(work)      once a session
    place = backend.place(port)                   for each edge
    place.config(), .hosts, .clients, .command(argv), .connect(...), then place.close()
    backend.teardown()
"""
import socket


class Sockets:
    """The edge on kernel sockets, clients beside it on loopback."""

    name = "sockets"

    def setup(self, work):
        """Before the first edge; work is a folder of its own."""

    def teardown(self):
        pass

    def place(self, port):
        return SocketsPlace(port)


class SocketsPlace:
    hosts = {4: "127.0.0.1", 6: "::1"}    # where the edge is, by IP version
    clients = {4: "127.0.0.1", 6: "::1"}  # where it sees its clients

    def __init__(self, port):
        self.port = port

    def close(self):
        """The edge has ended."""

    def config(self):
        """The part of an edge's configuration that is this backend's."""
        return {"backend": "sockets", "listen": [f"127.0.0.1:{self.port}", f"[::1]:{self.port}"]}

    def command(self, argv):
        """argv as a client must be started to reach the edge (for DPDK: in its namespace)."""
        return list(argv)

    def connect(self, family=4, timeout=10.0, rcvbuf=None):
        """A client's TCP connection to the edge; a socket."""
        s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        s.settimeout(timeout)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.connect((self.hosts[family], self.port))
        return s


BACKENDS = {"sockets": Sockets}
