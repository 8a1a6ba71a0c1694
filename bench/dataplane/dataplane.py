#!/usr/bin/env python3
"""./dev bench dataplane: cycles a packet, an ACK, a byte, a request and a connection (bench/dataplane/cost.c)."""
import os
import subprocess
import sys

build = os.environ.get("SPATE_BUILD", "build-release")
subprocess.run(["ninja", "-C", build, "bench/dataplane/spate-cost"], check=True, stdout=subprocess.DEVNULL)
sys.exit(subprocess.run([os.path.join(build, "bench/dataplane/spate-cost"), *sys.argv[1:]]).returncode)
