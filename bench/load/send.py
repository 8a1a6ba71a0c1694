#!/usr/bin/env python3
"""./dev bench send: what each way to send from the arena costs on this machine (the table of docs/design/sockets.md)."""
import os
import subprocess
import sys

build = os.environ.get("SPATE_BUILD", "build-release")
subprocess.run(["ninja", "-C", build, "bench/load/send-ways"], check=True, stdout=subprocess.DEVNULL)
sys.exit(subprocess.run([os.path.join(build, "bench/load/send-ways"), *sys.argv[1:]]).returncode)
