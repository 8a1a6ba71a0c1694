#!/usr/bin/python3
"""./dev bench quick: every bench, small; see all.py."""
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent)
# This folder's http.py would hide Python's: all.py takes the folder out of the path when it is read.
import importlib.util  # noqa: E402

spec = importlib.util.spec_from_file_location("bench_all", Path(__file__).resolve().parent / "all.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.main(quick=True)
