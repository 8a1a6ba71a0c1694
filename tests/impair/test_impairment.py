"""
Spate's TCP on DPDK against the Linux kernel's, over a wire with every fault that tests/lib/wire.py lists: loss, bursts,
reordering, duplication, corruption, delay and rates; in the data's way, the ACKs' way, and both. Objects of 10 MiB must
arrive as they are, 100 and more in each way of trouble, over IPv4 and IPv6 in turn, many wires at a time.

How fast they are is another question, and the host's noise is no proof: `./dev bench impair`.
"""
import concurrent.futures
import hashlib
import itertools
import math
import os
import pathlib
import random
import sys
import tempfile

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "lib"))
import wire  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SPATE_BUILD", TESTS.parent / "build")).resolve()
SIZE = 10 << 20
WIRES = 12  # at a time


def transfers(case):
    """How many, for 100 in the case's way."""
    return math.ceil(100 / sum(c.way == case.way for c in wire.CASES))


def run(case, folder, work):
    """What went over one wire: [Fetched], Spate's counters, the link's."""
    got, n, family = [], transfers(case), itertools.cycle((4, 6))
    w = wire.Wire(BUILD / "tests/lib/link", work, case.faults, seed=len(case.name), families=(4, 6))
    try:
        server = wire.SpateServer(BUILD / "spate", work, w, folder)
        try:
            for _ in range(n if case.alone else math.ceil(n / 4)):
                clients = [server.client("/object", next(family)) for _ in range(1 if case.alone else min(4, n - len(got)))]
                got += [server.finished(c) for c in clients]
            counts = server.edge.metrics()
        finally:
            server.stop()
    finally:
        link = w.close()
    return got, counts, link


@pytest.fixture(scope="module")
def results():
    """Every case's future; they run at the same time, the longest first."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces and TAPs need root")
    with tempfile.TemporaryDirectory(prefix="spate-impair-") as tmp:
        work = pathlib.Path(tmp)
        work.chmod(0o755)
        folder = work / "www"
        folder.mkdir()
        data = random.Random(1).randbytes(SIZE)
        (folder / "object").write_bytes(data)
        slow_first = sorted(wire.CASES, key=lambda c: -c.weight)
        with concurrent.futures.ThreadPoolExecutor(WIRES) as pool:
            yield hashlib.sha256(data).hexdigest(), {c.name: pool.submit(run, c, folder, work) for c in slow_first}


@pytest.mark.parametrize("case", wire.CASES, ids=lambda c: c.name.replace(" ", "_").replace("%", ""))
def test_objects_arrive(case, results):
    want, futures = results
    got, counts, link = futures[case.name].result()
    assert len(got) == transfers(case)
    assert all(f.sha256 == want for f in got), "other bytes"
    there, back = link["ab"], link["ba"]
    # The faults were there.
    for option, counter in (("loss", "lost"), ("burst", "lost"), ("dup", "duplicated"), ("reorder", "reordered")):
        for way, d in (("@ab", there), ("@ba", back)):
            if f"--{option}{way}" in case.faults or f"--{option}" in case.faults:
                assert d[counter] > 0, f"{option}{way} did nothing"
    # What was lost was sent again, and not much else: reordering may fool us, but we learn.
    lost = there["lost"] + there["queue_full"] + there["corrupted"]
    assert counts["tcp_rexmit"] <= 2 * lost + 0.05 * counts["tcp_seg_sent"] + 100
    assert counts["tcp_bytes_sent"] >= len(got) * SIZE
