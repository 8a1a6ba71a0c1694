"""The rows of the benches and the report made from them: medians, aims, and that no lost row is left out."""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/lib"))
import report  # noqa: E402
import rows  # noqa: E402


def some(path=None):
    r = rows.Rows("http", path)
    for value, other in ((300, 100), (110, 120), (90, 140)):
        r.sample("1 KiB", "rate", value, "req/s", peer="spate")
        r.sample("1 KiB", "rate", other, "req/s", peer="nginx")
        r.sample("1 KiB", "CPU", 2 * value, "s/GB", peer="spate")
        r.sample("1 KiB", "CPU", 4 * other, "s/GB", peer="nginx")
    r.ratio("1 KiB", "rate", 1.3)
    r.ratio("1 KiB", "CPU", 0.7)
    return r


def test_median_of_the_rounds_and_their_spread():
    row = some().find("1 KiB", "rate")["spate"]
    assert row["value"] == 110
    assert rows.spread(row) == "110 (90.0–300)"


def test_aim_is_judged_from_the_side_that_is_better_for_the_unit():
    ratios = {r["metric"]: r for r in some().rows if rows.is_ratio(r)}
    assert ratios["rate ratio"]["value"] == 110 / 120 and not rows.met(ratios["rate ratio"])
    assert ratios["CPU ratio"]["value"] == 220 / 480 and rows.met(ratios["CPU ratio"])


def test_figure_that_is_missing_misses_its_aim():
    r = rows.Rows("http")
    r.failed("1 KiB", "rate", "req/s", "spate", "did not start")
    r.sample("1 KiB", "rate", 1, "req/s", peer="nginx")
    r.ratio("1 KiB", "rate", 1.3)
    assert r.rows[-1]["aim"] == 1.3 and not rows.met(r.rows[-1])
    assert "did not start" in rows.table(r.rows)


def test_each_round_begins_with_another_one():
    assert [names[0] for _, names in rows.interleaved(["a", "b", "c"], 4)] == ["a", "b", "c", "a"]


def test_report_is_made_from_json_alone_and_names_where_a_peer_wins(tmp_path):
    rows.write(tmp_path / "http.json", some().rows)
    (tmp_path / "run.json").write_text(json.dumps({
        "date": "today", "command": "./dev bench all", "commit": "abc", "cpu": "cpu", "cores": 2, "mhz": 2600, "memory_gib": 1,
        "kernel": "6", "congestion": "cubic", "packages": {}, "load_before": 0, "quick": False, "steps": [
            {"name": "http", "program": "compare/http.py", "command": "./dev bench http", "state": "ok", "seconds": 1},
            {"name": "fill", "program": "compare/fill.py", "command": "./dev bench fill", "state": "ended with 1", "seconds": 1}]}))
    text = report.make(tmp_path, tmp_path).read_text()
    assert "1 of 2 are met" in text
    lost = text.split("## Where a peer wins")[1].split("\n## ")[0]
    assert "rate ratio | 0.917 | nginx" in lost and "CPU" not in lost
    assert "ended with 1" in text
