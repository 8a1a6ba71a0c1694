"""Spate and its peers, each under its own configuration (bench/compare/conf), pinned to a core, in front of one origin.

    with place.Place() as here, servers.Files(here) as origin:
        server = servers.start("nginx", here, origin.port, memory_mib=512)
        ... server.host, server.port, server.cpu_seconds(), server.memory() ...
        server.stop()

All are caches that have asked the origin once. H2O has none in Debian's version: it serves the origin's folder itself,
and so does `nginx-files`, which shows what nginx does without its cache; both can only gain by that.
"""
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONF = ROOT / "bench/compare/conf"
BUILD = Path(os.environ.get("SPATE_BUILD", ROOT / "build-release")).resolve()
TICK = os.sysconf("SC_CLK_TCK")


class Failed(RuntimeError):
    """Of a server or a client: becomes a row that says so."""


def find(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not path:
        raise Failed(f"{name} is not installed (./dev setup bench)")
    return path


def version(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
        return done.stdout.strip().splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def descendants(pid):
    """Of a process, itself not included."""
    out = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            out += [int(child), *descendants(int(child))]
    return out


def cpu_of(pid):
    """
    User and system time of a process and all below it: threads and io_uring's workers are in it. So is softirq work done
    in its time, where the kernel counts by ticks (no CONFIG_IRQ_TIME_ACCOUNTING, as in Debian's).
    """
    total = 0
    for p in [pid, *descendants(pid)]:
        try:
            fields = Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def ksoftirqd_seconds(core):
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if f"(ksoftirqd/{core})" in text:
            fields = text.rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / TICK
    return 0.0


def memory_of(pid):
    """Bytes of memory a process tree holds, shared pages split between those who share them. Not files: how much of a
    library is whose depends on who else on this machine has just begun or ended."""
    total = 0
    for p in [pid, *descendants(pid)]:
        try:
            for line in Path(f"/proc/{p}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


class Server:
    conf = None    # the file of conf/ that it reads
    caches = True  # asks an origin and keeps what it got
    peer = True

    def __init__(self, name, here, origin_port, memory_mib=512, workers=1, files=None, host=None, port=None):
        self.name, self.here, self.process = name, here, None
        self.host, self.port = host or here.server_host, port or here.free_port()
        here.serial += 1
        self.tmp = here.work / f"{name}-{here.serial}"
        self.tmp.mkdir()
        self.tmp.chmod(0o777)
        self.values = {"port": self.port, "host": self.host, "tmp": self.tmp, "origin": origin_port, "memory": memory_mib,
                       "workers": workers, "dir": files or here.files, "kib": "k" * 1024}
        self.core = here.server_cores(workers)

    def written(self, name=None):
        """The configuration, filled in."""
        name = name or self.conf
        text = (CONF / name).read_text()
        for key, value in self.values.items():
            text = text.replace(f"@{key}@", str(value))
        out = self.tmp / Path(name).name
        out.write_text(text)
        return str(out)

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.tmp / "out", "wb") as log:
            self.process = subprocess.Popen(["taskset", "-c", self.core, *map(str, self.command())], cwd=self.tmp,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment()})
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            if self.ready():
                return self
            time.sleep(0.05)
        text = (self.tmp / "out").read_text(errors="replace")[-1500:]
        self.stop()
        raise Failed(f"{self.name} does not start: {text}")

    def environment(self):
        return {}

    def ready(self):
        try:
            self.here.connect(self.host, self.port, 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process is None:
            return
        tree = [self.process.pid, *descendants(self.process.pid)]
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        for pid in tree:  # what the first did not take along
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None
        shutil.rmtree(self.tmp, ignore_errors=True)

    def cpu_seconds(self):
        return cpu_of(self.process.pid) + ksoftirqd_seconds(self.core.split(",")[0])

    def memory(self):
        return memory_of(self.process.pid)

    def url(self, path):
        return f"http://{self.host}:{self.port}{path}"

    def get(self, path, headers=(), timeout=30):
        """(status, fields, body) over a connection of its own."""
        c = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        c.sock = self.here.connect(self.host, self.port, timeout)
        try:
            c.request("GET", path, headers=dict(headers))
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def verify(self, path, want):
        """Twice: the first fills the cache, the second is what will be measured."""
        for _ in range(2):
            status, _, body = self.get(path)
            if status != 200 or body != want:
                raise Failed(f"{self.name} {path}: status {status}, {len(body)} of {len(want)} bytes, "
                             f"{'equal' if body == want else 'different'}")


class Spate(Server):
    conf, peer = "spate.yaml", False

    def command(self):
        return [BUILD / "spate", "run", "--config", self.written()]


class SpateDpdk(Spate):
    """On the near end of here's veth, through net_af_packet."""
    conf = "spate-dpdk.yaml"

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.values["iface"] = self.here.near

    def stop(self):
        super().stop()


class Nginx(Server):
    conf = "nginx.conf"

    def command(self):
        return [find("nginx"), "-p", self.tmp, "-e", self.tmp / "nginx.err", "-c", self.written()]


class NginxFiles(Nginx):
    conf, caches = "nginx-files.conf", False


class H2O(Server):
    conf, caches = "h2o.yaml", False

    def command(self):
        return [find("h2o"), "-m", "worker", "-c", self.written()]


class Varnish(Server):
    conf = "varnish.vcl"
    # Varnish logs each transaction into shared memory; the others' logs are off, so is this one.
    QUIET = ("Begin End Link SessOpen SessClose ReqStart ReqMethod ReqURL ReqProtocol ReqHeader ReqUnset ReqAcct "
             "RespProtocol RespStatus RespReason RespHeader RespUnset VCL_call VCL_return Timestamp Hit Length")

    def command(self):
        options = {
            "thread_pools": self.values["workers"],  # one a core is what its documentation recommends
            "thread_pool_min": 100,                  # threads are there before the load
            "vsl_mask": ",".join("-" + tag for tag in self.QUIET.split()),
            "timeout_idle": 300,                     # an idle connection stays as long as elsewhere
            "workspace_client": "64k",
        }
        return [find("varnishd"), "-F", "-j", "none", "-n", self.tmp / "n", "-f", self.written(), "-a",
                f"{self.host}:{self.port}", "-s", f"malloc,{self.values['memory']}m", "-T", "none",
                *(x for k, v in options.items() for x in ("-p", f"{k}={v}"))]


class TrafficServer(Server):
    conf = "trafficserver/records.config"
    LAYOUT = {"sysconfdir": "etc", "localstatedir": "var", "runtimedir": "var/run", "logdir": "var/log",
              "cachedir": "var/cache"}

    def command(self):
        for folder in self.LAYOUT.values():
            (self.tmp / folder).mkdir(parents=True, exist_ok=True)
        # What is ours goes to the temporary folder; programs and the body factory are Debian's.
        (self.tmp / "runroot.yaml").write_text("".join(f"{k}: {self.tmp / v}\n" for k, v in self.LAYOUT.items()) +
                                               f"prefix: {self.tmp}\nexec_prefix: {self.tmp}\n"
                                               "bindir: /usr/bin\nsbindir: /usr/sbin\nlibdir: /usr/lib\n"
                                               "libexecdir: /usr/lib/trafficserver/modules\n"
                                               "datadir: /usr/share/trafficserver\nincludedir: /usr/include\n")
        for file in sorted((CONF / "trafficserver").iterdir()):
            shutil.move(self.written(f"trafficserver/{file.name}"), self.tmp / "etc" / file.name)
        return [find("traffic_server"), f"--run-root={self.tmp}/runroot.yaml"]

    def ready(self):
        # It listens before its cache is up, and would then only pass requests on.
        return any("cache enabled" in f.read_text(errors="replace") for f in [self.tmp / "out", *(self.tmp / "var/log").glob("*")]) and super().ready()


KINDS = {"spate": Spate, "nginx": Nginx, "varnish": Varnish, "trafficserver": TrafficServer, "h2o": H2O,
         "nginx-files": NginxFiles, "spate-dpdk": SpateDpdk}
PEERS = ["nginx", "varnish", "trafficserver", "h2o"]


def start(name, here, origin_port, **more):
    return KINDS[name](name, here, origin_port, **more).start()


class Files:
    """The origin of all: nginx over here.files, on the client's core, idle while hits are measured."""

    def __init__(self, here):
        self.server = Nginx("origin", here, 0, host="127.0.0.1")
        self.server.conf = "origin.conf"
        self.server.core = here.client_core
        self.server.ready = self.ready

    def ready(self):
        try:
            socket.create_connection(("127.0.0.1", self.server.port), 1).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop()

    @property
    def port(self):
        return self.server.port

    def asked(self):
        """Requests it has had, this one not included."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        c.request("GET", "/-status")
        text = c.getresponse().read().decode().splitlines()
        c.close()
        return int(text[2].split()[2]) - 1
