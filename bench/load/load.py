#!/usr/bin/env python3
"""./dev bench load ...: spate-load of a release build; with no argument, what it can do at most here (--ceiling)."""
import os
import subprocess
import sys

build = os.environ.get("SPATE_BUILD", "build-release")
subprocess.run(["ninja", "-C", build, "bench/load/spate-load"], check=True, stdout=subprocess.DEVNULL)
os.execv(os.path.join(build, "bench/load/spate-load"), ["spate-load", *(sys.argv[1:] or ["--ceiling"])])
