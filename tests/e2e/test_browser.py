"""A browser plays the sample through the edge to its end: Media Source Extensions, CORS and all."""
import shutil
import urllib.parse

from net import wait_until
from proc import Process

# What the test adds to the page: go fast, and tell the edge's access log how it went.
REPORT = """
<script type="module">
const video = document.querySelector('video');
video.defaultPlaybackRate = video.playbackRate = 6; // loading resets the latter to the former
const tell = what => fetch(`seen?${new URLSearchParams(what)}`);
video.addEventListener('error', () => tell({state: 'error', text: video.error.message}));
video.addEventListener('ended', () => {
	const q = video.getVideoPlaybackQuality();
	tell({state: 'ended', at: video.currentTime, frames: q.totalVideoFrames, corrupted: q.corruptedVideoFrames});
});
setInterval(() => {
	if (document.body.dataset.state === 'failed') tell({state: 'failed', text: document.querySelector('output').textContent});
}, 500);
</script>
"""


def test_chromium_plays_to_the_end(edge_over, nginx, sample, work):
    root = work / "site"
    shutil.copytree(sample, root)
    (root / "test.html").write_text((root / "player.html").read_text() + REPORT)
    edge = edge_over(nginx(root=root))
    browser = Process("chromium", edge.place.command([
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={work / 'profile'}", edge.url("/test.html")]), work)
    try:
        def report():
            return [r["url"] for r in edge.log() if r["url"].startswith("/seen?")]

        url = wait_until(report, 60, f"the browser's report; it said {browser.err}")[0]
    finally:
        browser.end()
    seen = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    assert seen["state"] == "ended", seen
    assert float(seen["at"]) > 23.5 and seen["corrupted"] == "0" and int(seen["frames"]) > 100
    assert edge.metrics()["http_5xx"] == 0
