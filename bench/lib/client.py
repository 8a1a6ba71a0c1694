"""Load on a server: spate-load where it was built and asked for, else wrk. Each says what it measured, or raises Failed."""
import json
import re
import resource
import subprocess
import time

from servers import BUILD, Failed, find

LOAD = BUILD / "bench/load/spate-load"


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


def load(here, args, seconds):
    """{metric: value} of spate-load's rows; an answer that was wrong or missing raises."""
    command = [LOAD, "--quiet", "--json", "-", *args]
    done = subprocess.run(here.client(command), capture_output=True, text=True, timeout=seconds + 60)
    try:
        rows = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"spate-load {' '.join(map(str, args))}: {(done.stderr or done.stdout)[-300:]}") from None
    if done.returncode:
        raise Failed(f"spate-load {' '.join(map(str, args))}: {done.stderr[-300:]}")
    return {r["metric"]: r["value"] for r in rows}


def closed(here, url, seconds, connections=32, headers=(), threads=1, cores=None):
    """The closed loop of every bench: what wrk() returns and the client's own share of its core, `client_busy` %."""
    began, cpu = time.monotonic(), children_seconds()
    got = wrk(here, url, seconds, connections, headers, threads, cores)
    got["client_busy"] = min(100.0, 100 * (children_seconds() - cpu) / (time.monotonic() - began))
    return got


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
