#!/usr/bin/env python3
"""./dev bench dataplane: what our dataplane costs a core, in cycles (bench/dataplane/cost.c, docs/design/cost.md).

    ./dev bench dataplane [--quick] [--rounds N] [--json FILE] ["1 KiB*"...]

The edge and a client of our own in one process, over the memory port (what a NIC with scatter-gather and checksums
leaves to the core) and over net_ring (with mbufs, and checksums in software). Neither is a wire.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

top = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(top / "bench/lib"))
import rows  # noqa: E402  (bench/lib is no package)

p = rows.arguments(__doc__, rounds=3)
p.add_argument("--quick", action="store_true", help="only the cases that have an aim, or are the only ones of a port")
p.add_argument("cases", nargs="*", metavar="CASE", help='"1 MiB, MTU 1500"; "1 KiB*": all that begin so')
args = p.parse_args()
build = Path(os.environ.get("SPATE_BUILD", "build-release"))
subprocess.run(["ninja", "-C", build, "bench/dataplane/spate-cost"], check=True, stdout=subprocess.DEVNULL)
r = rows.Rows("dataplane")
with tempfile.TemporaryDirectory() as tmp:
    out = Path(tmp) / "rows.json"
    for _ in range(1 if args.quick else args.rounds):
        subprocess.run([build / "bench/dataplane/spate-cost", "--json", out, *["--quick"] * args.quick, *args.cases],
                       check=True, stdout=subprocess.DEVNULL)
        for row in json.loads(out.read_text()):
            r.sample(row["case"], row["metric"], row["value"], row["unit"], row["aim"])
r.finish(args.json)
