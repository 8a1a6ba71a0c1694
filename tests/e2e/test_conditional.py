"""Preconditions between viewer and edge: RFC 9110 section 13."""
import email.utils

import pytest

PATH = "/2/001.m4s"


@pytest.fixture
def edge(edge_over, nginx):
    return edge_over(nginx("add_header Cache-Control max-age=600;"))


def later(date, seconds):
    t = email.utils.parsedate_to_datetime(date).timestamp() + seconds
    return email.utils.formatdate(t, usegmt=True)


def test_validators_are_the_origins(edge):
    r = edge.get(PATH)
    assert r["ETag"] and r["Last-Modified"]
    assert edge.get(PATH)["ETag"] == r["ETag"]


def test_not_modified(edge):
    with edge.connect() as c:
        r = c.get(PATH)
        for headers in ({"If-None-Match": r["ETag"]}, {"If-None-Match": "W/" + r["ETag"]}, {"If-None-Match": "*"},
                        {"If-None-Match": f'"a", {r["ETag"]}, "b"'}, {"If-Modified-Since": r["Last-Modified"]},
                        {"If-Modified-Since": later(r["Last-Modified"], 60)},
                        {"If-None-Match": r["ETag"], "If-Modified-Since": "Thu, 01 Jan 1998 00:00:00 GMT"}):
            n = c.get(PATH, headers=headers)
            assert n.status == 304 and n.body == b"", headers
            assert n["ETag"] == r["ETag"] and n["Cache-Control"] == r["Cache-Control"]
            assert c.get(PATH, "HEAD", headers).status == 304


def test_modified(edge):
    with edge.connect() as c:
        r = c.get(PATH)
        for headers in ({"If-None-Match": '"other"'}, {"If-Modified-Since": later(r["Last-Modified"], -60)},
                        {"If-Modified-Since": "not a date"},
                        {"If-None-Match": '"other"', "If-Modified-Since": r["Last-Modified"]}):
            n = c.get(PATH, headers=headers)
            assert n.status == 200 and n.body == r.body, headers


def test_preconditions_that_fail(edge):
    with edge.connect() as c:
        r = c.get(PATH)
        assert c.get(PATH, headers={"If-Match": '"other"'}).status == 412
        assert c.get(PATH, headers={"If-Match": "W/" + r["ETag"]}).status == 412  # strong comparison
        assert c.get(PATH, headers={"If-Unmodified-Since": later(r["Last-Modified"], -60)}).status == 412
        assert c.get(PATH, headers={"If-Match": r["ETag"]}).body == r.body
        assert c.get(PATH, headers={"If-Match": "*"}).body == r.body
        assert c.get(PATH, headers={"If-Unmodified-Since": r["Last-Modified"]}).body == r.body


def test_not_modified_wins_over_a_range(edge):
    with edge.connect() as c:
        r = c.get(PATH)
        n = c.get(PATH, headers={"If-None-Match": r["ETag"], "Range": "bytes=0-9"})
        assert n.status == 304 and n["Content-Range"] is None


def test_condition_on_a_miss(edge_over, nginx):
    """The edge fetches the whole and then judges: the viewer's condition is not the edge's."""
    origin = nginx("add_header Cache-Control max-age=600;")
    etag = edge_over(origin).get(PATH)["ETag"]
    edge = edge_over(origin)
    assert edge.get(PATH, headers={"If-None-Match": etag}).status == 304
    r = edge.get(PATH)
    assert r.status == 200 and len(r.body) == r.length


def test_folder_has_validators(edge_over, folder):
    (folder / "x").write_bytes(b"one")
    edge = edge_over(folder)
    with edge.connect() as c:
        r = c.get("/x")
        assert r["Last-Modified"] and r["ETag"]
        assert c.get("/x", headers={"If-None-Match": r["ETag"]}).status == 304
        assert c.get("/x", headers={"If-Modified-Since": r["Last-Modified"]}).status == 304
