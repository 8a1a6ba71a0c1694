"""
How far apart two cores are: nanoseconds that a cache line takes from one to the other and back (core_trip.c).

    where = cores.Distance(BUILD)
    where.near(patience=5)           waits up to so many seconds for them to share a cache; the last reading, ns
    where.apart(before, after)       was either reading of two that do not share one?

A virtual machine's cores move about on the host. On the machine these benches were written on a trip takes 85 ns or 400 ns,
and stays so for seconds; what two programs pass to each other over shared memory comes at half the rate in the second case.
"""
import subprocess
import time

SHARED_NS = 200  # within one cache: 40 to 120 ns on what is sold today; between two: 250 and more


class Distance:
    def __init__(self, build, a=0, b=1):
        self.argv = [str(build / "bench/dataplane/core-trip"), str(a), str(b)]
        subprocess.run(["ninja", "-C", str(build), "bench/dataplane/core-trip"], check=True, stdout=subprocess.DEVNULL)

    def ns(self):
        return float(subprocess.run(self.argv, capture_output=True, text=True, timeout=20, check=True).stdout)

    def near(self, patience=0.0):
        until = time.monotonic() + patience
        while (ns := self.ns()) >= SHARED_NS and time.monotonic() < until:
            time.sleep(0.3)
        return ns

    @staticmethod
    def apart(before, after):
        return max(before, after) >= SHARED_NS
