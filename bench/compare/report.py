#!/usr/bin/python3
"""./dev bench report DIR [--out DIR]: docs/performance.md and docs/performance/*.svg from the rows that `all` left in DIR."""
import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[0] = str(ROOT / "bench/lib")
import report  # noqa: E402

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("dir", type=Path)
p.add_argument("--out", type=Path, default=ROOT / "docs", help="folder for performance.md (docs)")
args = p.parse_args()
print(report.make(args.dir, args.out))
