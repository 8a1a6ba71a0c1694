"""
The edge's own TCP/IP on a DPDK device that needs no NIC; clients with the kernel's TCP in a network namespace.

    root namespace                                  namespace spateN (one a session)
    spate ── AF_PACKET or AF_XDP ── veth spNeI ═════ veth spNcI ── curl, wrk, ffmpeg, python
    spate ── /dev/net/tun ═════════════════════════ tap spNeI  ── the same

Each edge has a link and a subnet of its own. The edge's end has no address of the kernel's, so what answers there is
Spate or nobody. The origin and the admin endpoint stay on loopback of the root namespace, where control is.
"""
import contextlib
import ctypes
import os
import pathlib
import queue
import socket
import subprocess
import threading

import pytest
import yaml

from lane import huge_pages


def ip(*lines, ns=None):
    """Commands of ip(8), in one process."""
    argv = ["ip", *(["-n", ns] if ns else []), "-batch", "-"]
    done = subprocess.run(argv, input="\n".join(lines), text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{argv} {lines}: {done.stderr}"


class Namespace:
    """A network namespace, and a thread that lives in it: a socket stays where it was made."""

    def __init__(self, name):
        self.name, self.asked = name, queue.SimpleQueue()
        ip(f"netns add {name}")
        ip("link set lo up", ns=name)
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def _live(self):
        with open(f"/run/netns/{self.name}", "rb") as ns:
            failed = ctypes.CDLL(None, use_errno=True).setns(ns.fileno(), 0) != 0
        while (job := self.asked.get()) is not None:
            family, kind, answer = job
            try:
                if failed:
                    raise OSError("setns")
                answer.put(socket.socket(family, kind))
            except OSError as e:
                answer.put(e)

    def socket(self, family, kind=socket.SOCK_STREAM):
        answer = queue.SimpleQueue()
        self.asked.put((family, kind, answer))
        made = answer.get()
        if isinstance(made, OSError):
            raise made
        return made

    def command(self, argv):
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *map(str, argv)]

    def close(self):
        self.asked.put(None)
        self.thread.join()
        ip(f"netns del {self.name}")


class AfPacket:
    """net_af_packet on a veth pair: any kernel, any veth."""

    name = "dpdk-af_packet"
    prefix = "sp"  # of interface and namespace names: one a backend that lives beside another
    most_workers = 8
    # What an edge that is not root must be given: its sockets, promiscuous mode, and rings of locked memory.
    capabilities = "net_raw,+net_admin,+ipc_lock"
    eal = ["--no-pci", "--no-huge", "-m", "512", "--in-memory"]

    def setup(self, work):
        if os.getuid() != 0:
            pytest.skip("a network namespace needs root")
        self.made = 0
        self.ns = Namespace(f"{self.prefix}ate{os.getpid()}")

    def teardown(self):
        self.ns.close()

    def place(self, port):
        self.made += 1
        return self.Place(self, port, self.made)

    class Place:
        kernel_accepts = False
        # DPDK 22.11 names the group by process and interface, exclusive-or: two edges at once may have the same name.
        may_miss = b"net_af_packet0: could not set PACKET_F"

        def __init__(self, backend, port, number):
            self.backend, self.ns, self.port = backend, backend.ns, port
            a, b = number >> 8, number & 255
            self.hosts = {4: f"10.{64 + a}.{b}.1", 6: f"fd00:{a:x}:{b:x}::1"}
            self.clients = {4: f"10.{64 + a}.{b}.2", 6: f"fd00:{a:x}:{b:x}::2"}
            self.iface, self.peer = (f"{backend.prefix}{os.getpid()}{end}{number}" for end in "ec")
            self.capabilities = backend.capabilities
            self.link()

        def link(self, queues=1):
            ip(f"link add {self.iface} numrxqueues {queues} numtxqueues {queues} type veth "
               f"peer name {self.peer} numrxqueues {queues} numtxqueues {queues} netns {self.ns.name}")
            for family, key, value in (("ipv6", "disable_ipv6", "1"), ("ipv4", "forwarding", "0")):
                pathlib.Path(f"/proc/sys/net/{family}/conf/{self.iface}/{key}").write_text(value, encoding="ascii")
            ip(f"link set {self.iface} up")
            # What leaves a veth with its offloads on has no checksums and is 64 KiB long: no wire carries that.
            subprocess.run(self.command(["ethtool", "-K", self.peer, "tx", "off", "tso", "off", "gso", "off"]),
                           check=True, capture_output=True)
            self.client_end()

        def client_end(self):
            ip(f"addr add {self.clients[4]}/24 dev {self.peer}",
               f"addr add {self.clients[6]}/64 dev {self.peer} nodad",
               f"link set {self.peer} up", ns=self.ns.name)

        def started(self):
            """The edge is ready."""

        def close(self):
            with contextlib.suppress(AssertionError):
                ip(f"link del {self.iface}")

        def vdev(self, workers):
            return f"net_af_packet0,iface={self.iface},framecnt=4096,qdisc_bypass=1,qpairs={workers}"

        def config(self, workers):
            return {"backend": "dpdk", "listen": [f"0.0.0.0:{self.port}", f"[::]:{self.port}"],
                    "dpdk": {"eal": [*self.backend.eal, f"--vdev={self.vdev(workers)}"], "idle": "adaptive",
                             "ports": [{"addresses": [f"{self.hosts[4]}/24", f"{self.hosts[6]}/64"]}]}}

        def argv(self, file):
            file.write_text(yaml.safe_dump({"dpdk": self.config(1)["dpdk"]}), encoding="ascii")
            return ["--config", file, "--backend", "dpdk", "--listen", f"0.0.0.0:{self.port}"]

        def command(self, argv):
            return self.ns.command(argv)

        def socket(self, family=4, kind=socket.SOCK_STREAM):
            return self.ns.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind)


class Tap(AfPacket):
    """net_tap: the device makes its own interface, which moves to the clients once it is there."""

    name = "dpdk-tap"
    prefix = "st"  # its own: an interface that a case on af_packet has left behind is not in the way
    capabilities = "net_admin,+ipc_lock"

    class Place(AfPacket.Place):
        # Once in some hundred starts DPDK 22.11 has no net_tap and says nothing about it: the edge ends, and is started again.
        may_miss = b"DPDK found 0 devices"

        def link(self, queues=1):
            self.peer = self.iface

        def vdev(self, workers):
            return f"net_tap0,iface={self.iface}"

        def started(self):
            ip(f"link set {self.iface} netns {self.ns.name} txqueuelen 10000")
            self.client_end()

        def close(self):
            """It has gone with the edge."""


class AfXdp(AfPacket):
    """
    net_af_xdp in copy mode on a veth pair. Its memory has to be huge pages: 1,600 MiB are set aside and given back, for
    an edge with the default cache and one with a small one, 256 MiB for DPDK each, and some. One worker only: it asks ethtool for combined
    channels, which a veth does not have.
    """

    name = "dpdk-af_xdp"
    most_workers = 1
    capabilities = "net_raw,+net_admin,+bpf,+perfmon,+sys_admin,+ipc_lock"
    eal = ["--no-pci", "-m", "256", "--in-memory"]
    WANTED = 800

    def setup(self, work):
        super().setup(work)
        self.added = huge_pages(self.WANTED)
        if self.added < self.WANTED:
            self.teardown()
            pytest.skip("no huge pages are to be had")

    def teardown(self):
        huge_pages(-self.added)
        super().teardown()

    class Place(AfPacket.Place):
        def vdev(self, workers):
            return f"net_af_xdp0,iface={self.iface},queue_count={workers}"

        def close(self):
            # A program that stays turns the peer's offloads off for whoever has the interface next.
            with contextlib.suppress(AssertionError):
                ip(f"link set dev {self.iface} xdp off")
            super().close()
