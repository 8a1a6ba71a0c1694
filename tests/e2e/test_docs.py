"""What the documents say is true: commands exist, configurations load, paths are there."""
import pathlib
import re
import subprocess

import pytest

from net import free_port

TOP = pathlib.Path(__file__).parents[2]
DOCS = [TOP / "README.md", *sorted(TOP.glob("docs/*.md"))]
TEXT = {d.relative_to(TOP).as_posix(): d.read_text() for d in DOCS}


def blocks(kind):
    for name, text in TEXT.items():
        for i, block in enumerate(re.findall(rf"^```{kind}\n(.*?)^```", text, re.S | re.M)):
            yield pytest.param(block, id=f"{name}-{i}")


@pytest.mark.parametrize("block", blocks("yaml"))
def test_configurations_load(spate_bin, work, block):
    """Paths of an example need not exist here nor its ports be free, but every key, size and address must be right."""
    for i, path in enumerate(sorted(set(re.findall(r"(?:dir|path): (/[\w/.-]+)", block)))):
        (work / str(i)).mkdir()
        block = block.replace(path, str(work / str(i)))
    for port in set(re.findall(r":(8080|9090)\b", block)):
        block = block.replace(f":{port}", f":{free_port()}")
    file = work / "example.yaml"
    file.write_text(block)
    done = subprocess.run([spate_bin, "check", "--config", file], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", TEXT)
def test_dev_commands_exist(name):
    known = set(re.findall(r"^(\w+)(?: \| (\w+))*\)|cmd_(\w+)\(\)", (TOP / "dev").read_text(), re.M))
    known = {w for group in known for w in group if w}
    said = set(re.findall(r"\./dev ([a-z]+)", TEXT[name]))
    assert not said - known, said - known


@pytest.mark.parametrize("name", TEXT)
def test_links_and_paths_exist(name):
    text, here = TEXT[name], (TOP / name).parent
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (here / link).exists(), f"{name}: {link}"
    for path in re.findall(r"`((?:dataplane|control|include|tests|bench|docs)/[\w./-]+)`", text):
        assert (TOP / path).exists(), f"{name}: {path}"


STRING = r'"(?:[^"\\]|\\.)*"'


# --- tbl/events.def: what is said, and no other ---

def test_events_are_those_that_the_sources_write():
    table = {name: set(fields.split()) for name, fields in re.findall(
        rf'^SPATE_EVENT\((\w+), \w+, {STRING},\s*"([\w ]*)"\)', (TOP / "include/spate/tbl/events.def").read_text(), re.M)}
    said = {}
    for source in (TOP / "control").rglob("*.c"):
        for name, fields in re.findall(r"spate_event\(\s*(\w+)(.*?)\);\n", source.read_text(), re.S):
            said.setdefault(name, set()).update(
                "error" if kind == "ERR" else key for kind, key in re.findall(r'SPATE_F_(\w+)\(\s*(?:"(\w+)")?', fields))
    assert len(table) > 30  # they are found at all
    assert said == table


# --- operations.md: each message that ends a start is in its table, and the table has no others ---

SAYS = rf"(snprintf\(\s*why,|spate_dpdk_fail\(\s*why,|spate_report_error\(|fprintf\(stderr,|\*why =|(?<!int )cannot\()(.*?);\n"
STARTS = ["control/run.c", "control/dpdk.c", "dataplane/worker.c", "dataplane/backend_dpdk.c",
          "dataplane/stream/net_dgram.c", "dataplane/stream/tcp.c",
          *(f"dataplane/port/{name}.c" for name in ("eal", "dpdk_open", "dpdk_arena"))]
ONLY_INTRODUCE = {"spate: backend dpdk", "spate: cannot start", r"spate: %s: %s\n"}


def messages(source):
    """The formats that a C source ends a start with: of *why and cannot() each string, of a format call the first."""
    for call, rest in re.findall(SAYS, (TOP / source).read_text(), re.S):
        strings = ["".join(s[1:-1] for s in re.findall(STRING, group[0]))
                   for group in re.finditer(rf"{STRING}(?:\s*{STRING})*", rest)]
        if call == "cannot(":
            strings = ["spate: " + s for s in strings]
        yield from strings if call in ("*why =", "cannot(") else strings[:1]


def values_as_stars(text):
    """%u of a format, N or M of the table: anything."""
    return re.sub(r"%[-.*\d]*[hlz]*[a-z]|(?<![A-Z])[NM](?![A-Za-z])", "*", text.replace(r"\"", '"'))


def test_start_up_errors_are_explained():
    table = TEXT["docs/operations.md"].partition("## What a start-up error means")[2]
    quoted = {q: values_as_stars(q) for row in re.findall(r"^\| (`.*?) \|", table, re.M) for q in re.findall("`(.*?)`", row)}
    said = {m: values_as_stars(m) for source in STARTS for m in messages(source) if m not in ONLY_INTRODUCE}
    refused = [values_as_stars(m) for m in messages("control/config/rules_dpdk.c")]
    assert len(said) > 30, said  # they are found at all
    assert not [m for m, text in said.items() if not any(q in text for q in quoted.values())], "in no row"
    assert not [q for q, text in quoted.items() if not any(text in m for m in [*said.values(), *refused])], "said by nobody"
