"""What the edge is for: real players play a whole presentation through it, and get the origin's own bytes."""
import subprocess

import pytest

from nginx import Nginx

STREAMS = {"stream.mpd": 4, "ondemand.mpd": 2}


def decode(run, url):
    """Every frame of every stream, decoded and hashed, in a stable order."""
    done = run("ffmpeg", "-nostdin", "-v", "warning", "-i", url, "-map", "0", "-f", "framehash", "-hash", "crc32", "-")
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
    return sorted(x for x in done.stdout.splitlines() if not x.startswith(b"#"))


@pytest.fixture(scope="module")
def decoded(tmp_path_factory, sample):
    """What a player gets straight from the origin."""
    nginx = Nginx(tmp_path_factory.mktemp("reference"), sample)
    yield {mpd: decode(lambda *argv: subprocess.run(argv, capture_output=True, timeout=60, check=False),
                       f"{nginx.url()}/{mpd}") for mpd in STREAMS}
    nginx.stop()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("origin", ["nginx", "folder"])
@pytest.mark.parametrize("mpd", STREAMS)
def test_ffmpeg_decodes_everything(edge_over, nginx, sample, decoded, mpd, origin, family):
    edge = edge_over(nginx() if origin == "nginx" else sample)
    assert len(decoded[mpd]) > 1500
    assert decode(edge.run, edge.url(f"/{mpd}", family)) == decoded[mpd]


@pytest.mark.parametrize("mpd", STREAMS)
def test_second_viewer_costs_the_origin_nothing(edge_over, nginx, decoded, mpd):
    origin = nginx("add_header Cache-Control max-age=600;")
    edge = edge_over(origin)
    assert decode(edge.run, edge.url(f"/{mpd}")) == decoded[mpd]
    asked = len(origin.settled())
    assert decode(edge.run, edge.url(f"/{mpd}")) == decoded[mpd]
    assert len(origin.settled()) == asked


@pytest.mark.parametrize("mpd", STREAMS)
def test_ffprobe_sees_every_representation(edge_over, nginx, mpd):
    edge = edge_over(nginx())
    done = edge.run("ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0",
                    edge.url(f"/{mpd}"))
    names = set(done.stdout.decode().split())
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
    assert names == {"h264", "aac"}


@pytest.mark.parametrize("path,kind", [
    ("/stream.mpd", "application/dash+xml"),
    ("/2/001.m4s", "video/iso.segment"),
    ("/2/init.mp4", "video/mp4"),
])
def test_folder_names_media_types(edge_over, sample, path, kind):
    r = edge_over(sample).get(path)
    assert (r.status, r["Content-Type"].split(";")[0]) == (200, kind)
    assert r.body == (sample / path[1:]).read_bytes()


def test_wrk_without_errors(edge_over, nginx, sample):
    """A short burst from many connections: every answer whole and 200."""
    edge = edge_over(nginx("add_header Cache-Control max-age=600;"))
    assert edge.get("/2/001.m4s").status == 200
    done = edge.run("wrk", "-t1", "-c64", "-d2s", edge.url("/2/001.m4s"))
    said = done.stdout.decode()
    assert done.returncode == 0 and "requests in" in said, said + done.stderr.decode()
    assert "Socket errors" not in said and "Non-2xx" not in said, said
    m = edge.metrics()
    assert m["http_5xx"] == 0 and m["origin_requests"] == 1
