"""
A libtorrent client that fetches one torrent and ends: lt_fetch.py TORRENT|MAGNET FOLDER [SECONDS] [v2].

Nobody is looked for but whom the torrent names: no DHT, no local discovery, no port mapping. v2: a hybrid's SHA-1
hashes are left alone, so that only its SHA-256 swarm and trees count.
"""
import sys
import time

import libtorrent as lt


def main():
    what, folder = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 30
    session = lt.session({"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
                          "listen_interfaces": "0.0.0.0:0", "alert_mask": lt.alert.category_t.all_categories,
                          "allow_multiple_connections_per_ip": True, "urlseed_wait_retry": 1,
                          "urlseed_timeout": 10})
    if what.startswith("magnet:"):
        params = lt.parse_magnet_uri(what)
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(what)
    params.save_path = folder
    t = session.add_torrent(params)
    end = time.monotonic() + seconds
    while not t.status().is_seeding and time.monotonic() < end:
        session.wait_for_alert(200)
        for alert in session.pop_alerts():
            if "url_seed" in type(alert).__name__ or "error" in type(alert).__name__:
                print(alert.what(), alert.message(), flush=True)
    status = t.status()
    print(status.state, f"{status.progress:.3f}", flush=True)
    return 0 if status.is_seeding else 1


if __name__ == "__main__":
    sys.exit(main())
