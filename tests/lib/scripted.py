"""An origin that does exactly what a test tells it to, down to the byte and the moment."""
import contextlib
import socket
import struct
import threading
import time

from net import free_port


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.fields = [tuple(x.split(": ", 1)) for x in lines[1:] if x]
        self.at = time.monotonic()

    def __getitem__(self, name):
        return next((v for n, v in self.fields if n.lower() == name.lower()), None)


class OriginConn:
    """What a handler gets: the socket and ways to misbehave on it."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def head(self, status="200 OK", **fields):
        """Fields by keyword: content_length=3 becomes Content-Length: 3."""
        lines = "".join(f"{n.replace('_', '-').title()}: {v}\r\n" for n, v in fields.items() if v is not None)
        self.send(f"HTTP/1.1 {status}\r\n{lines}\r\n")

    def respond(self, body=b"", status="200 OK", **fields):
        fields.setdefault("content_length", len(body))
        self.head(status, **fields)
        self.send(body)

    def trickle(self, body, seconds, pieces=30):
        """body over that time, evenly; the first piece at once."""
        size = -(-len(body) // pieces)
        for i in range(0, len(body), size):
            self.send(body[i:i + size])
            time.sleep(seconds / pieces)

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def reset(self):
        """RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class ScriptedOrigin:
    """
    handler(conn, request): one for each path by on(), run on the connection's own thread. Returning False closes
    the connection, anything else keeps it for the next request. `requests` has all of them, in order.
    """

    def __init__(self):
        self.port = free_port()
        self.requests, self.connections = [], 0
        self.handlers, self.open = {}, set()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.stopping = threading.Event()
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def on(self, path, handler):
        self.handlers[path] = handler

    def count(self, path):
        return sum(1 for r in self.requests if r.target == path)

    def stop(self):
        """
        A descriptor is closed only when no thread sleeps on it. The kernel may start a sleeping call over (a signal that
        another thread took), by number: it would then accept for the next test's listener, and close what it got.
        """
        if self.stopping.is_set():
            return
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()
        for s in list(self.open):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)  # its own thread closes it

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.add(s)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        conn, buf = OriginConn(s), b""
        try:
            while not self.stopping.is_set():
                while b"\r\n\r\n" not in buf:
                    data = s.recv(65536)
                    if not data:
                        return
                    buf += data
                head, buf = buf.split(b"\r\n\r\n", 1)
                request = Request(head)
                self.requests.append(request)
                handler = self.handlers.get(request.target, _not_found)
                if handler(conn, request) is False:
                    return
        except OSError as e:
            if not self.stopping.is_set():
                print(f"scripted origin: {len(self.requests)} requests: {e}")  # seen when the case fails
        finally:
            self.open.discard(s)
            s.close()


def _not_found(conn, _request):
    conn.respond(b"no such thing\n", "404 Not Found", content_type="text/plain")
