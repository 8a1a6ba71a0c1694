"""
Very many viewers in one process, as a client program: started where the edge can be reached, it says what happened in
lines of JSON.

    crowd.py hold HOST PORT PATH COUNT       COUNT connections, an answer on each, and once more on all of them while
                                             they stay open; a line; they close when stdin ends, another line
    crowd.py churn HOST PORT PATH SECONDS    connections that come and go in every way they can; a line

Each answer is compared with the first one, byte for byte.
"""
import json
import random
import resource
import select
import socket
import struct
import sys
import time

AT_ONCE = 400  # connections on their way in
WAYS = ("we close", "it closes", "reset after", "reset within", "leave within", "never ask", "half a request")


class Viewer:
    """One connection. step() when its socket is ready: True once its answer is whole."""

    def __init__(self, crowd, close=False):
        self.crowd, self.close = crowd, close
        self.sock = socket.socket(crowd.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.got, self.want, self.connected = bytearray(), None, False
        self.way = None
        self.sock.connect_ex(crowd.address)

    def ask(self):
        self.got, self.want = bytearray(), None
        close = "Connection: close\r\n" if self.close else ""
        self.sock.send(f"GET {self.crowd.path} HTTP/1.1\r\nHost: crowd\r\n{close}\r\n".encode())

    def step(self):
        """What came; "whole", "" (more will come), or why not."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return ""
        except OSError as e:
            return e.strerror
        if not data:
            return "closed early"
        self.got += data
        if self.want is None and (end := self.got.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.got[:end]).decode("latin-1")
            if not head.startswith("HTTP/1.1 200 "):
                return head.split("\r\n")[0]
            length = [x.split(":")[1] for x in head.lower().split("\r\n") if x.startswith("content-length:")]
            self.want, self.at = end + 4 + int(length[0]), end + 4
        if self.want is None or len(self.got) < self.want:
            return ""
        return "whole" if bytes(self.got[self.at:]) == self.crowd.body else "wrong bytes"


class Crowd:
    def __init__(self, host, port, path):
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.address, self.path, self.body = (host, int(port)), path, None
        self.poll, self.viewers, self.why = select.epoll(), {}, {}
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        first = Viewer(self)
        first.sock.setblocking(True)
        first.ask()
        self.body = b""
        while (said := first.step()) in ("", "whole"):
            if first.want and len(first.got) >= first.want:
                break
        self.body = bytes(first.got[first.at:])
        first.sock.close()

    def add(self, viewer):
        fd = viewer.sock.fileno()
        self.viewers[fd] = viewer
        self.poll.register(fd, select.EPOLLOUT)

    def drop(self, viewer):
        del self.viewers[viewer.sock.fileno()]
        viewer.sock.close()

    def blame(self, why):
        self.why[why] = self.why.get(why, 0) + 1

    def connected(self, viewer):
        """Its connect has ended; False, and it is gone, when that was not well."""
        error = viewer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self.blame(f"connect: {error}")
            self.drop(viewer)
            return False
        viewer.connected = True
        self.poll.modify(viewer.sock.fileno(), select.EPOLLIN)
        return True


def tell(**what):
    print(json.dumps(what), flush=True)


def answers(crowd, waiting, until, arrive=lambda: None):
    """Turns until each of `waiting` has its answer; arrive() adds to them. How many had one."""
    served = 0
    while time.monotonic() < until:
        arrive()
        if not waiting:
            break
        for fd, _ in crowd.poll.poll(0.2):
            viewer = crowd.viewers.get(fd)
            if viewer is None:
                continue
            if not viewer.connected:
                if crowd.connected(viewer):
                    viewer.ask()
                else:
                    waiting.discard(fd)
                continue
            if said := viewer.step():
                waiting.discard(fd)
                if said == "whole":
                    served += 1
                else:
                    crowd.blame(said)
                    crowd.drop(viewer)
    return served


def hold(crowd, count, seconds=60):
    made, waiting = 0, set()

    def arrive():
        nonlocal made
        while made < count and len(waiting) < AT_ONCE:
            viewer = Viewer(crowd)
            crowd.add(viewer)
            waiting.add(viewer.sock.fileno())
            made += 1

    began = time.monotonic()
    first = answers(crowd, waiting, began + seconds, arrive)
    took = time.monotonic() - began
    for viewer in crowd.viewers.values():
        viewer.ask()
    again = answers(crowd, set(crowd.viewers), time.monotonic() + seconds)
    tell(first=first, again=again, open=len(crowd.viewers), why=crowd.why, seconds=round(took, 2),
         again_seconds=round(time.monotonic() - began - took, 2))
    sys.stdin.read()
    for viewer in list(crowd.viewers.values()):
        crowd.drop(viewer)
    tell(closed=count)


def leave(viewer, how):
    if how.startswith("reset"):
        viewer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    viewer.crowd.drop(viewer)


def churn(crowd, seconds, at_once=100):
    dice, done = random.Random(20261123), dict.fromkeys(WAYS, 0)
    until = time.monotonic() + seconds

    def arrive():
        viewer = Viewer(crowd)
        viewer.way = dice.choice(WAYS)
        viewer.close = viewer.way == "it closes"
        crowd.add(viewer)

    def turn(viewer):
        if not viewer.connected:
            if not crowd.connected(viewer):
                return
            if viewer.way == "never ask":
                leave(viewer, viewer.way)
            elif viewer.way == "half a request":
                viewer.sock.send(f"GET {crowd.path} HTTP/1.1\r\nHo".encode())
                leave(viewer, viewer.way)
            else:
                viewer.ask()
                return
            done[viewer.way] += 1
            return
        said = viewer.step()
        if viewer.way.endswith("within") and viewer.got:
            leave(viewer, viewer.way)
        elif said == "whole" and viewer.way == "it closes":
            viewer.way, viewer.want = "it closes, now", 0
            return
        elif viewer.way == "it closes, now":
            leave(viewer, viewer.way)
            if said != "closed early":
                crowd.blame(f"after the last answer: {said}")
            viewer.way = "it closes"
        elif said == "whole":
            leave(viewer, viewer.way)
        elif said:
            crowd.blame(said)
            crowd.drop(viewer)
            return
        else:
            return
        done[viewer.way] += 1

    patience, last = 20.0, until  # the whole process may be stopped for long: a look counts as a second at most
    while time.monotonic() < until or crowd.viewers:
        while time.monotonic() < until and len(crowd.viewers) < at_once:
            arrive()
        for fd, _ in crowd.poll.poll(0.2):
            if fd in crowd.viewers:
                turn(crowd.viewers[fd])
        if (now := time.monotonic()) > until:
            patience, last = patience - min(now - last, 1.0), now
        if patience < 0:
            for v in crowd.viewers.values():
                crowd.blame(f"never ended: {v.way}, connected: {v.connected}, got {len(v.got)} of {v.want}, "
                            f"port {v.sock.getsockname()[1]}")
            break
    tell(done=done, total=sum(done.values()), why=crowd.why)


def main():
    what, host, port, path, much = sys.argv[1:]
    crowd = Crowd(host, port, path)
    if what == "hold":
        hold(crowd, int(much))
    else:
        churn(crowd, float(much))


main()
