"""
Several test runs beside each other on one machine.

    own_network()          before any thread starts: a network namespace for this run and all it starts. Its ports,
                           interfaces and fanout groups are then nobody else's
    allow_congestion(name) every process of this machine, in any network namespace, may choose that congestion control
    mine(items, "2/3")     what of a list the second of three runs takes; together they take all of it once
    Deadline(seconds, f)   f() in the main thread once so much time has passed, not counting time in which the process
                           was stopped: a measurement elsewhere may hold everybody up for minutes
    huge_pages(n)          n more (fewer when negative) in the machine's pool; how many it became
"""
import ctypes
import fcntl
import pathlib
import signal
import subprocess
import tempfile

CLONE_NEWNET = 0x40000000


def allow_congestion(name):
    """
    A kernel whose default is another one keeps the rest for root in the first namespace: no namespace can then have
    it as its default. Only the first namespace has this switch, so call before leaving it; elsewhere nothing happens.
    """
    allowed = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
    try:
        names = allowed.read_text(encoding="ascii").split()
        if name not in names:
            allowed.write_text(" ".join([*names, name]), encoding="ascii")
    except OSError:
        pass


def own_network():
    """False, and nothing has changed, without the right to."""
    allow_congestion("cubic")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return True


def mine(items, lane, cost=lambda item: 1):
    """Dearest first, each to the run that has least so far; the order within a run stays."""
    at, of = map(int, lane.split("/"))
    assert 1 <= at <= of, lane
    sums, chosen = [0.0] * of, set()
    for item in sorted(items, key=cost, reverse=True):
        least = sums.index(min(sums))
        sums[least] += cost(item)
        if least == at - 1:
            chosen.add(item)
    return [item for item in items if item in chosen]


class Deadline:
    TICK = 2.0  # a stop, however long, is one tick

    def __init__(self, seconds, over):
        self.left, self.over = seconds, over
        signal.signal(signal.SIGALRM, self._tick)
        signal.setitimer(signal.ITIMER_REAL, self.TICK, self.TICK)

    def _tick(self, *_):
        self.left -= self.TICK
        if self.left <= 0:
            self.end()
            self.over()

    @staticmethod
    def end():
        signal.setitimer(signal.ITIMER_REAL, 0)


PAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")


def huge_pages(more):
    """The pool is the machine's: every run adds and takes away, none sets."""
    with open(pathlib.Path(tempfile.gettempdir()) / "spate-e2e.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = int(PAGES.read_text())
        PAGES.write_text(str(max(0, before + more)))
        return int(PAGES.read_text()) - before
