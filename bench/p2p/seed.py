"""
./dev bench seed: bytes a core-second that a seeder brings out by the peer wire, Spate beside libtorrent, in turn.

Both seed the same v1 torrent (256 KiB pieces), pinned to one core; the peers are on the other one:

    leech         over loopback, spate-leech, 8 connections with 128 requests out each: what the seeder can do
    clients       over loopback, two libtorrent clients that download it whole, hashing and all, into memory; plain at once,
                  as libtorrent's first try at Spate, encrypted, costs it a second once (docs/design/p2p.md)
    memif, vhost  Spate's own TCP on DPDK, spate-leech likewise, over such a device (bench/lib/dpdk.py), MTU 1500;
                  libtorrent, which has no DPDK, stands beside it with its figure over loopback of the same run

Over loopback a core-second is user and system time of the seeder while the load ran. A DPDK core spins, so there it is
wall time: the core is full whatever it sends. libtorrent is given its high-performance seed settings and has the file in
the page cache. spate-leech takes only blocks that it asked for; over DPDK it looks at the SHA-1 of every piece once,
untimed, and of one in 64 in the timed runs. Aim: 3 x.

DPDK needs root, two cores and 0.8 GiB of huge pages, which are given back however this ends.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "bench/lib"), str(TOP / "bench/p2p")]
import dpdk  # noqa: E402
import rows  # noqa: E402
from swarm import Content  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SPATE_BUILD", TOP / "build"))
PYTHON = "/usr/bin/python3"  # has Debian's libtorrent
SIZE, PIECE = 128 << 20, 256 << 10
HTTP, ADMIN, WIRE, OTHER = 18081, 19091, 16882, 16883
SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
TICK = os.sysconf("SC_CLK_TCK")
LEECH = [BUILD / "bench/load/spate-leech", "-c", "8", "--depth", "128"]
WIRES = ("memif", "vhost")
CASES = {"leech": "leech", "clients": "libtorrent clients", **{kind: f"leech, DPDK {kind}" for kind in WIRES}}
METRIC = "bytes a core-second"
PAGES = 420

SEED = """
import sys, time, libtorrent as lt
torrent, folder, port = sys.argv[1:]
s = lt.high_performance_seed()
s.update({"listen_interfaces": "127.0.0.1:" + port, "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
          "enable_natpmp": False, "enable_incoming_utp": False, "enable_outgoing_utp": False, "unchoke_slots_limit": -1,
          "allow_multiple_connections_per_ip": True, "alert_mask": 0})
session = lt.session(s)
p = lt.add_torrent_params()
p.ti = lt.torrent_info(torrent)
p.trackers, p.url_seeds = [], []
p.flags = lt.torrent_flags.seed_mode | lt.torrent_flags.override_trackers | lt.torrent_flags.override_web_seeds
p.save_path = folder
session.add_torrent(p)
print("READY", flush=True)
while True:
    time.sleep(10)
"""
TAKE = """
import sys, time, tempfile, libtorrent as lt
torrent, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
handles = []
for i in range(n):
    session = lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False,
                          "enable_upnp": False, "enable_natpmp": False, "enable_incoming_utp": False,
                          "enable_outgoing_utp": False, "allow_multiple_connections_per_ip": True, "out_enc_policy": 2,
                          "alert_mask": 0})
    p = lt.add_torrent_params()
    p.ti = lt.torrent_info(torrent)
    p.trackers, p.url_seeds = [], []
    p.flags = lt.torrent_flags.override_trackers | lt.torrent_flags.override_web_seeds
    p.save_path = tempfile.mkdtemp(dir=sys.argv[4])
    h = session.add_torrent(p)
    h.connect_peer(("127.0.0.1", port))
    handles.append((session, h))
end = time.time() + 60
while time.time() < end and not all(h.status().is_seeding for _, h in handles):
    time.sleep(0.05)
if not all(h.status().is_seeding for _, h in handles):
    sys.exit("not all has come within a minute")
print(sum(h.status().total_payload_download for _, h in handles))
"""


def cpu(pid):
    f = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / TICK


def pinned(core, argv, out, err=None):
    return dpdk.start(["taskset", "-c", str(core), *argv], out, err)


def taken(argv, limit):
    """What a client on the other core says."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        p = pinned(1, argv, out, err)
        try:
            code = p.wait(limit)
        finally:
            dpdk.end(p)
        out.seek(0)
        err.seek(0)
        if code != 0:
            raise RuntimeError(f"{pathlib.Path(argv[0]).name}: {err.read().decode(errors='replace')[-300:]}")
        return json.loads(out.read())


class Spate:
    def __init__(self, work, content):
        conf = {"workers": 1, "listen": [f"127.0.0.1:{HTTP}"], "admin": f"127.0.0.1:{ADMIN}",
                "cache": {"memory": "512MiB"}, "log": {"access": "off"},
                "origins": [{"match": "/", "dir": str(content.folder)}],
                "p2p": {"listen": [f"127.0.0.1:{WIRE}"], "url": f"http://127.0.0.1:{HTTP}", "piece": PIECE}}
        (work / "spate.yaml").write_text(json.dumps(conf))
        self.port = WIRE
        self.p = pinned(0, [BUILD / "spate", "run", "--config", work / "spate.yaml"],
                        open(work / "spate.log", "wb"))
        self.torrent = work / "v.torrent"
        for _ in range(200):
            r = subprocess.run(["curl", "-s", "-o", self.torrent, "-w", "%{http_code}", f"http://127.0.0.1:{HTTP}/v.torrent"],
                               capture_output=True, text=True, check=False)
            if r.stdout == "200":
                return
            time.sleep(0.1)
        self.end()
        raise SystemExit(f"no torrent from Spate: {(work / 'spate.log').read_text()[-500:]}")

    def end(self):
        dpdk.end(self.p)


class Libtorrent:
    def __init__(self, work, torrent, name, content):
        folder = work / "seed"
        folder.mkdir(exist_ok=True)
        if not (folder / name).exists():
            os.link(content.whole, folder / name)
        self.port = OTHER
        self.p = pinned(0, [PYTHON, "-c", SEED, torrent, folder, OTHER], subprocess.PIPE, subprocess.DEVNULL)
        assert self.p.stdout.readline() == b"READY\n"
        time.sleep(1)

    def end(self):
        self.p.kill()
        self.p.wait()


def name_of(torrent):
    said = subprocess.run([PYTHON, "-c", "import sys, libtorrent as lt; print(lt.torrent_info(sys.argv[1]).name())", torrent],
                          check=True, capture_output=True, text=True)
    return said.stdout.strip()


def leech(seeder, torrent, seconds):
    return taken([*LEECH, "-d", seconds, torrent, f"127.0.0.1:{seeder.port}"], 60)["bytes"]


def clients(seeder, torrent, _):
    with tempfile.TemporaryDirectory(dir=torrent.parent) as folder:
        return taken([PYTHON, "-c", TAKE, torrent, seeder.port, 2, folder], 90)


def over_loopback(r, case, load, who, seeder, torrent, seconds):
    before, begin = cpu(seeder.p.pid), time.monotonic()
    got = load(seeder, torrent, seconds)
    used, took = cpu(seeder.p.pid) - before, time.monotonic() - begin
    r.sample(case, METRIC, got / max(used, 1 / TICK) / 1e9, "GB/s", peer=who)
    r.sample(case, "rate", got / took / 1e9, "GB/s", peer=who)


def over_dpdk(r, case, kind, work, content, seconds, first):
    folder = work / "dpdk"
    folder.mkdir(exist_ok=True)
    near, far = dpdk.vdevs(kind, folder / "wire.sock")
    argv = [*LEECH, *dpdk.client(far)]
    what = [f"http://{dpdk.EDGE}/v.torrent", f"{dpdk.EDGE}:6881"]
    with dpdk.huge_pages(PAGES, folder) as enough:
        if not enough:
            raise RuntimeError(f"{PAGES} huge pages of 2 MiB cannot be had")
        with dpdk.edge(BUILD / "spate", folder, near, cache={"memory": "256MiB"}, timeouts={"drain": "1s"},
                       origins=[{"match": "/", "dir": str(content.folder)}],
                       p2p={"listen": [f"{dpdk.EDGE}:6881"], "url": f"http://{dpdk.EDGE}", "piece": PIECE}):
            if first:
                got = taken([*argv, "-c", "1", "--once", "--verify", *what], 60)
                r.add(case, "pieces verified, not timed", got["verified"], "", wrong=got["wrong"])
            got = taken([*argv, "-d", seconds, "--warmup", "1", "--verify=64", *what], 60)
    rate = got["bytes"] / got["seconds"]
    r.sample(case, METRIC, rate / 1e9, "GB/s", peer=rows.US)
    r.sample(case, "payload", rate * 8 / 1e9, "Gbit/s", peer=rows.US)
    r.sample(case, "generator busy", 100 * got["busy"], "% core", peer=rows.US)


def beside_loopback(r, case):
    """libtorrent's rounds over loopback, in the case of a device that it cannot have."""
    other = r.find(CASES["leech"], METRIC).get("libtorrent")
    for value in other["rounds"] if other else ():
        r.sample(case, METRIC, value, "GB/s", peer="libtorrent", note="over loopback, in the same rounds")


def measure(r, args, arms, work, content, seeders, torrent):
    for turn, names in rows.interleaved(arms, args.rounds):
        for arm in names:
            case = CASES[arm]
            try:
                if arm in WIRES:
                    over_dpdk(r, case, arm, work, content, args.seconds, turn == 0)
                    continue
                for who in list(seeders)[::1 if turn % 2 == 0 else -1]:
                    over_loopback(r, case, leech if arm == "leech" else clients, who, seeders[who], torrent, args.seconds)
            except (RuntimeError, OSError, ValueError, subprocess.TimeoutExpired) as e:
                r.failed(case, METRIC, "GB/s", rows.US if arm in WIRES else who, e)


def stop(*_):
    raise SystemExit("bench seed: ended")


def main():
    p = rows.arguments(__doc__, rounds=3, seconds=2)
    p.add_argument("--arms", default=",".join(CASES), help=f"of {','.join(CASES)} (all)")
    args = p.parse_args()
    arms = args.arms.split(",")
    r = rows.Rows("seed", args.json)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, stop)
    for arm in [a for a in arms if a in WIRES and dpdk.why_not()]:
        r.failed(CASES[arm], METRIC, "GB/s", rows.US, dpdk.why_not())
        arms.remove(arm)
    work = pathlib.Path(tempfile.mkdtemp(prefix="spate-seed-", dir=SHM))
    with dpdk.huge_pages(0, work):
        content = Content(work, SIZE)
        seeders = {}
        try:
            spate = seeders["spate"] = Spate(work, content)
            seeders["libtorrent"] = Libtorrent(work, spate.torrent, name_of(spate.torrent), content)
            for s in seeders.values():
                leech(s, spate.torrent, 0.5)
            measure(r, args, arms, work, content, seeders, spate.torrent)
        finally:
            for s in seeders.values():
                s.end()
    for arm in arms:
        if arm in WIRES:
            beside_loopback(r, CASES[arm])
        r.ratio(CASES[arm], METRIC, aim=3.0)
    r.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
