"""Load on a server: spate-load where it was built and asked for, else wrk. Each says what it measured, or raises Failed."""
import json
import os
import re
import resource
import subprocess
import time
from pathlib import Path

from servers import BUILD, Failed, find

LOAD = Path(os.environ.get("SPATE_LOAD", BUILD / "bench/load/spate-load"))


def have_load():
    return LOAD.exists()


def wrk(here, url, seconds, connections=32, headers=(), threads=1, cores=None, script=None):
    """{requests, rate, seconds, p50_us, p99_us, bytes}: closed loop."""
    seconds = max(1, round(seconds))
    command = [find("wrk"), f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    for h in headers:
        command += ["-H", h]
    if script:
        command += ["-s", script]
    done = subprocess.run(here.client([*command, url], cores), capture_output=True, text=True, timeout=seconds + 60)
    out = done.stdout
    if done.returncode:
        raise Failed(f"wrk {url}: {(done.stderr or out)[-300:]}")
    for bad in ("Socket errors", "Non-2xx"):
        if bad in out:
            raise Failed(f"wrk {url}: {re.search(bad + '.*', out)[0]}")
    requests, took = re.search(r"(\d+) requests in ([\d.]+)(?:s|m)", out).group(1, 2)
    unit = {"us": 1, "ms": 1e3, "s": 1e6}
    quantile = {q: float(v) * unit[u] for q, v, u in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)\b", out)}
    return {"requests": int(requests), "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "seconds": float(took), "p50_us": quantile.get("50"), "p99_us": quantile.get("99")}


def load(here, url, seconds, connections=32, rate=None, headers=(), warmup=0.3, cores=None, more=()):
    """
    The same of spate-load, and p999_us; with a rate: open loop, latency from when a request was due. Bodies are thrown
    away without a copy (MSG_TRUNC).
    """
    command = [LOAD, "--quiet", "--json", "-", "-c", connections, "-d", f"{seconds}s", "--warmup", f"{warmup}s", "--timeout", "10s"]
    for h in headers:
        kind, _, value = h.partition(": bytes=")
        command += ["--range", value] if kind == "Range" else ["-H", h]
    if rate:
        command += ["--rate", f"{rate:.0f}"]
    command += [*more, url]
    done = subprocess.run(here.client(command, cores), capture_output=True, text=True, timeout=seconds + 60)
    try:
        got = {r["metric"]: r["value"] for r in json.loads(done.stdout)}
    except ValueError:
        got = None
    if got is None or got["failed"] or not got["answers"]:
        said = (done.stderr or done.stdout)[-300:]
        if got:
            said = f"{got['failed']:.0f} requests failed" if got["failed"] else f"no answer within {seconds} s"
        raise Failed(f"spate-load {' '.join(map(str, command[1:]))}: {said}")
    return {"requests": got["answers"], "rate": got["requests"], "seconds": got["seconds"], "p50_us": got["latency p50"],
            "p99_us": got["latency p99"], "p999_us": got["latency p99.9"],
            "client_busy": 100 * got["generator busy"]}


def closed(here, url, seconds, connections=32, headers=(), cores=None):
    """The closed loop of every bench; also `client_busy`, the client's share of its core in %."""
    if have_load():
        return load(here, url, seconds, connections, headers=headers, warmup=0, cores=cores)
    began, cpu = time.monotonic(), children_seconds()
    got = wrk(here, url, seconds, connections, headers, 1, cores)
    got["client_busy"] = min(100.0, 100 * (children_seconds() - cpu) / (time.monotonic() - began))
    return got


def warm(here, url, seconds, connections=32, headers=()):
    """Load that nobody measures; what fails here will fail again where it counts."""
    try:
        closed(here, url, seconds, connections, headers)
    except Failed:
        pass


def name():
    return "spate-load" if have_load() else "wrk"


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
