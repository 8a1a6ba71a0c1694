"""
./dev bench tracker: UDP announces (BEP 15) that one core answers in a second: Spate's tracker and opentracker, kernel
sockets on loopback, in interleaved rounds of one run. The server has core 0, the load (bench/load/announce.c) core 1.

1000 swarms of about a hundred peers each (the ports of one address), half of them seeds, 50 peers wanted; and one swarm
of 50,000, which is what everybody watches. opentracker gets the infohashes as its whitelist, since Debian builds it so;
Spate is an open tracker with the limit of an address set out of reach, but looked at.

And what an announce costs over our own stack instead of the kernel's, in cycles (bench/dataplane/announce_cost.c).
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench/lib"))
sys.path.insert(0, str(TOP / "tests/lib"))
import rows  # noqa: E402
from net import free_port  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SPATE_BUILD", TOP / "build"))
HASHES = 1000
CASES = {"1000 swarms": ["-h", str(HASHES)], "one swarm": ["-H", "5a" * 20]}
AIM = 1.5
COST = {"1000 swarms": ["1000", "100"], "one swarm": ["1", "50000"]}
AIM_CYCLES = 1500


def infohash(i):
    word = (i * 0x9e3779b97f4a7c15 % (1 << 64)).to_bytes(8, "little")
    return (word + word + bytes(4)).hex()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(argv, log):
    with open(log, "wb") as out:
        p = subprocess.Popen(["taskset", "-c", "0", *map(str, argv)], stdout=out, stderr=out)
    try:
        time.sleep(1.0)
        if p.poll() is not None:
            raise RuntimeError(f"{argv[0]} ended at once: {pathlib.Path(log).read_text(errors='replace')[-300:]}")
        yield p.pid
    finally:
        p.terminate()
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def spate(folder, port):
    file = folder / "spate.yaml"
    (folder / "origin").mkdir(exist_ok=True)
    file.write_text(json.dumps({
        "workers": 1, "listen": [f"127.0.0.1:{free_port()}"], "cache": {"memory": "64MiB"}, "log": {"access": "off"},
        "origins": [{"match": "/", "dir": str(folder / "origin")}],
        "p2p": {"tracker": [f"127.0.0.1:{port}"], "swarms": "open", "announces": 1000000000, "interval": "1h"}}))
    return [BUILD / "spate", "run", "--config", file]


def opentracker(folder, port):
    (folder / "whitelist").write_text("".join(infohash(i) + "\n" for i in range(HASHES)) + "5a" * 20 + "\n")
    return ["opentracker", "-i", "127.0.0.1", "-p", port, "-P", port, "-d", folder, "-u", "nobody", "-w", "whitelist"]


SERVERS = {"spate": spate, "opentracker": opentracker}


def measure(load, name, case, seconds, folder, a):
    port = free_port()
    with server(SERVERS[name](folder, port), folder / f"{name}.log") as pid:
        def once(t):
            out = subprocess.run(["taskset", "-c", "1", load, "127.0.0.1", str(port), "-s", str(t), "-f", str(a.flows),
                                  "-w", str(a.window), *CASES[case]], capture_output=True, text=True, check=False)
            if out.returncode != 0:
                raise RuntimeError(out.stderr.strip() or f"announce left with {out.returncode}")
            return json.loads(out.stdout)

        once(a.warm)  # swarms fill
        before = cpu_seconds(pid)
        got = once(seconds)
        got["server_cpu"] = cpu_seconds(pid) - before
    if got["errors"] > got["answers"] // 100:
        raise RuntimeError(f"{got['errors']} answers were no announces")
    return got


def main():
    p = rows.arguments(__doc__, rounds=5, seconds=2)
    p.add_argument("--flows", type=int, default=16, help="sockets of the load (16)")
    p.add_argument("--window", type=int, default=16, help="questions under way on each (16)")
    p.add_argument("--warm", type=float, default=1, help="seconds before each measurement (1)")
    p.add_argument("--load", type=pathlib.Path, help="the load program; else it is built")
    a = p.parse_args()
    load = a.load
    if load is None:
        subprocess.run(["ninja", "-C", BUILD, "bench/load/announce"], check=True, stdout=subprocess.DEVNULL)
        load = BUILD / "bench/load/announce"
    r = rows.Rows("tracker")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-tracker-"))
    folder.chmod(0o755)
    try:
        for _, names in rows.interleaved(list(SERVERS), a.rounds):
            for name in names:
                for case in CASES:
                    try:
                        got = measure(load, name, case, a.seconds, folder, a)
                    except (RuntimeError, OSError) as e:
                        r.failed(case, "rate", "req/s", name, e)
                        continue
                    r.sample(case, "rate", got["per_second"], "req/s", peer=name)
                    r.sample(case, "per core-second", got["answers"] / max(got["server_cpu"], 0.01), "req/s", peer=name)
                    r.sample(case, "peers", got["peers"], "x", peer=name)
                    r.sample(case, "lost", got["lost"], "", peer=name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cost = BUILD / "bench/dataplane/announce-cost"
    subprocess.run(["ninja", "-C", BUILD, "bench/dataplane/announce-cost"], check=True, stdout=subprocess.DEVNULL)
    for case, args in COST.items():
        for _ in range(a.rounds):
            out = subprocess.run(["taskset", "-c", "0", cost, *args], capture_output=True, text=True, check=True).stdout
            r.sample(f"own stack, {case}", "cost", json.loads(out)["cycles"], "cycles", AIM_CYCLES, "spate")
    for case in CASES:
        r.ratio(case, "rate", aim=AIM)
        r.ratio(case, "per core-second")
    r.finish(a.json)


main()
