"""The program under test: `spate run` with a configuration file of its own."""
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import yaml

from net import Conn, Response, free_port, wait_until
from proc import Process


def merge(base, more):
    """more over base, mapping by mapping."""
    out = dict(base)
    for key, value in more.items():
        out[key] = merge(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


class Edge:
    """
    config: over the test defaults, as in a configuration file. user: run as that uid with the limits a login
    gives (locked memory 8 MiB, 1024 files). files: descriptors it may have. Started when made.
    """

    def __init__(self, binary, work, backend, config, user=None, ready=True, files=None):
        self.binary, self.work = binary, work
        self.port, self.admin_port = free_port(), free_port()
        self.place = backend.place(self.port)
        self.file, self.access = work / "spate.yaml", work / "access.log"
        self.base = {
            "workers": 1,
            "cache": {"memory": "64MiB"},
            "admin": f"127.0.0.1:{self.admin_port}",
            "log": {"access": str(self.access), "format": "json"},
            "timeouts": {"drain": "3s"},
        }
        self.configure(config)
        argv = [binary, "run", "--config", self.file]
        if user is not None:
            if os.getuid() == 0:
                os.chown(work, user, -1)
            prefix = ["prlimit", "--memlock=8388608", "--nofile=1024:4096"]
            if os.getuid() == 0:
                caps = f"-all,+{self.place.capabilities}" if self.place.capabilities else "-all"
                prefix += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", f"--inh-caps={caps}",
                           f"--ambient-caps={caps}"]
            argv = prefix + argv
        if files is not None:
            argv = ["prlimit", f"--nofile={files}:{files}", *argv]
        self.process = Process("spate", argv, work)
        self.stopped = self.asked = False
        if ready:
            try:
                if getattr(self.place, "may_miss", None) and self.missed():
                    self.process = Process("spate", argv, work)
                self.wait_ready()
            except AssertionError:
                self.process.kill()
                self.place.close()
                raise

    def configure(self, config):
        """Writes the file; a running edge takes it over by reload()."""
        self.config = merge(merge(self.place.config(config.get("workers", 1)), self.base), config)
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def missed(self):
        """It has ended at once for the reason that its device is known for (vdev.py)."""
        for _ in range(200):
            if not self.process.alive():
                return self.place.may_miss in self.process.said()
            if b"ready: " in self.process.said():
                break
            time.sleep(0.01)
        return False

    def wait_ready(self):
        def answers():
            assert self.process.alive(), f"spate ended at once:\n{self.process.said().decode(errors='replace')}"
            try:
                return self.admin("/healthz")[0] == 200
            except OSError:
                return False

        wait_until(answers, 60, "edge ready")
        self.place.started()

    def alive(self):
        return self.process.alive()

    @property
    def pid(self):
        return self.process.pid

    def reload(self):
        self.process.send(signal.SIGHUP)

    def term(self, sig=signal.SIGTERM):
        """Asks it to drain; stop() then waits and does not ask twice (twice means: now)."""
        assert self.alive()
        self.asked = True
        self.process.send(sig)

    def stop(self, seconds=10.0):
        """SIGTERM; it must drain, leave with 0, and no sanitizer may have found anything."""
        if self.stopped:
            return
        self.stopped = True
        died = None if self.asked or self.alive() else self.process.popen.returncode
        try:
            code = self.process.end(seconds, None if self.asked else signal.SIGTERM)
        finally:
            self.place.close()
        assert not self.process.findings(), self.process.findings()
        said = self.process.err.read_bytes()[-4000:].decode(errors="replace")
        assert died is None, f"spate died by itself with {died}:\n{said}"
        assert code == 0, f"spate left with {code}:\n{said}"

    # --- clients ---

    def url(self, path="/", family=4):
        host = self.place.hosts[family]
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{path}"

    def connect(self, family=4, timeout=10.0, rcvbuf=None, mss=None):
        s = self.place.socket(family)
        s.settimeout(timeout)
        if mss:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        try:
            s.connect((self.place.hosts[family], self.port))
        except OSError:
            s.close()
            raise
        return Conn(s, f"edge:{self.port}")

    def get(self, path, method="GET", headers=(), version="1.1", family=4, timeout=10.0) -> Response:
        """One request on a connection of its own."""
        with self.connect(family, timeout) as c:
            return c.get(path, method, headers, version)

    def run(self, *argv, timeout=60):
        """A client program; returns the CompletedProcess, output captured as bytes."""
        return subprocess.run(self.place.command([str(a) for a in argv]), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout, check=False)

    # --- what it says about itself ---

    def admin(self, path, method="GET", timeout=5):
        """(status, body) from the admin endpoint, which is always on the kernel's own network."""
        ask = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}{path}", method=method)
        try:
            with urllib.request.urlopen(ask, timeout=timeout) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def metrics(self):
        """{name without "spate_" and "_total": the sum over all labels}."""
        out = {}
        status, body = self.admin("/metrics")
        assert status == 200, body
        for line in body.decode().splitlines():
            if line and not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                name = series.split("{")[0].removeprefix("spate_").removesuffix("_total")
                out[name] = out.get(name, 0) + float(value)
        return out

    def stat(self):
        status, body = self.admin("/stat")
        assert status == 200, body
        return json.loads(body)

    def log(self, at_least=0, seconds=5.0):
        """Access records as dicts, once there are that many."""
        def records():
            if not self.access.exists():
                return []
            return [json.loads(x) for x in self.access.read_text().split("\n")[:-1]]

        if at_least:
            wait_until(lambda: len(records()) >= at_least, seconds, f"{at_least} access records")
        return records()
