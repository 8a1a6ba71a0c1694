"""Ports, and an HTTP/1.1 client on a bare socket that hides nothing: tests see every byte of the framing."""
import socket
import time

_given = set()


def free_port():
    """A TCP port that is free now on IPv4 and IPv6 loopback and was not handed out before by this process."""
    while True:
        with socket.socket(socket.AF_INET6) as s:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.bind(("::", 0))
            port = s.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def wait_until(true, seconds=5.0, what="condition"):
    """Polls; returns what true() returned. AssertionError after `seconds`, a second at most for each look."""
    left, last = seconds, time.monotonic()
    while True:
        value = true()
        if value:
            return value
        assert left > 0, f"{what}: not within {seconds} s"
        time.sleep(0.01)
        now = time.monotonic()
        left, last = left - min(now - last, 1.0), now


class Closed(Exception):
    """The peer closed before the response was whole; .got holds what came."""

    def __init__(self, got):
        super().__init__(f"closed after {len(got)} bytes: {bytes(got[:200])!r}")
        self.got = bytes(got)


class Response:
    def __init__(self, version, status, reason, fields):
        self.version, self.status, self.reason, self.fields = version, status, reason, fields
        self.body = b""
        self.first_byte = None  # time.monotonic() of the body's first byte

    def __repr__(self):
        return f"<{self.status} {self.fields} {len(self.body)} bytes>"

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def __getitem__(self, name):
        """The field's value, None when absent; a repeated field is an error."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is repeated: {self.fields}"
        return values[0] if values else None

    @property
    def length(self):
        return None if self["Content-Length"] is None else int(self["Content-Length"])


class Conn:
    """One connection. send() bytes, response() for each request sent, in order."""

    def __init__(self, sock, host="edge"):
        self.sock, self.host, self.buf = sock, host, bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def request(self, path, method="GET", headers=(), version="1.1"):
        """Sends a request head; headers: dict or pairs. Host is added unless given."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if not any(n.lower() == "host" for n, _ in pairs):
            pairs.insert(0, ("Host", self.host))
        lines = "".join(f"{n}: {v}\r\n" for n, v in pairs)
        self.send(f"{method} {path} HTTP/{version}\r\n{lines}\r\n")

    def get(self, path, method="GET", headers=(), version="1.1"):
        self.request(path, method, headers, version)
        return self.response(head=method == "HEAD")

    def _more(self, size=1 << 16):
        data = self.sock.recv(size)
        if not data:
            raise Closed(self.buf)
        self.buf += data

    def _take(self, n):
        data = bytes(self.buf[:n])
        del self.buf[:n]
        return data

    def head(self):
        """A response's head; the body stays unread."""
        while b"\r\n\r\n" not in self.buf:
            self._more()
        lines = self._take(self.buf.index(b"\r\n\r\n") + 4)[:-4].decode("latin-1").split("\r\n")
        version, status, reason = lines[0].split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), lines[0]
        fields = [tuple(line.split(": ", 1)) for line in lines[1:]]
        assert all(len(f) == 2 for f in fields), lines
        return Response(version, int(status), reason, fields)

    def response(self, head=False):
        """A whole response. head: it answers a HEAD request, so no body follows."""
        r = self.head()
        if head or r.status in (204, 304) or 100 <= r.status < 200:
            return r
        if self.buf:
            r.first_byte = time.monotonic()  # it came with the head
        if r["Transfer-Encoding"] is not None:
            assert r["Transfer-Encoding"] == "chunked" and r["Content-Length"] is None, r
            r.body = self._chunked(r)
        elif r["Content-Length"] is not None:
            r.body = self._exactly(r.length, r)
        else:
            r.body = self.rest()
        return r

    def _exactly(self, n, r):
        while len(self.buf) < n:
            try:
                self._more()
            finally:
                r.body = bytes(self.buf)
            r.first_byte = r.first_byte or time.monotonic()
        if n and r.first_byte is None:
            r.first_byte = time.monotonic()
        return self._take(n)

    def _chunked(self, r):
        body = b""
        while True:
            while b"\r\n" not in self.buf:
                self._more()
            size = int(self._take(self.buf.index(b"\r\n") + 2).split(b";")[0], 16)
            while len(self.buf) < size + 2:
                self._more()
            r.first_byte = r.first_byte or time.monotonic()
            body += self._take(size)
            assert self._take(2) == b"\r\n"
            if size == 0:
                return body

    def rest(self):
        """Everything until the peer closes."""
        try:
            while True:
                self._more()
        except (Closed, ConnectionResetError):
            return self._take(len(self.buf))

    def closed(self, seconds=5.0):
        """True when the peer closes (or resets) within that time and sends nothing more."""
        self.sock.settimeout(seconds)
        try:
            return not self.buf and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
