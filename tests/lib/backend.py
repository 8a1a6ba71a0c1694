"""
How clients reach an edge. Every case takes its connections and client programs from its edge, and the edge has them
from its place; so a backend is a pair of classes and nothing else: the sockets here, the DPDK devices in vdev.py.

    backend = Sockets(); backend.setup(work)      once a session; may skip
    place = backend.place(port)                   for each edge
    place.config(workers), or .argv(file)         before it starts
    place.started()                               once it is ready
    place.hosts, .clients, .command(argv), .socket(...), then place.close()
    backend.teardown()
"""
import socket

import vdev


class Sockets:
    """The edge on kernel sockets, clients beside it on loopback."""

    name = "sockets"
    most_workers = 8  # cases marked workers(n) run where there can be as many

    def setup(self, work):
        """Before the first edge; work is a folder of its own."""

    def teardown(self):
        pass

    def place(self, port):
        return SocketsPlace(port)


class SocketsPlace:
    hosts = {4: "127.0.0.1", 6: "::1"}    # where the edge is, by IP version
    clients = {4: "127.0.0.1", 6: "::1"}  # where it sees its clients
    kernel_accepts = True                 # a handshake ends while the edge stands still
    capabilities = ""                     # what an edge that is not root must have been given

    def __init__(self, port, **more):
        self.port, self.more = port, more

    def started(self):
        """The edge is ready."""

    def close(self):
        """The edge has ended."""

    def config(self, workers):  # pylint: disable=unused-argument
        """The part of an edge's configuration that is this backend's."""
        return {"backend": "sockets", "listen": [f"127.0.0.1:{self.port}", f"[::1]:{self.port}"], **self.more}

    def argv(self, file):  # pylint: disable=unused-argument
        """The same as options of `spate run`; file may be written."""
        return ["--listen", f"127.0.0.1:{self.port}"]

    def command(self, argv):
        """argv as a client must be started to reach the edge."""
        return list(argv)

    def socket(self, family=4, kind=socket.SOCK_STREAM):
        """A client's socket, TCP unless it says, from which the edge can be reached."""
        return socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind)


class SocketsByReference(Sockets):
    """The same, and large ranges are lent to the kernel instead of copied."""

    name = "sockets-reference"

    def place(self, port):
        return SocketsPlace(port, tcp={"send": "reference"})


BACKENDS = {b.name: b for b in (Sockets, SocketsByReference, vdev.AfPacket, vdev.Tap, vdev.AfXdp)}
