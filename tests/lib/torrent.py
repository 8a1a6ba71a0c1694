"""Trackers and torrents as tests need them: BEP 15 questions in Python, and what is bencoded."""
import os
import random
import struct

MAGIC = 0x41727101980
PEER_ID = b"-XX0001-abcdefghijkl"


class UdpTracker:
    """A client of the edge's UDP tracker. sock: bound as the client is to be seen; to: (host, port)."""

    def __init__(self, sock, to):
        self.sock, self.to = sock, to
        sock.settimeout(5)
        self.id = self.connect()

    def ask(self, action, body, id=None):
        """(action, rest) of the answer; TimeoutError where there is none."""
        tid = random.getrandbits(32)
        self.sock.sendto(struct.pack(">QII", self.id if id is None else id, action, tid) + body, self.to)
        while True:
            data, came = self.sock.recvfrom(4096)
            assert came[:2] == self.to, f"answered from {came}"
            got, their = struct.unpack_from(">II", data)
            if their == tid:
                return got, data[8:]

    def connect(self):
        action, rest = self.ask(0, b"", MAGIC)
        assert action == 0 and len(rest) == 8
        return struct.unpack(">Q", rest)[0]

    def announce(self, infohash, port, left=1, event=0, want=-1, uploaded=0, more=b"", ip6=False):
        """{"interval", "leechers", "seeds", "peers": [(ip bytes, port)]}, or the text of an error."""
        action, rest = self.ask(1, infohash + PEER_ID + struct.pack(">QQQIIIiH", 0, left, uploaded, event, 0x01020304, 7,
                                                                   want, port) + more)
        if action == 3:
            return rest.decode()
        assert action == 1
        interval, leechers, seeds = struct.unpack_from(">III", rest)
        return {"interval": interval, "leechers": leechers, "seeds": seeds, "peers": compact(rest[12:], 16 if ip6 else 4)}

    def scrape(self, *infohashes):
        """[(seeds, completed, leechers)]"""
        action, rest = self.ask(2, b"".join(infohashes))
        assert action == 2, rest
        return [struct.unpack_from(">III", rest, i) for i in range(0, len(rest), 12)]


def compact(data, ip_len):
    assert len(data) % (ip_len + 2) == 0
    return [(data[i:i + ip_len], int.from_bytes(data[i + ip_len:i + ip_len + 2], "big"))
            for i in range(0, len(data), ip_len + 2)]


def bdecode(data):
    value, at = _value(data, 0)
    assert at == len(data), "something follows"
    return value


def _value(d, i):
    c = d[i:i + 1]
    if c == b"i":
        end = d.index(b"e", i)
        return int(d[i + 1:end]), end + 1
    if c in b"ld":
        out, i = [], i + 1
        while d[i:i + 1] != b"e":
            v, i = _value(d, i)
            out.append(v)
        return (out if c == b"l" else dict(zip(out[::2], out[1::2]))), i + 1
    colon = d.index(b":", i)
    end = colon + 1 + int(d[i:colon])
    return d[colon + 1:end], end


def escape(infohash):
    return "".join(f"%{b:02x}" for b in infohash)


def random_hash():
    return os.urandom(20)
