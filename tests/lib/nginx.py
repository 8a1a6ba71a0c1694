"""A real nginx as origin, with a folder, a port and a log of its own."""
import os
import socket
import time

from net import free_port, wait_until
from proc import Process

CONF = """
daemon off;
master_process off;
{user}
pid {work}/nginx.pid;
error_log {work}/error.log;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {work}/tmp; proxy_temp_path {work}/tmp; fastcgi_temp_path {work}/tmp;
    uwsgi_temp_path {work}/tmp; scgi_temp_path {work}/tmp;
    types {{ application/dash+xml mpd; video/iso.segment m4s; video/mp4 mp4; text/html html; text/plain txt; }}
    default_type application/octet-stream;
    log_format line '$request_method $request_uri $status $body_bytes_sent $connection "$http_range"';
    access_log {work}/access.log line;
    keepalive_requests 100000;
    sendfile on;
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen [::1]:{port} backlog=4096;
        root {root};
        {server}
    }}
}}
"""


class Nginx:
    """server: further lines of the server block (locations, headers). Started when made."""

    def __init__(self, work, root, server="", http="", port=None):
        self.work, self.port = work, port or free_port()
        work.mkdir(parents=True, exist_ok=True)
        (work / "access.log").touch()
        user = "user root;" if os.getuid() == 0 else ""
        (work / "nginx.conf").write_text(CONF.format(work=work, root=root, port=self.port, server=server,
                                                     http=http, user=user))
        self.start()

    def start(self):
        # The log is opened by the configuration; -e keeps nginx from touching the system's own before that.
        self.process = Process("nginx", ["nginx", "-e", self.work / "error.log", "-p", self.work,
                                         "-c", self.work / "nginx.conf"], self.work)
        wait_until(self._answers, 10, "nginx ready")

    def _answers(self):
        assert self.process.alive(), self.process.said() + (self.work / "error.log").read_bytes()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, family=4):
        return f"http://{'127.0.0.1' if family == 4 else '[::1]'}:{self.port}"

    def requests(self, path=None):
        """(method, uri, status, bytes, connection, range) of each finished request, to `path` where given."""
        out = []
        for line in (self.work / "access.log").read_text().splitlines():
            method, uri, status, sent, conn, rng = line.split(" ", 5)
            if path is None or uri == path:
                out.append((method, uri, int(status), int(sent), int(conn), rng.strip('"')))
        return out

    def settled(self, path=None, seconds=0.3):
        """requests() once none has been added for a while: nginx logs a request when it is over."""
        seen = -1
        while seen != len(self.requests(path)):
            seen = len(self.requests(path))
            time.sleep(seconds)
        return self.requests(path)

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.end()
