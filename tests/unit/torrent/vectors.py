#!/usr/bin/python3
"""
Writes vectors.h: what torrents of known bytes must be, reckoned by hashlib from the text of BEP 3, 47 and 52 alone, with
nothing of Spate and nothing of libtorrent in it. usage: vectors.py OUTPUT
"""
import hashlib
import sys

LEAF = 16384
KIB = 1024
# (bytes of a piece, bytes of each file)
CASES = [
    (16 * KIB, [1]),
    (16 * KIB, [16384, 16385, 16383]),
    (32 * KIB, [1000, 70000, 65536, 1, 32768]),
    (32 * KIB, [32768, 32768]),
    (64 * KIB, [5 * 65536 + 1, 3 * 65536, 40000]),
    (256 * KIB, [100, 300 * KIB, 1024 * KIB, 262144, 7]),
]


def stream(n):
    """The bytes of make_torrent.c: xorshift64."""
    x, out = 88172645463325252, bytearray(n)
    for i in range(n):
        x ^= x << 13 & 0xffffffffffffffff
        x ^= x >> 7
        x ^= x << 17 & 0xffffffffffffffff
        out[i] = x & 0xff
    return bytes(out)


def bencode(v):
    if isinstance(v, int):
        return b"i%de" % v
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return b"%d:%s" % (len(v), v)
    if isinstance(v, list):
        return b"l" + b"".join(map(bencode, v)) + b"e"
    return b"d" + b"".join(bencode(k) + bencode(v[k]) for k in sorted(v)) + b"e"


def sha256(data):
    return hashlib.sha256(data).digest()


def tree(row):
    """All layers over a power of two of hashes, the root's last."""
    layers = [row]
    while len(layers[-1]) > 1:
        row = layers[-1]
        layers.append([sha256(row[i] + row[i + 1]) for i in range(0, len(row), 2)])
    return layers


def merkle(data, piece):
    """BEP 52: (pieces root, piece layer or None)."""
    leaves = [sha256(data[i:i + LEAF]) for i in range(0, len(data), LEAF)]
    n = 1
    while n < len(leaves):
        n *= 2
    layers = tree(leaves + [bytes(32)] * (n - len(leaves)))
    root = layers[-1][0]
    if len(data) <= piece:
        return root, None
    depth = (piece // LEAF).bit_length() - 1
    return root, b"".join(layers[depth][:-(-len(data) // piece)])


def sha1s(data, piece):
    return b"".join(hashlib.sha1(data[i:i + piece]).digest() for i in range(0, len(data), piece))


def reckon(piece, sizes, data):
    files, at = [], 0
    for n in sizes:
        files.append(data[at:at + n])
        at += n
    whole = b"".join(files)
    v1 = bencode({"length": len(whole), "name": "a.mp4", "piece length": piece, "pieces": sha1s(whole, piece)})

    flat, listed, nested, layers = b"", [], {}, {}
    for i, f in enumerate(files):
        name = f"{i:03d}.m4s"
        root, layer = merkle(f, piece)
        nested[name] = {"": {"length": len(f), "pieces root": root}}
        if layer is not None:
            layers[root] = layer
        listed.append({"length": len(f), "path": [name]})
        flat += f
        pad = -len(f) % piece
        if pad and i + 1 < len(files):  # BEP 47
            listed.append({"attr": "p", "length": pad, "path": [".pad", str(pad)]})
            flat += bytes(pad)
    info = {"file tree": nested, "files": listed, "meta version": 2, "name": "film", "piece length": piece,
            "pieces": sha1s(flat, piece)}
    hybrid = bencode(info)
    file = b"d" + bencode("created by") + bencode("Spate") + bencode("info") + hybrid + bencode("piece layers") + \
        b"d" + b"".join(bencode(k) + bencode(layers[k]) for k in sorted(layers)) + b"e" + b"e"
    return hashlib.sha1(v1).digest(), hashlib.sha1(hybrid).digest(), sha256(hybrid), sha256(file)


def main():
    data = stream(max(sum(sizes) for _, sizes in CASES))
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write("/* Made by vectors.py. */\n")
        for piece, sizes in CASES:
            hashes = ["{" + ", ".join(f"0x{b:02x}" for b in h) + "}" for h in reckon(piece, sizes, data)]
            names = ".v1", ".hybrid", ".hybrid_v2", ".file"
            out.write(f"{{ .piece_bytes = {piece}, .n = {len(sizes)}, .sizes = {{{', '.join(map(str, sizes))}}},\n")
            out.write("".join(f"  {n} = {h},\n" for n, h in zip(names, hashes)) + "},\n")


if __name__ == "__main__":
    main()
