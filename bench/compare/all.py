#!/usr/bin/python3
"""Every bench in turn, their rows into one folder, and docs/performance.md from it.

  ./dev bench all [DIR]      under half an hour on a quiet machine; --rounds N multiplies what has rounds
  ./dev bench quick [DIR]    the same, small, within five minutes; the report goes into DIR, not into docs/

DIR is build-release/report (or build-release/quick). A bench that fails or passes its time is named in the report; the
others go on. `./dev bench report DIR` makes the report again without measuring.
"""
import argparse
import datetime
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[0] = str(ROOT / "bench/lib")
import report  # noqa: E402
import servers  # noqa: E402

# name, program below bench/, arguments of all, of quick, seconds it may take in all. Rounds are for those that have them.
STEPS = [
    ("micro", "micro/micro.py", ["--rounds", "3"], ["--rounds", "1"], 90),
    ("cost", "dataplane/dataplane.py", ["--rounds", "2"], ["--quick"], 180),
    ("line", "dataplane/line.py", ["--rounds", "2", "--budget", "380"], ["--quick"], 430),
    ("ceiling", "load/load.py", ["--ceiling", "-d", "2s"], ["--ceiling", "-d", "1s"], 60),
    ("http", "compare/http.py", ["--rounds", "3", "--seconds", "1.5"],
     ["--rounds", "1", "--seconds", "1", "--sizes", "1KiB,64KiB,1MiB,8MiB"], 420),
    ("fill", "compare/fill.py", ["--rounds", "7"], ["--rounds", "2"], 90),
    ("zipf", "compare/zipf.py", [], ["--requests", "10000", "--memory", "32", "--skews", "0.9"], 120),
    ("idle", "compare/idle.py", ["--rounds", "1"], ["--connections", "1000"], 120),
    ("latency", "compare/latency.py", ["--rounds", "3", "--seconds", "1.5"], ["--rounds", "1", "--seconds", "1", "--sizes", "1"],
     240),
    ("growth", "compare/growth.py", ["--rounds", "2", "--seconds", "1", "--most", "6"],
     ["--seconds", "1", "--most", "4", "--servers", "spate"], 300),
    ("veth", "compare/veth.py", ["--rounds", "2", "--seconds", "1"],
     ["--rounds", "1", "--seconds", "1", "--servers", "spate-dpdk,spate,nginx"], 300),
]


def machine(quick):
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    git = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 1048576
    tsc = re.search(r"cpu MHz\s*:\s*([\d.]+)", Path("/proc/cpuinfo").read_text())
    packages = {}
    for name in ("nginx-light", "varnish", "trafficserver", "h2o", "wrk", "libdpdk-dev", "liburing-dev", "gcc"):
        v = servers.version(["dpkg-query", "-W", "-f", "${Version}", name])
        if v:
            packages[name] = v
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "command": f"./dev bench {'quick' if quick else 'all'} " + " ".join(sys.argv[1:]),
            "commit": git, "cpu": cpu[1] if cpu else platform.processor(), "cores": len(os.sched_getaffinity(0)),
            "mhz": float(tsc[1]) if tsc else None, "memory_gib": round(memory), "kernel": platform.release(),
            "congestion": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
            "packages": packages, "load_before": os.getloadavg()[0], "quick": quick, "steps": []}


def scaled(args, rounds):
    if rounds is None:
        return args
    return [str(rounds) if i and args[i - 1] == "--rounds" else a for i, a in enumerate(args)]


def run(step, where, quick, rounds, log, left):
    name, program, whole, small, limit = step
    at = [ROOT / "bench" / program, *ROOT.glob(f"bench/*/{Path(program).name}")]
    program = next((str(p.relative_to(ROOT / "bench")) for p in at if p.exists()), None)
    if program is None:
        return None
    if rounds is None:
        limit = min(limit, max(round(left), 5))
    args = scaled(small if quick else whole, rounds)
    file = where / f"{name}.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, ROOT / "bench" / program, *args, "--json", file]
    began, state = time.monotonic(), "ok"
    print(f"--- {name} {' '.join(args)}", flush=True)
    # A group of its own, so that what it started ends with it; SIGTERM first, it has servers and a namespace to end.
    p = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, start_new_session=True, cwd=ROOT,
                         stdin=subprocess.DEVNULL)
    try:
        code = p.wait(limit * max(1, (rounds or 1)))
        if code:
            state = f"ended with {code}"
    except subprocess.TimeoutExpired:
        state = f"stopped after {limit} s"
    finally:  # its time is over, or somebody ends us: it has servers to end, too
        if p.poll() is None:
            p.terminate()
            try:
                p.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, 9)
                p.wait()
    took = time.monotonic() - began
    print(f"    {state}, {took:.0f} s", flush=True)
    return {"name": name, "program": program, "command": f"./dev bench {Path(program).stem} {' '.join(args)}".strip(), "state": state,
            "seconds": round(took)}


def main(quick=False):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir", nargs="?", type=Path, help="folder for the rows")
    p.add_argument("--rounds", type=int, help="of every bench that has rounds")
    p.add_argument("--minutes", type=float, default=5 if quick else 30,
                   help="in all; what does not fit is cut short, and the report says so (%(default)s; with --rounds: no limit)")
    p.add_argument("--only", help="these steps (a,b); rows of the others stay as they are")
    args = p.parse_args()
    where = (args.dir or servers.BUILD / ("quick" if quick else "report")).resolve()
    where.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    about = machine(quick)
    if args.only and (where / "run.json").exists():
        about["steps"] = [s for s in json.loads((where / "run.json").read_text())["steps"] if s["name"] not in args.only.split(",")]
    began = time.monotonic()
    with open(where / "log", "ab") as log:
        for step in STEPS:
            if args.only and step[0] not in args.only.split(","):
                continue
            done = run(step, where, quick, args.rounds, log, began + 60 * args.minutes - time.monotonic())
            if done:
                about["steps"].append(done)
            about["steps"].sort(key=lambda s: [x[0] for x in STEPS].index(s["name"]))
            about["seconds"] = round(time.monotonic() - began)
            (where / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    out = report.make(where, where if quick else ROOT / "docs")
    print(f"{about['seconds']} s; what was printed: {where}/log; the report: {out}")


if __name__ == "__main__":
    main()
