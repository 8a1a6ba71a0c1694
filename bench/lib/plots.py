"""SVG plots of rows, by gnuplot: draw(measured, folder) -> {bench: [files]}. Without gnuplot: none."""
import shutil
import subprocess
from pathlib import Path


COLOURS = {"spate": "#c8102e", "spate-dpdk": "#7a0019", "nginx": "#1b7f3b", "nginx-files": "#84c98f", "varnish": "#1f5fa8",
           "trafficserver": "#8a5fb0", "h2o": "#e08a1e"}
HEAD = """set terminal svg size 860,420 font 'sans-serif,12' background '#ffffff'
set output '{out}'
set title '{title}'
set ylabel '{ylabel}'
set grid ytics lc rgb '#dddddd'
set key outside right top
set border 3
set tics nomirror
"""


def quoted(text):
    return str(text).replace("'", "").replace("_", "\\_").replace("{", "(").replace("}", ")")


def gnuplot(script):
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


def low_high(row):
    rounds = row.get("rounds") or [row["value"]]
    return row["value"], min(rounds), max(rounds)


def bars(out, title, found, metric, cases, log=False):
    """Groups of bars, one group a case, one bar a peer, whiskers from the lowest to the highest round."""
    at = {(r["case"], r["peer"]): r for r in found if r["metric"] == metric and r["value"] is not None and r["case"] in cases}
    peers = [p for p in COLOURS if any(peer == p for _, peer in at)]
    if not at or not peers:
        return None
    unit = next(iter(at.values()))["unit"]
    blocks, plot = [], []
    for peer in peers:
        lines = [f"{i} {' '.join(f'{v:.9g}' for v in low_high(at[c, peer]))}" if (c, peer) in at else f"{i} NaN NaN NaN"
                 for i, c in enumerate(cases)]
        blocks.append(f"$p{len(blocks)} << EOD\n" + "\n".join(lines) + "\nEOD\n")
    width = 0.8 / len(peers)
    for i, peer in enumerate(peers):
        shift = (i - (len(peers) - 1) / 2) * width
        plot.append(f"$p{i} using ($1+{shift:.4f}):2:3:4 with boxerrorbars lc rgb '{COLOURS[peer]}' title '{quoted(peer)}'")
    tics = ", ".join(f"'{quoted(c)}' {i}" for i, c in enumerate(cases))
    gnuplot(HEAD.format(out=out, title=quoted(title), ylabel=quoted(f"{metric}, {unit}")) + "".join(blocks) +
            ("set logscale y\n" if log else "set yrange [0:*]\n") +
            f"set style fill solid 0.9 noborder\nset boxwidth {width * 0.9:.4f}\nset xtics ({tics})\n"
            f"set xrange [-0.6:{len(cases) - 0.4}]\nplot " + ", ".join(plot) + "\n")
    return out


def lines(out, title, series, xlabel, ylabel):
    """series: {name: [(x, value, low, high)]}, x logarithmic."""
    series = {k: v for k, v in series.items() if v}
    if not series:
        return None
    blocks, plot = [], []
    for i, (name, points) in enumerate(series.items()):
        blocks.append(f"$s{i} << EOD\n" + "\n".join(" ".join(f"{v:.9g}" for v in p) for p in points) + "\nEOD\n")
        colour = COLOURS.get(name, ("#c8102e", "#1f5fa8", "#1b7f3b", "#e08a1e", "#8a5fb0")[i % 5])
        plot.append(f"$s{i} using 1:2:3:4 with yerrorlines lw 2 pt 7 ps 0.6 lc rgb '{colour}' title '{quoted(name)}'")
    gnuplot(HEAD.format(out=out, title=quoted(title), ylabel=quoted(ylabel)) + "".join(blocks) +
            f"set logscale x\nset xlabel '{quoted(xlabel)}'\nset yrange [0:*]\nset format x '%.0f'\nplot " + ", ".join(plot) + "\n")
    return out


def draw(measured, folder):
    if not shutil.which("gnuplot"):
        return {}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    out = {}

    def keep(bench, made):
        if made:
            out.setdefault(bench, []).append(made)

    def cases(bench, metric, having=""):
        return list(dict.fromkeys(r["case"] for r in measured.get(bench, []) if r["metric"] == metric and having in r["case"]))

    def all_bars(bench, file, title, metric, log=False, having=""):
        found = cases(bench, metric, having)
        if found:
            keep(bench, bars(folder / file, title, measured[bench], metric, found, log))

    all_bars("http", "http-throughput.svg", "Hot hits on sockets: throughput", "throughput")
    all_bars("http", "http-cpu.svg", "Hot hits on sockets: CPU a GB", "CPU", log=True)
    all_bars("fill", "fill.svg", "A cold fill: the second viewer", "second viewer TTFB", log=True)
    all_bars("zipf", "zipf.svg", "Hit rate", "hits")
    all_bars("idle", "idle.svg", "An idle connection", "own memory", log=True)
    all_bars("latency", "latency.svg", "Open loop: p99.9", "p99.9", log=True)
    all_bars("veth", "veth-off.svg", "Over a veth, TSO off", "throughput", having="TSO off")
    all_bars("veth", "veth-on.svg", "Over a veth, TSO on", "throughput", having="TSO on")

    grown = {}
    for r in measured.get("growth", []):
        if r["metric"] == "CPU" and r["value"] is not None and "connection" in r["case"] and r["case"][0].isdigit():
            grown.setdefault(r["peer"], []).append((int(r["case"].split()[0].replace(",", "")), *low_high(r)))
    keep("growth", lines(folder / "growth-connections.svg", "1 KiB hits: CPU by connections", grown, "connections", "us/request"))
    objects = {"Spate, 1 KiB hits": []}
    for r in measured.get("growth", []):
        if r["metric"] == "CPU" and r["value"] is not None and r["case"].startswith("10^"):
            objects["Spate, 1 KiB hits"].append((10 ** int(r["case"][3]), *low_high(r)))
    keep("growth", lines(folder / "growth-objects.svg", "1 KiB hits: CPU by objects in the cache", objects, "objects", "us/request"))
    looked = {}
    for r in measured.get("micro", []):
        name, _, arg = r["case"].partition("/")
        if name in ("lookup_hit", "lookup_hit_pin_unpin", "lookup_miss") and arg.isdigit() and r["value"] is not None:
            looked.setdefault(name, []).append((int(arg), *low_high(r)))
    keep("micro", lines(folder / "micro-objects.svg", "The index by objects", looked, "objects", "cycles"))
    return out
