#!/usr/bin/python3
"""Single functions: `./dev bench micro [--filter RE] [--json FILE]`, and beside another commit:

  ./dev bench micro --against COMMIT [--rounds N] [--filter RE]

builds COMMIT in a temporary worktree with the same options, lets both programs take turns (another one first each round,
a process of its own each time, so that memory layout is part of the noise) and prints the ratio of cycles, this tree to
that commit, with its bounds: the lowest and highest ratio of two neighbouring runs. What has 1 within these bounds, or
moved less than either program moved by itself, is called noise.

Anything else is handed to Google Benchmark: --benchmark_format=json, ...
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "bench/lib"))
import rows  # noqa: E402

BUILD = Path(os.environ.get("SPATE_BUILD", ROOT / "build-release")).resolve()
PROGRAM = "bench/micro/spate-micro"


def run(program, args, min_time):
    """{name: cycles an iteration} of one run."""
    command = [str(program), "--benchmark_format=json", f"--benchmark_min_time={min_time}",
               f"--benchmark_filter={args.filter}"]
    if args.core is not None:
        command = ["taskset", "-c", str(args.core), *command]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {b["name"]: b["cycles"] for b in json.loads(out)["benchmarks"]} if out.strip() else {}


def built(commit, into):
    """Builds `commit` below `into`, with the options of our own build; the program."""
    tree, build = into / "tree", into / "build"
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", tree, commit], check=True)
    options = (BUILD / ".dev-options").read_text().split() if (BUILD / ".dev-options").exists() else \
        ["-Ddpdk=disabled", "-Dtests=false", "-Dbench=enabled", "-Dbuildtype=release", "-Db_ndebug=false"]
    log = into / "log"
    with open(log, "wb") as out:
        for command in (["meson", "setup", build, tree, *options], ["ninja", "-C", build, PROGRAM]):
            if subprocess.run(command, stdout=out, stderr=out).returncode:
                out.flush()
                sys.exit(f"bench micro: {commit} does not build:\n{log.read_text(errors='replace')[-2000:]}")
    return build / PROGRAM


def compare(args, old, into):
    ours, theirs = BUILD / PROGRAM, built(args.against, into)
    runs = {"new": [], "old": []}
    for turn, order in rows.interleaved(["new", "old"], args.rounds):
        for which in order:
            runs[which].append(run(ours if which == "new" else theirs, args, args.min_time))
        print(f"round {turn + 1} of {args.rounds}", file=sys.stderr)
    r = rows.Rows("micro", args.json)
    lines = []
    for name in runs["new"][0]:
        if any(name not in x for side in runs.values() for x in side):
            lines.append((name, "", "", "", "", f"not in {args.against}"))
            continue
        new, was = ([x[name] for x in runs[k]] for k in ("new", "old"))
        each = [a / b for a, b in zip(new, was)]
        ratio = statistics.median(new) / statistics.median(was)
        noise = max((max(v) - min(v)) / statistics.median(v) for v in (new, was))
        said = "noise"
        if not min(each) <= 1 <= max(each) and abs(ratio - 1) > noise:
            said = "FASTER" if ratio < 1 else "SLOWER"
        r.add(name, "cycles", statistics.median(new), "cycles", peer="spate", rounds=new)
        r.add(name, "cycles", statistics.median(was), "cycles", peer=old, rounds=was)
        r.add(name, "cycles ratio", ratio, "x", peer=old, less=True, low=min(each), high=max(each), noise=noise)
        lines.append((name, rows.number(statistics.median(was)), rows.number(statistics.median(new)), f"{ratio:.3f}",
                      f"{min(each):.3f}–{max(each):.3f}  ±{noise * 50:.1f} %", said))
    print(rows.in_text(["", old, "this tree", "ratio", "bounds", ""], lines))
    slower = sum(line[-1] == "SLOWER" for line in lines)
    print(f"{len(lines)} compared over {args.rounds} rounds: {sum(line[-1] == 'FASTER' for line in lines)} faster, "
          f"{slower} slower, the rest within noise")
    return r


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--against", metavar="COMMIT")
    p.add_argument("--rounds", type=int, help="of each program (7 with --against, else 1)")
    p.add_argument("--filter", default=".", metavar="RE", help="only these")
    p.add_argument("--min-time", type=float, default=0.02, help="seconds a benchmark and round (0.02)")
    p.add_argument("--core", type=int, help="run on this core")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    args, rest = p.parse_known_args()
    if args.against:
        if rest:
            p.error(f"{rest[0]}: not together with --against")
        args.rounds = args.rounds or 7
        name = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "--verify", args.against + "^{commit}"],
                              capture_output=True, text=True)
        if name.returncode:
            sys.exit(f"bench micro: no commit {args.against}")
        into = Path(tempfile.mkdtemp(prefix="spate-against-"))
        try:
            r = compare(args, name.stdout.strip(), into)
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", into / "tree"], capture_output=True)
            shutil.rmtree(into, ignore_errors=True)
        return
    if not args.json and not args.rounds:
        os.execv(BUILD / PROGRAM, ["spate-micro", f"--benchmark_filter={args.filter}", *rest])
    r = rows.Rows("micro", args.json)
    for _ in range(args.rounds or 1):
        for name, cycles in run(BUILD / PROGRAM, args, args.min_time).items():
            r.sample(name, "cycles", cycles, "cycles")
    r.finish()


if __name__ == "__main__":
    main()
