#!/usr/bin/env python3
"""Makes the bundled sample from ffmpeg's test sources: two presentations of the same 24 seconds.

    /usr/bin/python3 tests/data/make.py          # writes beside itself, into sample/

    sample/stream.mpd      SegmentTemplate with $Number$ and a timeline: three video bitrates, one audio, 2 s
                           segments (isoff-live). ffmpeg asks for a segment too many without a timeline.
    sample/ondemand.mpd    SegmentBase: one video bitrate and the audio, each one file with a sidx
    sample/player.html     player.html, copied: a page that plays stream.mpd

The files are committed, so nobody needs to run this to use them. Encoding is bit-exact and on one thread;
the same ffmpeg gives the same bytes.
"""
import pathlib
import shutil
import struct
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "sample"
SECONDS = 24
SEGMENT = 2
FPS = 25
# name, size, bits a second, H.264 level
VIDEO = [("low", "256x144", 90_000), ("mid", "416x234", 200_000), ("high", "640x360", 420_000)]
AUDIO_RATE = 64_000
LIMIT = 4 << 20

EXACT = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, args)], check=True)


def encode_video(size, rate, to):
    """One closed GOP a segment, so that every segment starts with a key frame at the same time."""
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FPS}:duration={SECONDS}",
           "-c:v", "libx264", "-profile:v", "main", "-preset", "slow", "-threads", 1, "-pix_fmt", "yuv420p",
           "-b:v", rate, "-maxrate", rate * 5 // 4, "-bufsize", rate * 2,
           "-g", FPS * SEGMENT, "-keyint_min", FPS * SEGMENT, "-sc_threshold", 0,
           *EXACT, to)


def encode_audio(to):
    """A little shorter: the encoder's own delay would otherwise make a thirteenth segment of one frame."""
    ffmpeg("-f", "lavfi", "-i", f"sine=frequency=330:beep_factor=4:sample_rate=48000:duration={SECONDS - 0.1}",
           "-ac", 2, "-c:a", "aac", "-b:a", AUDIO_RATE, *EXACT, to)


def template(videos, audio):
    inputs = [a for v in [*videos, audio] for a in ("-i", v)]
    maps = [a for i in range(len(videos) + 1) for a in ("-map", str(i))]
    ffmpeg(*inputs, *maps, "-c", "copy", *EXACT, "-f", "dash", "-seg_duration", SEGMENT,
           "-use_template", 1, "-use_timeline", 1,
           "-init_seg_name", "$RepresentationID$/init.mp4",
           "-media_seg_name", "$RepresentationID$/$Number%03d$.m4s",
           "-adaptation_sets", f"id=0,streams={','.join(str(i) for i in range(len(videos)))} "
           f"id=1,streams={len(videos)}", OUT / "stream.mpd")


def boxes(path):
    """(type, offset, size) of each top-level box of an MP4 file."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        yield kind.decode(), at, size
        at += size


def single_file(src, to):
    """moov, one sidx over the whole file, then moof/mdat pairs; returns (init range, index range)."""
    ffmpeg("-i", src, "-map", 0, "-c", "copy", *EXACT, "-f", "mp4", "-frag_duration", SEGMENT * 1_000_000,
           "-movflags", "+dash+delay_moov+global_sidx+skip_trailer" + ("+frag_keyframe" if to.stem != "audio" else ""), to)
    kinds = list(boxes(to))
    index = [(at, size) for kind, at, size in kinds if kind == "sidx"]
    assert len(index) == 1, kinds
    at, size = index[0]
    return f"0-{at - 1}", f"{at}-{at + size - 1}"


ONDEMAND = """<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"
  type="static" mediaPresentationDuration="PT{seconds}S" minBufferTime="PT{segment}S">
  <Period id="0" start="PT0S">
    <AdaptationSet id="0" contentType="video" subsegmentAlignment="true" subsegmentStartsWithSAP="1">
      <Representation id="mid" mimeType="video/mp4" codecs="avc1.4d4015" bandwidth="{vrate}"
        width="{width}" height="{height}" frameRate="{fps}">
        <BaseURL>ondemand/mid.mp4</BaseURL>
        <SegmentBase indexRange="{vindex}"><Initialization range="{vinit}"/></SegmentBase>
      </Representation>
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio" subsegmentAlignment="true" subsegmentStartsWithSAP="1">
      <Representation id="audio" mimeType="audio/mp4" codecs="mp4a.40.2" bandwidth="{arate}"
        audioSamplingRate="48000">
        <BaseURL>ondemand/audio.mp4</BaseURL>
        <SegmentBase indexRange="{aindex}"><Initialization range="{ainit}"/></SegmentBase>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
"""


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    work = OUT / "work"
    work.mkdir(parents=True)
    (OUT / "ondemand").mkdir()
    for i in range(len(VIDEO) + 1):
        (OUT / str(i)).mkdir()
    videos = []
    for name, size, rate in VIDEO:
        videos.append(work / f"{name}.mp4")
        encode_video(size, rate, videos[-1])
    audio = work / "audio.mp4"
    encode_audio(audio)
    template(videos, audio)
    vinit, vindex = single_file(work / "mid.mp4", OUT / "ondemand/mid.mp4")
    ainit, aindex = single_file(audio, OUT / "ondemand/audio.mp4")
    width, height = VIDEO[1][1].split("x")
    (OUT / "ondemand.mpd").write_text(ONDEMAND.format(
        seconds=SECONDS, segment=SEGMENT, vrate=VIDEO[1][2], arate=AUDIO_RATE, fps=FPS, width=width,
        height=height, vinit=vinit, vindex=vindex, ainit=ainit, aindex=aindex))
    shutil.rmtree(work)
    shutil.copy(HERE / "player.html", OUT)
    total = sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file())
    assert total <= LIMIT, f"{total} bytes are more than {LIMIT}"
    print(f"{OUT.name}: {total / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
