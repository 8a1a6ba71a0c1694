"""docs/performance.md from the rows of a run: what was measured, where we miss an aim, where a peer wins, and arithmetic.

    make(folder with run.json and NAME.json, folder to write performance.md and performance/*.svg to) -> the file

Prose that no row can say stands in bench/compare/notes/NAME.md and is taken over as it is. Nothing here measures.
"""
import ast
import json
from pathlib import Path

import plots
import rows

ROOT = Path(__file__).resolve().parent.parent.parent
NOTES = ROOT / "bench/compare/notes"
TITLES = {"http": "Hot hits on sockets", "fill": "A cold fill, first and second viewer", "zipf": "Hit rate, working set larger than memory",
          "idle": "Memory of an idle connection", "latency": "Latency at a constant rate", "growth": "How cost grows",
          "veth": "DPDK beside the kernel's TCP, over a veth", "cost": "The dataplane, cycles of one core", "wake": "What a sleeping worker costs",
          "line": "The dataplane, on a wire that is not the limit", "ceiling": "What the load generator can do",
          "micro": "Single functions"}
ORDER = ["http", "fill", "latency", "idle", "zipf", "veth", "line", "cost", "wake", "growth", "ceiling", "micro"]
NIC_GBIT = (25, 100, 200, 400)
MTU_PAYLOAD = 1448 / 1538  # timestamps on; 38 bytes of Ethernet around 1500
CORES_SHARE = 0.8          # of a core's cycles that are planned for


def first_of_doc(program):
    """The docstring of a bench: its first paragraphs are how the report explains it."""
    try:
        return ast.get_docstring(ast.parse((ROOT / "bench" / program).read_text())) or ""
    except (OSError, SyntaxError):
        return ""


def make(where, out):
    where, out = Path(where), Path(out)
    about = json.loads((where / "run.json").read_text())
    measured = {}
    for step in about["steps"]:
        file = where / f"{step['name']}.json"
        if file.exists():
            measured[step["name"]] = rows.read(file)
    drawn = plots.draw(measured, out / "performance")
    text = [head(about), aims(measured), behind(measured)]
    for name in ORDER:
        step = next((s for s in about["steps"] if s["name"] == name), None)
        if step:
            text.append(section(name, step, measured.get(name), drawn.get(name, [])))
    text.append(arithmetic(measured, about))
    file = out / "performance.md"
    file.write_text("\n\n".join(t.strip() for t in text if t) + "\n")
    return file


def head(about):
    kind = "A small run (`quick`): one round of a second each. " if about["quick"] else ""
    lines = ["<!-- made by ./dev bench all from rows of measurements (bench/lib/report.py): do not edit -->", "# Performance", "",
             f"{kind}Measured {about['date']}, commit {about['commit']}, with `{about['command'].strip()}`, {about.get('seconds', 0)} s in all. "
             "Medians, with the lowest and the highest round in brackets. Only figures of one run compare.", "",
             f"- Machine: {about['cores']} × {about['cpu']}" + (f", {about['mhz']:.0f} MHz" if about["mhz"] else "") +
             f", {about['memory_gib']} GiB; Linux {about['kernel']}; load average before: {about['load_before']:.2f}.",
             "- Versions: " + ", ".join(f"{k} {v}" for k, v in about["packages"].items()) + ".",
             "- Server on one core, client and origin on the other, CUBIC for everybody; configurations with a reason a line: "
             "[bench/compare/conf](../bench/compare/conf), rules: [bench/compare/README.md](../bench/compare/README.md).", "",
             "| step | command | seconds | |", "| --- | --- | --- | --- |"]
    lines += [f"| {s['name']} | `{s['command']}` | {s['seconds']} | {s['state'] if s['state'] != 'ok' else ''} |" for s in about["steps"]]
    return "\n".join(lines)


def everything(measured):
    return [r for name in ORDER for r in measured.get(name, [])]


def aims(measured):
    with_aim = [r for r in everything(measured) if r["aim"] is not None]
    if not with_aim:
        return ""
    reached = sum(bool(rows.met(r)) for r in with_aim)
    lines = [f"## Aims\n\n{reached} of {len(with_aim)} are met.\n", "| bench | case | what | value | aim | |", "| --- | --- | --- | --- | --- | --- |"]
    for r in with_aim:
        value = rows.number(r["value"]) + (f" × {r['peer'] or '–'}" if rows.is_ratio(r) else f" {r['unit']}")
        lines.append(f"| {r['bench']} | {r['case']} | {r['metric']} | {value} | {'≤' if rows.less(r) else '≥'} {rows.number(r['aim'])} | "
                     f"{'met' if rows.met(r) else '**missed**'} |")
    return "\n".join(lines)


def behind(measured):
    lost = [r for r in everything(measured) if rows.is_ratio(r) and r["value"] is not None
            and r["bench"] != "micro" and (r["value"] > 1 if rows.less(r) else r["value"] < 1)]
    lines = ["## Where a peer wins\n"]
    if not lost:
        return lines[0] + "\nIn no row of this run."
    lines += ["| bench | case | what | Spate, times the peer | peer |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {r['bench']} | {r['case']} | {r['metric']} | {rows.number(r['value'])} | {r['peer']} |" for r in lost]
    return "\n".join(lines)


def section(name, step, found, drawn):
    doc = first_of_doc(step["program"]).split("\n\n")
    said = "\n\n".join(p for p in doc if not p.startswith(" ") and "./dev bench" not in p)
    parts = [f"## {TITLES.get(name, name)}", said, f"`{step['command']}`"]
    if step["state"] != "ok":
        parts.append(f"**This step {step['state']}.**")
    if found:
        parts += [f"![{d.stem}](performance/{d.name})" for d in drawn]
        parts.append(rows.table(found, markdown=True))
    else:
        parts.append("No rows.")
    note = NOTES / f"{name}.md"
    if note.exists():
        parts.append(note.read_text())
    return "\n\n".join(p.strip() for p in parts if p.strip())


def value(measured, bench, case, metric):
    for r in measured.get(bench, []):
        if r["case"] == case and r["metric"] == metric and r["value"] is not None:
            return r["value"]
    return None


def arithmetic(measured, about):
    hz = about["mhz"] * 1e6 if about["mhz"] else None
    plain = value(measured, "cost", "1 MiB, MTU 1500", "cycles/byte")
    tso = value(measured, "cost", "1 MiB, TSO 60 KiB", "cycles/byte")
    copied = value(measured, "micro", "memory_copy/1024", "cycles")
    read = value(measured, "micro", "memory_read/1024", "cycles")
    if not hz or plain is None or tso is None or copied is None or read is None:
        return ""
    copy_rate, read_rate = (1 << 20) / copied * hz / 1e9, (1 << 20) / read * hz / 1e9
    lines = ["## Arithmetic towards faster NICs", "",
             "**Nothing in this section was measured on such a NIC.** It is multiplication of figures of this run, and each assumption is named:", "",
             f"1. The edge's cost is {plain:.3f} cycles a byte without TSO and {tso:.3f} with it (`cost` above: payload untouched, checksums and gather "
             f"by the NIC, mbuf and driver work not in it), at {hz / 1e9:.2f} GHz.",
             "2. The driver costs as much again as a NIC's own poll-mode driver usually does: 60 cycles a descriptor pair and packet, one packet of 1448 "
             "payload bytes without TSO, one of 60 KiB with it. This is an assumption, not a figure of ours.",
             f"3. Of a line rate R, {MTU_PAYLOAD:.3f} is payload (MTU 1500, TCP timestamps, 38 bytes of Ethernet a frame).",
             f"4. A core is planned at {CORES_SHARE:.0%}, and cores scale alike: nothing is shared between workers but the index, which hits only read.",
             "5. The working set does not fit the caches, so the NIC reads each payload byte from memory once; the CPU never does. A share m of what is "
             "sent is filled from origins: written once by DMA or a copy, and read and written once more by control's copy into the cache.",
             f"6. One core of this machine copies {copy_rate:.1f} GB/s and reads {read_rate:.1f} GB/s from memory. A whole socket's memory is "
             "assumed at 150 GB/s usable (eight channels of DDR4-3200 are 205 GB/s by their data sheet).", "",
             "| NIC | payload GB/s | cores, no TSO | cores, TSO | memory GB/s, m = 0 | m = 5 % | share of 150 GB/s at 5 % |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for gbit in NIC_GBIT:
        payload = gbit / 8 * MTU_PAYLOAD
        cores = [payload * 1e9 * (c + 60 / per) / (hz * CORES_SHARE) for c, per in ((plain, 1448), (tso, 61440))]
        filled = payload * (1 + 3 * 0.05)
        lines.append(f"| {gbit} Gbit/s | {payload:.1f} | {cores[0]:.2f} | {cores[1]:.2f} | {payload:.1f} | {filled:.1f} | {filled / 150:.0%} |")
    lines += ["", "Where it would break first: "
              f"a design that copies each byte once on the CPU needs {NIC_GBIT[-1] / 8 * MTU_PAYLOAD / copy_rate:.1f} cores of this kind for "
              f"{NIC_GBIT[-1]} Gbit/s in `memcpy` alone, and three times the payload rate of memory traffic. PCIe is left out: 400 Gbit/s wants 16 lanes of generation 5."]
    return "\n".join(lines)
