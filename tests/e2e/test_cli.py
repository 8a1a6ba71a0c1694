"""What a person types: options, configuration files and the lines that say what is wrong."""
import http.server
import json
import re
import socket
import subprocess
import threading
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


def test_check_says_everything_at_once(check):
    status, said = check("workers: many\nlog: {format: xml}\nadmin: 1\n")
    assert status == 1 and len(said.splitlines()) == 3, said


def test_bad_usage_is_one_line_and_status_2(spate_bin):
    for argv, word in ((["rum"], "run"), (["run", "--orgin", "/"], "--origin"), (["run", "--memory"], "SIZE"),
                       (["check", "--set", "timeout.idle=1s"], "timeouts.idle"), (["purge"], "URL"),
                       (["version", "now"], "now")):
        done = spate(spate_bin, *argv)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and word in done.stderr, (argv, done)


def test_options_win_over_the_file(spate_bin, work):
    file = work / "spate.yaml"
    file.write_text("workers: 2\ntimeouts: {idle: 1s, send: 9s}\norigins: [{dir: /nowhere}]\n")
    done = spate(spate_bin, "check", "--print", "--config", file, "--workers", 1, "--set=timeouts.idle=90s",
                 "--origin", "/live=/srv", "--origin", "http://h:81/base", "--listen", "[::1]:81", "--admin", "off")
    assert done.returncode == 0, done.stderr
    said = yaml.safe_load(done.stdout)
    assert said["workers"] == 1 and said["timeouts"]["idle"] == "90s" and said["timeouts"]["send"] == "9s"
    assert said["origins"] == [{"match": "/live", "dir": "/srv"}, {"match": "/", "url": "http://h:81/base"}]
    assert said["listen"] == ["[::1]:81"] and said["admin"] == []


def test_the_option_is_named_when_its_value_is_wrong(spate_bin):
    done = spate(spate_bin, "run", "--origin", "/", "--memory", "2GB")
    assert done.returncode == 1 and re.match(r'--memory: .*"2GB"', done.stderr) and done.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--print", "--print-defaults"])
def test_what_it_prints_it_takes_back(spate_bin, work, option):
    file = work / "spate.yaml"
    argv = ["check", option] + (["--origin", "http://a", "--origin", '/q=/a "b" \\'] if option == "--print" else [])
    file.write_text(spate(spate_bin, *argv).stdout)
    again = spate(spate_bin, "check", "--print", "--config", file)
    assert again.returncode == 0, again.stderr
    if option == "--print":
        assert again.stdout == file.read_text()


@pytest.fixture
def fake_admin():
    """A server that answers as the admin endpoint of an edge would: fake_admin.said is what it was asked."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        answers = {"/stat": (200, {"version": "9.9", "state": "serving", "workers": [{"id": 0}],
                                   "total": {"http_hit": 12345}, "cache": {"pins": 7}}),
                   "/purge?url=/a%20b%3Fc%3D%25": (200, {"purged": 1}), "/drain": (202, {})}

        def log_message(self, *args):
            pass

        def do_GET(self):
            self.server.said.append((self.command, self.path))
            status, body = self.answers.get(self.path, (404, {"purged": 0}))
            body = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", len(body) + self.server.lie)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.said, server.lie, server.addr = [], 0, f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_stat_is_a_table_or_json(spate_bin, fake_admin):
    done = spate(spate_bin, "stat", "--admin", fake_admin.addr)
    assert done.returncode == 0 and re.search(r"^http_hit +12345  Requests ", done.stdout, re.M), done
    assert re.search(r"^pins +7$", done.stdout, re.M) and re.search(r"^state +serving$", done.stdout, re.M)
    raw = spate(spate_bin, "stat", "--json", "--admin", fake_admin.addr)
    assert json.loads(raw.stdout)["total"] == {"http_hit": 12345}


def test_purge_and_drain(spate_bin, fake_admin):
    assert spate(spate_bin, "purge", "--admin", fake_admin.addr, "/a b?c=%").returncode == 0
    gone = spate(spate_bin, "purge", "--admin", fake_admin.addr, "/other")
    assert gone.returncode == 1 and "/other" in gone.stderr
    assert spate(spate_bin, "drain", "--admin", fake_admin.addr).returncode == 0
    assert fake_admin.said == [("POST", "/purge?url=/a%20b%3Fc%3D%25"), ("POST", "/purge?url=/other"),
                               ("POST", "/drain")]


def test_stat_purge_and_drain_of_an_edge(edge_over, spate_bin, sample):
    edge = edge_over(sample)
    admin = ["--config", edge.file]
    body = edge.get("/0/init.mp4").body
    said = spate(spate_bin, "stat", *admin).stdout
    assert re.search(r"^http_miss +1 ", said, re.M) and re.search(r"^state +serving$", said, re.M), said
    assert spate(spate_bin, "purge", *admin, "/0/init.mp4").returncode == 0
    assert spate(spate_bin, "purge", *admin, "/0/init.mp4").returncode == 1
    assert edge.get("/0/init.mp4").body == body
    assert re.search(r"^http_miss +2 ", spate(spate_bin, "stat", *admin).stdout, re.M)
    assert spate(spate_bin, "drain", *admin).returncode == 0
    wait_until(lambda: not edge.alive(), 5, "the drained edge gone")
    assert edge.process.popen.returncode == 0
    edge.stopped = True


def test_check_of_a_running_edge(edge_over, spate_bin, sample):
    """Before a reload its own ports are no finding; before a start they are, and it is named."""
    edge = edge_over(sample)
    assert spate(spate_bin, "check", "--running", "--config", edge.file).returncode == 0
    done = spate(spate_bin, "check", "--config", edge.file)
    assert done.returncode == 1 and f"in use by spate (pid {edge.pid})" in done.stderr, done.stderr


def test_an_answer_that_was_cut_is_no_answer(spate_bin, fake_admin):
    fake_admin.lie = 10
    done = spate(spate_bin, "stat", "--admin", fake_admin.addr)
    assert done.returncode == 1 and not done.stdout and fake_admin.addr in done.stderr


def test_check_wants_the_folder_to_exist(check):
    status, said = check("origins:\n  - {match: \"/\", dir: /no/such/folder}\n")
    assert status == 1 and "/no/such/folder" in said


def test_file_that_is_not_there(spate_bin):
    done = spate(spate_bin, "run", "--config", "/no/such/file.yaml")
    assert done.returncode == 1 and "/no/such/file.yaml" in done.stderr


def test_run_without_a_config(spate_bin, work, sample, backend):
    """spate run --origin DIR is a working edge; --backend dpdk, and where its device is, the only difference."""
    place = backend.place(free_port())
    edge = Process("spate", [spate_bin, "run", "--origin", sample, *place.argv(work / "device.yaml")], work)
    try:
        wait_until(lambda: b"ready" in edge.said() or not edge.alive(), 15, "ready")
        place.started()

        def answers():
            assert edge.alive(), edge.said()
            done = subprocess.run(place.command(["curl", "-fsS", f"http://{place.hosts[4]}:{place.port}/0/init.mp4"]),
                                  capture_output=True, check=False)
            return done.stdout == (sample / "0/init.mp4").read_bytes()

        wait_until(answers, 10, "an answer")
        assert edge.end() == 0 and not edge.findings()
    finally:
        edge.kill()
        place.close()


def test_port_in_use(spate_bin, sample):
    """A port of the kernel's; with DPDK every port of an address is Spate's own."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        began = time.monotonic()
        done = spate(spate_bin, "run", "--origin", sample, "--listen", f"127.0.0.1:{port}")
        assert done.returncode == 1 and str(port) in done.stderr and "in use" in done.stderr.lower(), done.stderr
        assert time.monotonic() - began < 5


def test_stat_without_an_edge(spate_bin, work):
    file = work / "spate.yaml"
    file.write_text(yaml.safe_dump({"admin": f"127.0.0.1:{free_port()}"}))
    done = spate(spate_bin, "stat", "--config", file)
    assert done.returncode == 1 and done.stderr
