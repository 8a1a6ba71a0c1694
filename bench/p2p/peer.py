"""
One peer of the swarm bench: a libtorrent session in the namespace that it was started in. Lines of JSON on both sides:

    peer.py TORRENT FOLDER [--seed] [--http]      prints {"ready": 1} when it listens
    stdin  "go"      starts; prints {"done": seconds of CLOCK_MONOTONIC} when it has everything
    stdin  "stop"    prints {"uploaded": bytes, "downloaded": ..., "failed": ..., "redundant": ...} and ends
    --trace          with it "trace": each second [s, pieces, [address, bytes down, bytes up, requests open], ...]

Nothing but the peer wire over TCP, trackers and peer exchange; upload slots for everybody, so that the experiment
measures the protocol and not the settings of one client.
"""
import argparse
import json
import sys
import threading
import time

import libtorrent as lt

SETTINGS = {
    "listen_interfaces": "0.0.0.0:6881",
    "enable_outgoing_utp": False, "enable_incoming_utp": False,
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "unchoke_slots_limit": -1, "unchoke_interval": 1, "connections_limit": 200, "torrent_connect_boost": 60,
    "min_announce_interval": 5, "peer_connect_timeout": 3, "min_reconnect_time": 1,
    "out_enc_policy": 2, "in_enc_policy": 2,  # none: the same bytes in every arm
    "smooth_connects": False, "rate_limit_ip_overhead": False,
    "choking_algorithm": 0, "seed_choking_algorithm": 0, "request_queue_time": 1, "max_out_request_queue": 250,
    "announce_to_all_trackers": True, "announce_to_all_tiers": True, "alert_mask": 0,
}


def say(**what):
    print(json.dumps(what), flush=True)


def look(torrent):
    peers = [[p.ip[0], p.total_download, p.total_upload, p.download_queue_length] for p in torrent.get_peer_info()]
    return [torrent.status().num_pieces, *peers]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("torrent")
    p.add_argument("folder")
    p.add_argument("--seed", action="store_true", help="the folder holds the file already")
    p.add_argument("--http", action="store_true", help="take web seeds too")
    p.add_argument("--trace", action="store_true")
    a = p.parse_args()
    session = lt.session(SETTINGS)
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(a.torrent)
    params.save_path = a.folder
    params.flags |= lt.torrent_flags.paused
    params.flags &= ~lt.torrent_flags.auto_managed
    if a.seed:
        params.flags |= lt.torrent_flags.seed_mode
    torrent = session.add_torrent(params)
    if not a.http:
        for url in list(torrent.url_seeds()):
            torrent.remove_url_seed(url)
    stop = threading.Event()

    def listen():
        for line in sys.stdin:
            if line.strip() == "go":
                torrent.resume()
            else:
                break
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    say(ready=1)
    done, trace, began = a.seed, [], time.monotonic()
    while not stop.wait(0.02):
        if a.trace and time.monotonic() >= began + len(trace):
            trace.append([round(time.monotonic() - began, 1), *look(torrent)])
        if not done and torrent.status().is_seeding:
            done = True
            say(done=time.monotonic())
    s = torrent.status()
    say(uploaded=s.total_payload_upload, downloaded=s.total_payload_download, failed=s.total_failed_bytes,
        redundant=s.total_redundant_bytes, **({"trace": trace} if a.trace else {}))


main()
