"""
./dev bench swarm: does what N peers take from the edge grow with N, or does every peer bring capacity with him?

N viewers fetch one file at the same moment, each in a network namespace behind a bridge, the edge in one of its own;
`tbf` holds every uplink and downlink. The arms:

    client-server  curl from Spate: what there is without peers
    spate          Spate seeds by the peer wire and tracks
    control        a libtorrent seed and opentracker instead
    webseed        Spate tracks and serves by web seed only (BEP 19): the peer wire of the edge is off

D is the time until the last one has everything. Beside it the fluid model (Kumar and Ross, 2006), with goodput = link
rate x 0.95:

    D_cs = max(N F / us, F / d)        D_p2p = max(F / us, F / d, N F / (us + N u))

eta = D_model / D, edge copies = bytes out of the edge / F, offload = 1 - bytes out / (N F). Results go to --json, and
docs/p2p-swarm.json and .svg with --publish. It takes long (client-server at N = 16 is seven minutes) and little CPU.
"""
import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench/lib"))
import rows as rowlib  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SPATE_BUILD", TOP / "build"))
ARMS = ("client-server", "spate", "control", "webseed")
GOODPUT = 0.95
EDGE, NET = "10.77.0.1", "10.77.0"
MBIT = 1e6
AIM_ETA, AIM_GROWTH, AIM_CONTROL, AIM_OFFLOAD = 0.8, 2.0, 1.05, 0.85


def ip(*args, ns=None):
    argv = ["ip", *(["-n", ns] if ns else []), *args]
    subprocess.run(argv, check=True, capture_output=True)


def inside(ns, argv):
    return ["ip", "netns", "exec", ns, *map(str, argv)]


class Net:
    """A bridge, the edge and n peers, each end of each cable with its own rate."""

    def __init__(self, peers, us, u, d):
        self.tag = f"sw{os.getpid() % 100000}"
        self.hub, self.edge = f"{self.tag}h", f"{self.tag}e"
        self.peers = [f"{self.tag}p{i}" for i in range(peers)]
        self.made = []
        try:
            self._ns(self.hub)
            ip("link", "add", "br0", "type", "bridge", ns=self.hub)
            ip("link", "set", "br0", "up", ns=self.hub)
            self._cable(self.edge, EDGE, us, 1000)
            for i, ns in enumerate(self.peers):
                self._cable(ns, f"{NET}.{i + 10}", u, d)
        except BaseException:
            self.close()
            raise

    def _ns(self, name):
        ip("netns", "add", name)
        self.made.append(name)
        ip("link", "set", "lo", "up", ns=name)

    def _cable(self, ns, addr, up, down):
        self._ns(ns)
        port = "port" + ns[len(self.tag):]
        ip("link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", self.hub, ns=ns)
        ip("addr", "add", f"{addr}/24", "dev", "eth0", ns=ns)
        ip("link", "set", "eth0", "up", ns=ns)
        ip("link", "set", port, "up", "master", "br0", ns=self.hub)
        for where, dev, rate in ((ns, "eth0", up), (self.hub, port, down)):
            subprocess.run(inside(where, ["ethtool", "-K", dev, "tso", "off", "gso", "off", "gro", "off"]),
                           check=True, capture_output=True)
            subprocess.run(["tc", "-n", where, "qdisc", "add", "dev", dev, "root", "tbf", "rate", f"{rate}mbit",
                            "burst", "32kb", "latency", "100ms"], check=True, capture_output=True)

    def edge_sent(self):
        out = subprocess.run(["ip", "-n", self.edge, "-j", "-s", "link", "show", "eth0"], check=True,
                             capture_output=True).stdout
        return json.loads(out)[0]["stats64"]["tx"]["bytes"]

    def close(self):
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Proc:
    """A program in a namespace; lines of JSON from it."""

    def __init__(self, ns, argv, log, **more):
        self.log = open(log, "ab")
        self.p = subprocess.Popen(inside(ns, argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                  text=True, **more)

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def hear(self, key, limit):
        end = time.monotonic() + limit
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no {key} within {limit:.0f} s")
            signal.setitimer(signal.ITIMER_REAL, left)
            line = self.p.stdout.readline()
            signal.setitimer(signal.ITIMER_REAL, 0)
            if not line:
                raise RuntimeError(f"ended early, see {self.log.name}")
            said = json.loads(line)
            if key in said:
                return said

    def end(self, seconds=5):
        if self.p.poll() is None:
            self.p.terminate()
            try:
                self.p.wait(seconds)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        self.log.close()


class Content:
    """A representation of `size` random bytes: a manifest, an init segment, segments of 1 MiB; and all of it in one."""

    def __init__(self, folder, size):
        self.folder, self.size = folder / "origin", size
        self.folder.mkdir()
        rng = random.Random(7)
        init, each = 4096, 1 << 20
        sizes, left, n = [init], size - init, 0
        while left > 0:
            sizes.append(min(each, left))
            left -= sizes[-1]
        digest = hashlib.sha256()
        with open(folder / "whole.bin", "wb") as whole:
            for n, part in enumerate(sizes):
                data = rng.randbytes(part)
                name = "v-init.mp4" if n == 0 else f"v-{n}.m4s"
                (self.folder / name).write_bytes(data)
                whole.write(data)
                digest.update(data)
        os.link(folder / "whole.bin", self.folder / "whole.bin")
        self.whole, self.sha256 = folder / "whole.bin", digest.hexdigest()
        seconds = 2 * (len(sizes) - 1)
        (self.folder / "stream.mpd").write_text(f"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="urn:mpeg:dash:profile:isoff-live:2011"
 mediaPresentationDuration="PT{seconds}S" minBufferTime="PT2S">
 <Period><AdaptationSet contentType="video" mimeType="video/mp4" segmentAlignment="true">
  <SegmentTemplate initialization="$RepresentationID$-init.mp4" media="$RepresentationID$-$Number$.m4s" duration="2"
   timescale="1" startNumber="1"/>
  <Representation id="v" bandwidth="{size * 8 // seconds}" codecs="avc1.640028" width="1280" height="720"/>
 </AdaptationSet></Period>
</MPD>
""")


def get(ns, url, out, limit=60):
    """One GET from inside a namespace, again while it is 503. The status."""
    end = time.monotonic() + limit
    while True:
        r = subprocess.run(inside(ns, ["curl", "-s", "-m", "60", "-o", out, "-w", "%{http_code}", url]), check=False,
                           capture_output=True, text=True)
        if r.stdout != "503" or time.monotonic() > end:
            return r.stdout
        time.sleep(0.5)


class SpateEdge:
    def __init__(self, net, work, content, piece, seed=True):
        conf = {"workers": 1, "listen": ["0.0.0.0:8080"], "admin": "127.0.0.1:9090",
                "cache": {"memory": "512MiB"}, "log": {"access": "off"},
                "origins": [{"match": "/", "dir": str(content.folder)}],
                "p2p": {"tracker": ["0.0.0.0:6969"], "url": f"http://{EDGE}:8080", "piece": piece, "interval": "5s"}}
        # The same congestion control for everybody: the others take what the kernel gives them.
        kernel = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text(encoding="ascii").strip()
        conf["tcp"] = {"congestion": "bbr" if kernel == "bbr" else "cubic"}
        if seed:
            conf["p2p"]["listen"] = ["0.0.0.0:6881"]
        file = work / "spate.yaml"
        file.write_text(json.dumps(conf))  # which is YAML
        self.net, self.work = net, work
        self.proc = Proc(net.edge, [BUILD / "spate", "run", "--config", file], work / "spate.log")
        try:
            for _ in range(100):
                if get(net.edge, "http://127.0.0.1:9090/healthz", os.devnull) == "200":
                    return
                time.sleep(0.1)
            raise RuntimeError(f"spate does not answer, see {work}/spate.log")
        except BaseException:
            self.end()
            raise

    def torrent(self):
        to = self.work / "v.torrent"
        get(self.net.edge, "http://127.0.0.1:8080/stream.mpd.torrents", os.devnull)
        status = get(self.net.edge, "http://127.0.0.1:8080/v.torrent", to)
        if status != "200":
            raise RuntimeError(f"no torrent from the edge: {status}")
        return to

    def metrics(self):
        to = self.work / "metrics"
        get(self.net.edge, "http://127.0.0.1:9090/metrics", to)
        out = {}
        for line in to.read_text().splitlines():
            if line.startswith("spate_") and "{" not in line:
                name, value = line.split(" ")
                out[name.removeprefix("spate_").removesuffix("_total")] = float(value)
        return out

    def end(self):
        self.proc.end()


class ControlSeed:
    """A libtorrent seed and opentracker, each as they come."""

    def __init__(self, net, work, content, piece):
        import libtorrent as lt
        files = lt.file_storage()
        lt.add_files(files, str(content.whole))
        t = lt.create_torrent(files, int(piece.removesuffix("KiB")) << 10, lt.create_torrent.v1_only)
        t.add_tracker(f"udp://{EDGE}:6969/announce")
        lt.set_piece_hashes(t, str(content.whole.parent))
        made = t.generate()
        self.file = work / "control.torrent"
        self.file.write_bytes(lt.bencode(made))
        allowed = work / "whitelist"
        allowed.write_text(str(lt.torrent_info(str(self.file)).info_hash()) + "\n")
        work.chmod(0o755)
        self.net = net
        self.procs = [Proc(net.edge, ["opentracker", "-i", EDGE, "-p", "6969", "-P", "6969", "-d", work, "-u", "nobody",
                                      "-w", "whitelist"], work / "opentracker.log")]
        try:
            self.procs.append(Proc(net.edge, [sys.executable, TOP / "bench/p2p/peer.py", self.file, content.whole.parent,
                                              "--seed"], work / "seed.log"))
            self.procs[1].hear("ready", 30)
            self.procs[1].tell("go")
            time.sleep(1)
        except BaseException:
            self.end()
            raise

    def torrent(self):
        return self.file

    def end(self):
        for p in self.procs:
            p.end()


def model(n, size, us, u, d):
    """(D_cs, D_p2p) in seconds."""
    f, us, u, d = size * 8, us * MBIT * GOODPUT, u * MBIT * GOODPUT, d * MBIT * GOODPUT
    return max(n * f / us, f / d), max(f / us, f / d, n * f / (us + n * u))


def same(path, content):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() == content.sha256 if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(f.read()).hexdigest() == content.sha256


def client_server(net, work, content, limit, stalls):
    edge = SpateEdge(net, work, content, "64KiB")
    clients = []
    try:
        assert get(net.edge, "http://127.0.0.1:8080/whole.bin", os.devnull) == "200"  # into the cache
        before, still, began = net.edge_sent(), stalls.seconds, time.monotonic()
        clients = [subprocess.Popen(inside(ns, ["curl", "-sf", "-m", str(int(limit)), "-o", work / f"{ns}.bin",
                                                f"http://{EDGE}:8080/whole.bin"])) for ns in net.peers]
        for c in clients:
            if c.wait() != 0:
                raise RuntimeError(f"curl left with {c.returncode}")
        took = time.monotonic() - began
        still = stalls.seconds - still
        assert all(same(work / f"{ns}.bin", content) for ns in net.peers)
        return {"seconds": took - still, "stalled": still, "finished": [took], "edge_bytes": content.size * len(net.peers),
                "edge_wire_bytes": net.edge_sent() - before}
    finally:
        for c in clients:
            if c.poll() is None:
                c.kill()
        edge.end()


def swarm(net, work, content, limit, arm, piece, stalls, trace):
    edge = ControlSeed(net, work, content, piece) if arm == "control" else \
        SpateEdge(net, work, content, piece, seed=arm == "spate")
    peers = []
    try:
        torrent = edge.torrent()
        for ns in net.peers:
            (work / ns).mkdir()
            peers.append(Proc(ns, [sys.executable, TOP / "bench/p2p/peer.py", torrent, work / ns,
                                   *(["--http"] if arm == "webseed" else []), *(["--trace"] if trace else [])], work / f"{ns}.log"))
        for p in peers:
            p.hear("ready", 60)
        counted = edge.metrics() if arm != "control" else {}
        before, still, began = net.edge_sent(), stalls.seconds, time.monotonic()
        for p in peers:
            p.tell("go")
        finished = sorted(p.hear("done", limit)["done"] - began for p in peers)
        wire, still = net.edge_sent() - before, stalls.seconds - still
        said = []
        for p in peers:
            p.tell("stop")
            said.append(p.hear("uploaded", 30))
        for ns in net.peers:
            got, = [f for f in (work / ns).rglob("*") if f.is_file()]
            assert same(got, content), f"{ns}: not the same bytes"
        result = {"seconds": finished[-1] - still, "stalled": still, "finished": finished, "edge_wire_bytes": wire, "peers": said}
        # What peers got and did not get from each other came from the edge: the same sum for every arm.
        result["edge_bytes"] = sum(s["downloaded"] for s in said) - sum(s["uploaded"] for s in said)
        if arm != "control":
            now = edge.metrics()
            result["counters"] = {k: now[k] - counted.get(k, 0) for k in now
                                  if k.startswith(("bt_", "tracker_", "swarm", "http_body")) and now[k]}
        return result
    finally:
        for p in peers:
            p.end()
        edge.end()


class Stalls(threading.Thread):
    """How long all of this did not run: on a machine that others stop or use up, a time says nothing."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seconds, self.over = 0.0, threading.Event()

    def run(self):
        last = time.monotonic()
        while not self.over.wait(0.1):
            now = time.monotonic()
            self.seconds += max(0.0, now - last - 0.6)
            last = now


def run(arm, n, a, content, folder):
    """
    Where the machine stood still, that long is taken off (nothing moves meanwhile but what the kernel has queued), and
    where that is a large part it is done again.
    """
    for _ in range(3):
        stalls = Stalls()
        stalls.start()
        try:
            r = once(arm, n, a, content, folder, stalls)
        finally:
            stalls.over.set()
        if r["stalled"] <= 0.2 * r["seconds"]:
            break
        print(f"  {arm} N={n}: the machine stood still for {r['stalled']:.1f} s: again", file=sys.stderr, flush=True)
    return r


def once(arm, n, a, content, folder, stalls):
    cs, p2p = model(n, a.size, a.us, a.u, a.d)
    expect = cs if arm == "client-server" else p2p
    work = folder / f"{arm}-{n}"
    work.mkdir()
    try:
        with contextlib.closing(Net(n, a.us, a.u, a.d)) as net:
            limit = max(cs * 1.5, expect * 4) + 180
            r = client_server(net, work, content, limit, stalls) if arm == "client-server" else \
                swarm(net, work, content, limit, arm, a.piece, stalls, a.trace)
    finally:
        if not a.keep:
            shutil.rmtree(work, ignore_errors=True)
    r.update(arm=arm, n=n, model=expect, eta=expect / r["seconds"], copies=r["edge_bytes"] / a.size,
             offload=1 - r["edge_bytes"] / (n * a.size))
    print(f"  {arm} N={n}: {r['seconds']:.1f} s (model {expect:.1f}), eta {r['eta']:.2f}, copies {r['copies']:.2f}, "
          f"offload {r['offload']:.2f}, stood still {r['stalled']:.1f} s", file=sys.stderr, flush=True)
    return r


def judge(results, out):
    """Rows, and what was aimed at."""
    at = {(r["arm"], r["n"]): r for r in results}
    for r in results:
        case = f"N={r['n']}"
        for metric, key, unit in (("time", "seconds", "s"), ("model", "model", "s"), ("eta", "eta", ""),
                                  ("edge copies", "copies", ""), ("offload", "offload", "")):
            aim = None
            if r["arm"] == "spate" and key == "eta":
                aim = AIM_ETA
            if r["arm"] == "spate" and key == "offload" and r["n"] == 16:
                aim = AIM_OFFLOAD
            out.add(case, metric, r[key], unit, aim, r["arm"], less=key not in ("eta", "offload"))
    for arm in ARMS:
        if (arm, 2) in at and (arm, 16) in at:
            out.add("D(16)/D(2)", "growth", at[arm, 16]["seconds"] / at[arm, 2]["seconds"], "x",
                    AIM_GROWTH if arm == "spate" else None, arm, less=True)
    for n in sorted({r["n"] for r in results}):
        if ("spate", n) in at and ("control", n) in at:
            out.add(f"N={n}", "time ratio", at["spate", n]["seconds"] / at["control", n]["seconds"], "x", AIM_CONTROL,
                    "control", less=True, of="spate")


def pool(files, setup, results):
    """Runs that were made side by side, each with its own --results: of each arm and N the median one, and all times."""
    runs = {}
    for f in files:
        had = json.loads(f.read_text())
        if had["setup"] != setup:
            raise SystemExit(f"{f} was measured under another setup")
        for r in had["results"]:
            runs.setdefault((r["arm"], r["n"]), []).append(r)
    for key, rs in runs.items():
        rs.sort(key=lambda r: r["seconds"])
        middle = rs[(len(rs) - 1) // 2] | {"runs": [r["seconds"] for r in rs]}
        results = [r for r in results if (r["arm"], r["n"]) != key] + [middle]
    return results


def plot(results, a, svg):
    """Measured points over the model's curves, by gnuplot."""
    top = max(r["n"] for r in results)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with open(folder / "model", "w", encoding="ascii") as f:
            for i in range(10, top * 10 + 1):
                f.write("%g %g %g\n" % (i / 10, *model(i / 10, a.size, a.us, a.u, a.d)))
        lines = [f"'{folder}/model' using 1:2 with lines dt 2 lc rgb '#888888' title 'model, client-server'",
                 f"'{folder}/model' using 1:3 with lines dt 2 lc rgb '#1f77b4' title 'model, peers'"]
        colours = dict(zip(ARMS, ("#555555", "#d62728", "#2ca02c", "#ff7f0e")))
        for arm in ARMS:
            mine = sorted((r["n"], r["seconds"]) for r in results if r["arm"] == arm)
            if mine:
                (folder / arm).write_text("".join(f"{n} {s}\n" for n, s in mine))
                lines.append(f"'{folder}/{arm}' with linespoints pt 7 lw 2 lc rgb '{colours[arm]}' title '{arm}'")
        (folder / "plot").write_text(f"""set terminal svg size 760,460 font 'sans,13' background rgb 'white'
set output '{svg}'
set logscale x 2
set xrange [0.9:{top * 1.15}]
set xtics (1,2,4,8,16,32)
set yrange [0:*]
set key top left
set grid
set xlabel 'viewers at the same moment'
set ylabel 'seconds until the last one has the file'
set title '{a.size >> 20} MiB, edge uplink {a.us:g} Mbit/s, peers {a.u:g} up and {a.d:g} down'
plot {', '.join(lines)}
""")
        subprocess.run(["gnuplot", folder / "plot"], check=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--size", type=float, default=64, help="MiB of the file (64)")
    p.add_argument("--peers", default="1,2,4,8,16", help="numbers of peers (1,2,4,8,16)")
    p.add_argument("--arms", default=",".join(ARMS), help=f"of {', '.join(ARMS)}")
    p.add_argument("--us", type=float, default=20, help="uplink of the edge, Mbit/s (20)")
    p.add_argument("--u", type=float, default=10, help="uplink of a peer (10)")
    p.add_argument("--d", type=float, default=100, help="downlink of a peer (100)")
    p.add_argument("--piece", default="64KiB", help="bytes of a piece (64KiB)")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the rows here too")
    p.add_argument("--results", type=pathlib.Path, metavar="FILE",
                   help="everything measured; results that it has already of other arms or N are kept")
    p.add_argument("--publish", action="store_true", help="the same as --results docs/p2p-swarm.json, and the plot")
    p.add_argument("--pool", type=pathlib.Path, nargs="+", metavar="FILE",
                   help="measure nothing: --results from these, the median run of each arm and N")
    p.add_argument("--plot", type=pathlib.Path, metavar="SVG")
    p.add_argument("--only-report", action="store_true", help="measure nothing: rows and plot of --results")
    p.add_argument("--trace", action="store_true", help="what each peer had and had asked for, each second (in --results)")
    p.add_argument("--keep", action="store_true", help="leave logs and files behind")
    a = p.parse_args()
    a.size = int(a.size * (1 << 20))
    if a.publish:
        a.results = a.results or TOP / "docs/p2p-swarm.json"
        a.plot = a.plot or TOP / "docs/p2p-swarm.svg"
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("the swarm stands still")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    setup = {"size": a.size, "us": a.us, "u": a.u, "d": a.d, "piece": a.piece, "goodput": GOODPUT}
    results = []
    if a.results and a.results.exists():
        old = json.loads(a.results.read_text())
        if old["setup"] == setup:
            results = old["results"]
    out = rowlib.Rows("swarm")
    if a.pool:
        results = pool(a.pool, setup, results)
        if a.results:
            results.sort(key=lambda r: (ARMS.index(r["arm"]), r["n"]))
            a.results.write_text(json.dumps({"setup": setup, "results": results}, indent=1) + "\n")
    elif not a.only_report:
        where = "/dev/shm" if shutil.disk_usage("/dev/shm").free > (4 + 18) * a.size else None
        folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-swarm-", dir=where))
        folder.chmod(0o755)
        try:
            content = Content(folder, a.size)
            for arm in a.arms.split(","):
                for n in map(int, a.peers.split(",")):
                    try:
                        r = run(arm, n, a, content, folder)
                    except (AssertionError, RuntimeError, TimeoutError, OSError) as e:
                        print(f"  {arm} N={n}: FAILED: {e}", file=sys.stderr, flush=True)
                        out.failed(f"N={n}", "time", "s", arm, e)
                        continue
                    results = [x for x in results if (x["arm"], x["n"]) != (arm, n)] + [r]
                    if a.results:
                        tmp = a.results.with_suffix(f".{os.getpid()}")
                        tmp.write_text(json.dumps({"setup": setup, "results": results}, indent=1) + "\n")
                        tmp.replace(a.results)
        finally:
            if a.keep:
                print(f"left: {folder}", file=sys.stderr)
            else:
                shutil.rmtree(folder, ignore_errors=True)
    results.sort(key=lambda r: (ARMS.index(r["arm"]), r["n"]))
    judge(results, out)
    if a.plot and results:
        plot(results, a, a.plot)
    out.finish(a.json)


if __name__ == "__main__":
    main()
