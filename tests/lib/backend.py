"""How clients reach the edge. Every case takes its edge from a backend and its connections from that edge, so a
second backend (DPDK on a vdev, clients in a network namespace) is a second class here and nothing else:
what it must offer is what Sockets offers."""
import socket


class Sockets:
    """The edge on kernel sockets, clients beside it on loopback."""

    name = "sockets"
    hosts = {4: "127.0.0.1", 6: "::1"}

    def setup(self, work):
        """Once a session, before the first edge; work is a folder of its own."""

    def teardown(self):
        pass

    def config(self, port):
        """The part of an edge's configuration that is this backend's."""
        return {"backend": "sockets", "listen": [f"127.0.0.1:{port}", f"[::1]:{port}"]}

    def command(self, argv):
        """argv as a client must be started to reach the edge (for DPDK: in its namespace)."""
        return list(argv)

    def connect(self, port, family=4, timeout=10.0, rcvbuf=None):
        """A client's TCP connection to the edge."""
        s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        s.settimeout(timeout)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.connect((self.hosts[family], port))
        return s


BACKENDS = {"sockets": Sockets}
