"""The rows of every bench: one form in memory, in --json FILE and in the table that people read.

    p = rows.arguments(__doc__, rounds=3, seconds=2)      # --rounds --seconds --json; add your own to it
    args = p.parse_args()
    r = rows.Rows("http", args.json)
    for turn, names in rows.interleaved(["spate", "nginx"], args.rounds):
        for name in names:
            r.sample("1 KiB", "rate", measure(name), "req/s", peer=name)      # one round's figure
    r.ratio("1 KiB", "rate", aim=1.3)                     # spate's median to the best peer's, as a row of its own
    r.add("1 KiB", "objects", 1000, "")                   # a figure that has no rounds
    r.finish()                                            # prints the table, writes the file

A row is {bench, case, metric, value, unit, aim, peer}. `value` is the median of its rounds, which are then in
`rounds`, so its spread is known too. `peer` is whose figure it is; in a ratio, whom it is to; None: only we have one.
`aim` is a number, to be reached from the side that is better for that unit (`less`). A missing figure is a row too:
value None, and why in `note`. A C program writes the same rows (bench/dataplane/cost.c).
"""
import argparse
import atexit
import json
import os
import statistics
import sys
from pathlib import Path

FIELDS = ("bench", "case", "metric", "value", "unit", "aim", "peer")
MORE_IS_BETTER = ("req/s", "conn/s", "Gbit/s", "Mbit/s", "Mpps", "%", "GB/s", "x", "M req/s", "M conn/s")
US = "spate"


def less(row):
    """Is less better? A row may say so itself; else its unit does."""
    return row.get("less", row["unit"] not in MORE_IS_BETTER)


def met(row):
    """Is the aim reached? None without an aim."""
    if row["aim"] is None:
        return None
    if row["value"] is None:
        return False
    return row["value"] <= row["aim"] if less(row) else row["value"] >= row["aim"]


def interleaved(names, rounds):
    """(turn, names), each turn beginning with another one, so that nobody always runs after the same other."""
    for turn in range(rounds):
        at = turn % len(names)
        yield turn, names[at:] + names[:at]


def arguments(doc, rounds=3, seconds=2):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=rounds, help=f"interleaved rounds ({rounds})")
    p.add_argument("--seconds", type=float, default=seconds, help=f"of each measurement ({seconds})")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    return p


class Rows:
    def __init__(self, bench, path=None, progress=True):
        """path: of the JSON, or None. It is written at the end, and when the program is ended before."""
        self.bench, self.path, self.rows, self.at, self.progress = bench, path, [], {}, progress and os.isatty(2)
        if path:
            atexit.register(write, path, self.rows)

    def _row(self, case, metric, unit, aim, peer, more):
        row = {"bench": self.bench, "case": case, "metric": metric, "value": None, "unit": unit, "aim": aim,
               "peer": peer, **more}
        self.rows.append(row)
        return row

    def add(self, case, metric, value, unit, aim=None, peer=None, **more):
        self._row(case, metric, unit, aim, peer, more)["value"] = value

    def sample(self, case, metric, value, unit, aim=None, peer=None, **more):
        """One round's value; the row is made by the first."""
        row = self.at.get((case, metric, peer))
        if row is None:
            for old in self._of(case, metric, peer):  # it had failed in an earlier round
                self.rows.remove(old)
            row = self.at[case, metric, peer] = self._row(case, metric, unit, aim, peer, {"rounds": [], **more})
        row["rounds"].append(value)
        row["value"] = statistics.median(row["rounds"])
        if self.progress:
            print(f"  {self.bench} {case} {peer or ''} {metric} {number(value)} {unit}", file=sys.stderr)

    def _of(self, case, metric, peer):
        return [r for r in self.rows if (r["case"], r["metric"], r["peer"]) == (case, metric, peer)]

    def failed(self, case, metric, unit, peer, why):
        """A figure that could not be taken: never left out quietly."""
        if not self._of(case, metric, peer):
            self._row(case, metric, unit, None, peer, {"note": str(why)[:300]})

    def find(self, case, metric):
        return {r["peer"]: r for r in self.rows if r["case"] == case and r["metric"] == metric
                and r["value"] is not None}

    def ratio(self, case, metric, aim=None, to=None, us=US, leave_out=()):
        """
        Our median to the best peer's (or to that of `to`; or of all but leave_out). In a metric where less is better, less
        than 1 is better.
        """
        found = self.find(case, metric)
        peers = {n: r["value"] for n, r in found.items() if n not in (us, None) and not n.startswith(US)
                 and n not in leave_out}
        if to is not None:
            peers = {n: v for n, v in peers.items() if n == to}
        if us not in found or not peers:
            if aim is not None and any(r["case"] == case for r in self.rows):
                self.add(case, metric + " ratio", None, "x", aim, None, of=us,
                         note=f"no figure of {us if us not in found else 'a peer'} to compare")
            return None
        down = less(found[us])
        best = (min if down else max)(peers, key=peers.get)
        if not peers[best]:
            return None
        value = found[us]["value"] / peers[best]
        self.add(case, metric + (" ratio" if us == US else f" ratio of {us}"), value, "x", aim, best, less=down,
                 of=us)
        return value

    def finish(self, path=None):
        """Prints the table and writes the file, if either of them was named."""
        print(table(self.rows))
        if path or self.path:
            write(path or self.path, self.rows)


def write(path, rows):
    """Whole or not at all: somebody may end us while we write."""
    tmp = Path(f"{path}.{os.getpid()}")
    tmp.write_text("[\n" + ",\n".join(" " + json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n")
    tmp.replace(path)


def read(path):
    rows = json.loads(Path(path).read_text())
    for row in rows:
        for field in FIELDS:
            if field not in row:
                raise ValueError(f"{path}: a row without {field}: {row}")
    return rows


def number(v):
    """Three or four digits that say something, and thousands apart."""
    if v is None:
        return "–"
    if v == 0:
        return "0"
    size = abs(v)
    if size >= 100:
        return f"{v:,.0f}"
    return f"{v:.1f}" if size >= 10 else f"{v:.2f}" if size >= 1 else f"{v:.3f}" if size >= 0.1 else f"{v:.2g}"


def spread(row):
    """'median (lowest–highest)', or only the value where there was one round."""
    if row is None:
        return ""
    if row["value"] is None:
        return "failed"
    rounds = row.get("rounds", [])
    text = number(row["value"])
    return f"{text} ({number(min(rounds))}–{number(max(rounds))})" if len(rounds) > 1 else text


def is_ratio(row):
    return " ratio" in row["metric"]


def verdict(row):
    """'1.21 × nginx; aim ≥ 1.3, short of it'."""
    text = number(row["value"]) + (f" × {row['peer'] or 'nobody'}" if is_ratio(row) else f" {row['unit']}".rstrip())
    if row["aim"] is not None:
        good = met(row)
        behind = is_ratio(row) and row["value"] is not None and (row["value"] > 1 if less(row) else row["value"] < 1)
        text += f"; aim {'≤' if less(row) else '≥'} {number(row['aim'])}"
        text += ", met" if good else ", MISSED" + (" and behind" if behind else "")
    return text


def grid(rows):
    """(head, lines) of one bench: a line for each case and peer, a column for each metric that they have."""
    plain = [r for r in rows if not is_ratio(r)]
    metrics = list(dict.fromkeys((r["metric"], r["unit"]) for r in plain))
    at = {(r["case"], r["peer"], r["metric"], r["unit"]): r for r in plain}
    lines = []
    for case, peer in dict.fromkeys((r["case"], r["peer"]) for r in plain):
        lines.append([case, peer or "", *(spread(at.get((case, peer, *m))) for m in metrics)])
    head = ["case", "", *(f"{m} {u}".strip() for m, u in metrics)]
    keep = [i for i in range(len(head)) if i != 1 or any(line[1] for line in lines)]
    return [head[i] for i in keep], [[line[i] for i in keep] for line in lines]


def table(rows, markdown=False):
    """All that there is to read of them, as text or as markdown: grids, then what is compared or aimed at."""
    out = []
    for bench in dict.fromkeys(r["bench"] for r in rows):
        of_bench = [r for r in rows if r["bench"] == bench]
        # Cases that have different metrics get tables of their own, or most of each line would be empty.
        groups = {}
        for case in dict.fromkeys(r["case"] for r in of_bench):
            mine = [r for r in of_bench if r["case"] == case]
            shape = tuple(dict.fromkeys((r["metric"], r["unit"]) for r in mine if not is_ratio(r)))
            groups.setdefault(shape, []).extend(mine)
        if not markdown:
            out += [f"== {bench}"]
        for mine in groups.values():
            if not all(is_ratio(r) for r in mine):
                out += [(in_markdown if markdown else in_text)(*grid(mine)), ""]
        judged = [r for r in of_bench if is_ratio(r) or r["aim"] is not None]
        for r in judged:
            what = r["metric"] if is_ratio(r) or not r["peer"] else f"{r['peer']} {r['metric']}"
            out.append(f"{'- ' if markdown else '  '}{r['case']}, {what}: {verdict(r)}")
        notes = {}
        for r in of_bench:
            if r.get("note"):
                notes.setdefault((r["peer"], r["metric"], r["note"]), []).append(r["case"])
        for (peer, metric, note), found in notes.items():
            out.append(f"{'- ' if markdown else '  '}{'; '.join(found)}: {peer or ''} {metric}: {note}")
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def in_text(head, lines):
    wide = [max(len(str(x)) for x in column) for column in zip(head, *lines)]
    return "\n".join("  " + "  ".join(x.ljust(w) if i < 2 else x.rjust(w)
                                      for i, (x, w) in enumerate(zip(line, wide))).rstrip()
                     for line in [head, *lines])


def in_markdown(head, lines):
    line = lambda cells: "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, lines)])


if __name__ == "__main__":  # rows.py FILE...: the table of what others wrote
    print(table([row for path in sys.argv[1:] for row in read(path)]))
