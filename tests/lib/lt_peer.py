#!/usr/bin/python3
"""
A libtorrent client in a process of its own: downloads, says DONE, leaves.

    lt_peer.py SOURCE FOLDER [peer=HOST:PORT]... [then=HOST:PORT] [only=v2] [web] [announce] [seed] [port=N]

SOURCE is a .torrent or a magnet. Web seeds are taken out unless `web`, and then nothing else is asked; trackers
unless `announce`. only=v2 comes by the hybrid's v2 infohash, and has piece layers from its peers.
then= is a peer that it hears of when something has failed its hash. It leaves with CONFUSED when it holds that the v1
and v2 hashes of a hybrid disagree: at times it does while block hashes still come (arvidn/libtorrent issue 6394). So it
does when it has banned everybody it knows: who gave a block of a piece that another one spoiled may be banned too. Of
one whom its smart_ban found out by the block, no peer_ban_alert tells: only the reason for which it left him does.
After a piece that failed it may lose track of one (progress above 1, and nothing is asked for): when nothing has come for
some seconds it is told to look at what it has, as its user would. That pauses it, and a pause sets its sums to nothing:
what they were before is added.
"""
import json
import subprocess
import sys
import time

import libtorrent as lt

CONFUSED = 3
QUIET = 8.0  # seconds
BANNED = (91, 93)  # libtorrent's errors: peer_banned, too_many_corrupt_pieces


def wait_for_links():
    """
    libtorrent listens on, and announces from, the interfaces that are up when it starts. The kernel calls one up as
    much as a second after its cable is in (linkwatch); before, it would have loopback only, for good.
    """
    end = time.time() + 3
    while time.time() < end:
        links = json.loads(subprocess.run(["ip", "-json", "link", "show", "up"], capture_output=True, check=True).stdout)
        if all(x.get("operstate") in ("UP", "UNKNOWN") for x in links):
            return
        time.sleep(0.05)


def main():
    source, folder, *words = sys.argv[1:]
    said = dict(w.split("=", 1) for w in words if "=" in w and not w.startswith("peer="))
    peers = [w[5:].rsplit(":", 1) for w in words if w.startswith("peer=")]
    wait_for_links()
    session = lt.session({
        "listen_interfaces": f"0.0.0.0:{said.get('port', 0)}", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
        "enable_natpmp": False, "enable_outgoing_utp": "utp" in words, "enable_incoming_utp": False,
        "allow_multiple_connections_per_ip": True, "alert_mask": lt.alert.category_t.all_categories & ~(1 << 30),
        "min_reconnect_time": 1, "in_enc_policy": 1, "out_enc_policy": 1, "whole_pieces_threshold": 1000,
    })
    if source.startswith("magnet:"):
        params = lt.parse_magnet_uri(source)
    elif said.get("only") == "v2":  # all that it is told is the SHA-256 of info
        params = lt.parse_magnet_uri(f"magnet:?xt=urn:btmh:1220{lt.torrent_info(source).info_hashes().v2}")
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(source)
    if "announce" not in words:
        params.trackers = []
        params.flags |= lt.torrent_flags.override_trackers
    if "web" not in words:
        params.url_seeds = []
        params.flags |= lt.torrent_flags.override_web_seeds
    params.save_path = folder
    params.flags &= ~lt.torrent_flags.paused
    handle = session.add_torrent(params)
    for host, port in peers:
        handle.connect_peer((host, int(port)))
    known, banned = len(peers) + ("then" in said), set()
    end = time.time() + 120
    said_done, had, moved = False, 0, time.time()
    got = failed = 0  # before the last pause
    while time.time() < end or "seed" in words:
        status = handle.status()
        failing = failed + status.total_failed_bytes
        if "then" in said and failing > 0:
            host, port = said.pop("then").rsplit(":", 1)
            handle.connect_peer((host, int(port)))
        if status.total_payload_download != had:
            had, moved = status.total_payload_download, time.time()
        elif failing > 0 and not status.is_seeding and time.time() - moved > QUIET:
            got, failed, moved = got + had, failing, time.time()
            handle.force_recheck()
        if status.is_seeding and not said_done:
            said_done = True
            print("DONE", got + status.total_payload_download, failing, flush=True)
            if "seed" not in words:
                return 0
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            if "log" not in type(alert).__name__:
                print(alert.message(), file=sys.stderr, flush=True)
            left = isinstance(alert, lt.peer_disconnected_alert) and alert.error.value() in BANNED
            if left or isinstance(alert, lt.peer_ban_alert):
                banned.add(str(alert.endpoint))
                if len(banned) >= known > 0:
                    return CONFUSED
            if isinstance(alert, lt.torrent_error_alert):
                return CONFUSED if alert.error.value() == 217 else 1  # torrent_inconsistent_hashes
    print("TIME", handle.status().progress, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
