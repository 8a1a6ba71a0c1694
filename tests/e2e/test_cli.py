"""What a person types: options, configuration files and the lines that say what is wrong."""
import re
import signal
import subprocess
import time

import pytest
import yaml

from net import free_port, wait_until
from proc import Process


def spate(spate_bin, *argv):
    return subprocess.run([spate_bin, *map(str, argv)], capture_output=True, timeout=20, check=False, text=True,
                          stdin=subprocess.DEVNULL)


@pytest.fixture
def check(spate_bin, work):
    """check(config text) -> (exit status, what it said)"""
    def run(text):
        file = work / "spate.yaml"
        file.write_text(text)
        done = spate(spate_bin, "check", "--config", file)
        return done.returncode, done.stdout + done.stderr

    return run


def test_version(spate_bin):
    done = spate(spate_bin, "version")
    assert done.returncode == 0 and re.match(r"spate \S+", done.stdout)


@pytest.mark.parametrize("argv", [[], ["--help"], ["help"]])
def test_help(spate_bin, argv):
    done = spate(spate_bin, *argv)
    said = done.stdout + done.stderr
    assert all(word in said for word in ("run", "check", "stat", "version"))


def test_unknown_command_and_option(spate_bin):
    for argv in (["rum"], ["run", "--orgin", "/tmp"]):
        done = spate(spate_bin, *argv)
        assert done.returncode != 0 and argv[-1 if len(argv) == 1 else 1].lstrip("-") in done.stderr


def test_check_accepts_a_good_file(check, sample):
    port, admin = free_port(), free_port()
    status, said = check(f"listen: [\"127.0.0.1:{port}\"]\nworkers: 1\ncache: {{memory: 64MiB}}\n"
                         f"origins:\n  - {{match: \"/\", dir: {sample}}}\nadmin: \"127.0.0.1:{admin}\"\n")
    assert status == 0, said


@pytest.mark.parametrize("text,where,words", [
    ("liste: [\"127.0.0.1:1\"]\n", "1:1", ["liste", "listen"]),
    ("cache:\n  memroy: 1GiB\n", "2:3", ["memroy", "memory"]),
    ("cache:\n  memory: 1GB!\n", "2:11", ["memory"]),
    ("listen: [\"300.0.0.1:80\"]\n", "1:10", ["300.0.0.1"]),
    ("listen: [\"127.0.0.1:99999\"]\n", "1:10", ["99999"]),
    ("workers: many\n", "1:10", ["workers"]),
    ("timeouts: {header: 5parsecs}\n", "1:20", ["header"]),
    ("listen: [\n", "", []),
], ids=["unknown-key", "unknown-inner-key", "size", "address", "port", "number", "time", "syntax"])
def test_check_says_where(check, text, where, words):
    status, said = check(text)
    assert status == 1
    lines = [x for x in said.splitlines() if "spate.yaml" in x]
    assert any(f"spate.yaml:{where}" in x and all(w in x for w in words) for x in lines), said


def test_check_wants_the_folder_to_exist(check):
    status, said = check("origins:\n  - {match: \"/\", dir: /no/such/folder}\n")
    assert status == 1 and "/no/such/folder" in said


def test_file_that_is_not_there(spate_bin):
    done = spate(spate_bin, "run", "--config", "/no/such/file.yaml")
    assert done.returncode == 1 and "/no/such/file.yaml" in done.stderr


def test_run_without_a_config(spate_bin, work, sample, backend):
    """spate run --origin DIR is a working edge."""
    port = free_port()
    edge = Process("spate", [spate_bin, "run", "--origin", sample, "--listen", f"127.0.0.1:{port}"], work)
    try:
        def answers():
            assert edge.alive(), edge.said()
            done = subprocess.run(["curl", "-fsS", f"http://127.0.0.1:{port}/0/init.mp4"], capture_output=True,
                                  check=False)
            return done.stdout == (sample / "0/init.mp4").read_bytes()

        wait_until(answers, 10, "an answer")
        assert edge.end() == 0 and not edge.findings()
    finally:
        edge.kill()


def test_port_in_use(edge_over, spate_bin, sample):
    edge = edge_over(sample)
    began = time.monotonic()
    done = spate(spate_bin, "run", "--origin", sample, "--listen", f"127.0.0.1:{edge.port}")
    assert done.returncode == 1 and str(edge.port) in done.stderr and "in use" in done.stderr.lower(), done.stderr
    assert time.monotonic() - began < 5


def test_stat_without_an_edge(spate_bin, work):
    file = work / "spate.yaml"
    file.write_text(yaml.safe_dump({"admin": f"127.0.0.1:{free_port()}"}))
    done = spate(spate_bin, "stat", "--config", file)
    assert done.returncode == 1 and done.stderr


def test_ctrl_c(edge_over, sample):
    edge = edge_over(sample)
    edge.process.send(signal.SIGINT)
    edge.stop()
