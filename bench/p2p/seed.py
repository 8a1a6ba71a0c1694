"""
./dev bench seed: bytes a core-second that a seeder brings out by the peer wire, Spate beside libtorrent, in turn.

Both seed the same v1 torrent (256 KiB pieces) over loopback, pinned to one core; the peers are on the other one:

    leech       spate-leech, 8 connections with 128 requests out each: what the seeder can do
    libtorrent  two libtorrent clients that download it whole, hashing and all, into memory

A row is bytes / (user + system seconds of the seeder) while the load ran. libtorrent is given its high-performance seed
settings and has the file in the page cache. Aim: 3 x.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "bench/lib"), str(TOP / "bench/p2p")]
import rows  # noqa: E402
from swarm import Content  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SPATE_BUILD", TOP / "build"))
PYTHON = "/usr/bin/python3"  # has Debian's libtorrent
SIZE, PIECE = 128 << 20, 256 << 10
HTTP, ADMIN, WIRE, OTHER = 18081, 19091, 16882, 16883
TICK = os.sysconf("SC_CLK_TCK")

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
                          "enable_outgoing_utp": False, "allow_multiple_connections_per_ip": True, "alert_mask": 0})
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
print(sum(h.status().total_payload_download for _, h in handles))
"""


def cpu(pid):
    f = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / TICK


def pinned(core, argv, **more):
    return subprocess.Popen(["taskset", "-c", str(core), *map(str, argv)], **more)


class Spate:
    def __init__(self, work, content):
        conf = {"workers": 1, "listen": [f"127.0.0.1:{HTTP}"], "admin": f"127.0.0.1:{ADMIN}",
                "cache": {"memory": "512MiB"}, "log": {"access": "off"},
                "origins": [{"match": "/", "dir": str(content.folder)}],
                "p2p": {"listen": [f"127.0.0.1:{WIRE}"], "url": f"http://127.0.0.1:{HTTP}", "piece": PIECE}}
        (work / "spate.yaml").write_text(json.dumps(conf))
        self.port = WIRE
        self.p = pinned(0, [BUILD / "spate", "run", "--config", work / "spate.yaml"],
                        stderr=open(work / "spate.log", "wb"))
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
        self.p.terminate()
        self.p.wait()


class Libtorrent:
    def __init__(self, work, torrent, name, content):
        folder = work / "seed"
        folder.mkdir(exist_ok=True)
        if not (folder / name).exists():
            os.link(content.whole, folder / name)
        self.port = OTHER
        self.p = pinned(0, [PYTHON, "-c", SEED, torrent, folder, OTHER], stdout=subprocess.PIPE)
        assert self.p.stdout.readline() == b"READY\n"
        time.sleep(1)

    def end(self):
        self.p.kill()
        self.p.wait()


def info_of(torrent):
    """Infohash and name, out of the file's bytes: info is the only dictionary with `pieces`."""
    said = subprocess.run([PYTHON, "-c", "import sys, libtorrent as lt; t = lt.torrent_info(sys.argv[1]); "
                           "print(t.info_hashes().v1, t.name())", torrent], check=True, capture_output=True, text=True)
    return said.stdout.split()


def leech(seeder, infohash, work, seconds):
    before, begin = cpu(seeder.p.pid), time.monotonic()
    out = subprocess.run(["taskset", "-c", "1", BUILD / "bench/load/spate-leech", "127.0.0.1", str(seeder.port), infohash,
                          str(SIZE), str(PIECE), "8", str(seconds)], check=True, capture_output=True, text=True).stdout
    return json.loads(out)["bytes"], cpu(seeder.p.pid) - before, time.monotonic() - begin


def clients(seeder, torrent, work):
    before, begin = cpu(seeder.p.pid), time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as shm:
        out = subprocess.run(["taskset", "-c", "1", PYTHON, "-c", TAKE, str(torrent), str(seeder.port), "2", shm],
                             check=True, capture_output=True, text=True).stdout
        return int(out), cpu(seeder.p.pid) - before, time.monotonic() - begin


def main():
    p = rows.arguments(__doc__, rounds=3, seconds=2)
    p.add_argument("--clients", action="store_true", help="libtorrent clients as the load too")
    args = p.parse_args()
    r = rows.Rows("seed")
    cases = ["leech", *(["libtorrent clients"] if args.clients else [])]
    with tempfile.TemporaryDirectory(prefix="spate-seed-") as folder:
        work = pathlib.Path(folder)
        content = Content(work, SIZE)
        spate = Spate(work, content)
        infohash, name = info_of(spate.torrent)
        other = Libtorrent(work, spate.torrent, name, content)
        seeders = {"spate": spate, "libtorrent": other}
        try:
            for s in seeders.values():
                leech(s, infohash, work, 0.5)
            for _, names in rows.interleaved(list(seeders), args.rounds):
                for who in names:
                    for case in cases:
                        got, used, took = leech(seeders[who], infohash, work, args.seconds) if case == "leech" else \
                            clients(seeders[who], spate.torrent, work)
                        r.sample(case, "bytes a core-second", got / max(used, 1 / TICK) / 1e9, "GB/s", peer=who)
                        r.sample(case, "rate", got / took / 1e9, "GB/s", peer=who)
            for case in cases:
                r.ratio(case, "bytes a core-second", aim=3.0)
        finally:
            spate.end()
            other.end()
    r.finish(args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
