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
