"""
Fixtures of the end-to-end suite. Every case goes through `edge_over` (or what is made of it), and so runs once for
each backend in $SPATE_BACKENDS (default: sockets; NAME:some and NAME:scale run the files of PARTS only).
$SPATE_LANE, as in 2/3: the second third of all cases. A run as root has a network of its own, so that any number may run at once.

    backend     how clients reach the edge (tests/lib/backend.py)
    edge_over   edge_over(origin, ...) starts an edge; teardown ends it by SIGTERM and looks at how it went
    nginx       nginx(server="location ...") starts a real origin over the sample
    scripted    an origin that does what the test says
    work        a folder of the test's own that other users may enter
"""
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "lib"))

from backend import BACKENDS  # noqa: E402
from edge import Edge  # noqa: E402
from lane import Deadline, mine, own_network  # noqa: E402
from nginx import Nginx  # noqa: E402
from scripted import ScriptedOrigin  # noqa: E402

CHOSEN = os.environ.get("SPATE_BACKENDS", "sockets").split(",")
PARTS = {"some": ("test_dash.py", "test_range.py", "test_coalesce.py", "test_http_framing.py"), "scale": ("test_scale.py",)}
# These start DPDK by themselves, whatever the backend: only where a backend of $SPATE_BACKENDS is DPDK, and the long
# ones only where one is DPDK for the whole suite.
DPDK = ("test_net.py", "test_exception.py", "test_strays.py", "test_dpdk_net.py", "test_dpdk_port.py", "test_dpdk_wires.py")
LONG_DPDK = ("test_impaired.py",)


def pytest_configure(config):
    if not config.option.collectonly:
        own_network()
    config.addinivalue_line("markers", "slow(s): the case takes about so many seconds; for sharing them out")
    config.addinivalue_line("markers", "workers(n): the case needs n workers; left out where a device cannot carry them")
    config.addinivalue_line("markers", "kernel_tcp: the case asks the kernel about connections; left out where TCP is ours")


def pytest_collection_modifyitems(config, items):
    part = {name: PARTS[of] for name, _, of in (b.partition(":") for b in CHOSEN) if of}
    dpdk = [b for b in CHOSEN if b.startswith("dpdk")]

    def chosen(item):
        if item.path.name in DPDK and not dpdk:
            return False
        if item.path.name in LONG_DPDK and not any(":" not in b for b in dpdk):
            return False
        name = item.callspec.params.get("backend") if hasattr(item, "callspec") else None
        workers = item.get_closest_marker("workers")
        if name is None:
            return True
        return item.path.name in part.get(name, (item.path.name,)) and \
            not (workers and workers.args[0] > BACKENDS[name].most_workers) and \
            not (item.get_closest_marker("kernel_tcp") and name.startswith("dpdk"))

    keep = [x for x in items if chosen(x)]
    if lane := os.environ.get("SPATE_LANE"):
        keep = mine(keep, lane, cost)
    left = set(keep)
    config.hook.pytest_deselected(items=[x for x in items if x not in left])
    items[:] = keep


def cost(item):
    """Seconds, roughly."""
    slow = item.get_closest_marker("slow")
    return slow.args[0] if slow else 1


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Under CI nothing may be skipped: a missing piece is a failure there."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped under CI: {report.longrepr}"
    setattr(item, f"report_{report.when}", report)


@pytest.fixture(autouse=True)
def deadline():
    """A case that hangs fails, with a stack, instead of holding up all others."""
    def over():
        raise AssertionError("this case took more than 180 s")

    ends = Deadline(180, over)
    yield
    ends.end()


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ.get("SPATE_BUILD", TESTS.parent / "build")).resolve()


@pytest.fixture(scope="session")
def spate_bin(build):
    """A copy that every user may run: the tree may lie in a folder that only its owner may enter."""
    with tempfile.TemporaryDirectory(prefix="spate-bin-") as folder:
        os.chmod(folder, 0o755)
        yield shutil.copy2(build / "spate", folder)


@pytest.fixture(scope="session")
def sanitized(build):
    """Timing limits are for the plain build; a sanitizer makes everything several times slower."""
    return "asan" in build.name or "tsan" in build.name


@pytest.fixture(scope="session")
def sample():
    return TESTS / "data/sample"


@pytest.fixture(scope="session", params=[b.split(":")[0] for b in CHOSEN])
def backend(request):
    chosen = BACKENDS[request.param]()
    with tempfile.TemporaryDirectory(prefix="spate-backend-") as folder:
        chosen.setup(pathlib.Path(folder))
        yield chosen
        chosen.teardown()


@pytest.fixture
def work(request):
    """Kept, and named in the output, when the test failed."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spate-e2e-"))
    folder.chmod(0o755)
    yield folder
    reports = [getattr(request.node, f"report_{when}", None) for when in ("setup", "call")]
    if getattr(request.node, "edge_failed", False) or any(r and r.failed for r in reports):
        print(f"left for you to look at: {folder}")
        for name in ("spate.err", "spate.yaml", "access.log"):
            for f in sorted(folder.rglob(name)):
                print(f"--- {f}\n{f.read_text(errors='replace')[-3000:]}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def edge_over(request, spate_bin, backend, work):
    """edge_over(origin, **config): origin is a URL, a folder, an origin object, or a list of config entries."""
    edges = []

    def start(origin, user=None, ready=True, files=None, **config):
        if hasattr(origin, "url"):
            origin = origin.url()
        if not isinstance(origin, list):
            text = str(origin)
            origin = [{"match": "/", ("url" if "://" in text else "dir"): text}]
        folder = work / f"edge{len(edges)}"
        folder.mkdir()
        edges.append(Edge(spate_bin, folder, backend, {"origins": origin, **config}, user, ready, files))
        return edges[-1]

    yield start
    problems = []
    for edge in edges:
        try:
            edge.stop()
        except AssertionError as e:
            problems.append(str(e))
    request.node.edge_failed = bool(problems)
    assert not problems, "\n".join(problems)


@pytest.fixture
def nginx(work, sample):
    started = []

    def start(server="", root=sample, http="", port=None):
        started.append(Nginx(work / f"nginx{len(started)}", root, server, http, port))
        return started[-1]

    yield start
    for n in started:
        n.stop()


@pytest.fixture
def scripted():
    origin = ScriptedOrigin()
    yield origin
    origin.stop()


@pytest.fixture
def folder(work):
    """An empty folder for a directory origin."""
    made = work / "content"
    made.mkdir()
    return made
