"""Frames a second of `export video` on this machine: the built-in encoder and ffmpeg's in one session.

    python bench/video.py PROGRAM [--images 100] [--resolution hd] [--encoders builtin,av1,h264,h265] [--calm]

PROGRAM is `loopscope`, built with `--features video` or `video-asm`. It makes an experiment of 60 runs (6 prompts, 10
seeds) with its own dummy models, whose pictures all change at every step, and makes a video of it with each encoder;
`--calm` lets four of five runs come to rest early instead. Frames a second are frames made by the time of the whole
command. PSNR is ffmpeg's, of the whole video, held against the frames that the encoders were given: a stand-in for
ffmpeg keeps those. Needs ffmpeg, and room for 3 bytes for every 2 pixels of the video.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

PROMPTS = ["a small red circle on a blue background", "a green ring", "fire over the sea", "two yellow squares",
           "a dark forest at night", "many white dots"]
FPS = 10
SIZES = {"hd": "1920x1080", "4k": "3840x2160", "8k": "7680x4320"}
STAND_IN = """#!/bin/sh
case "$*" in
    *-encoders*) echo libx264 ;;
    *) exec cat > "$FRAMES" ;;
esac
"""


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done


def experiment(name, network, images, seeds):
    return "\n".join([f'name = "{name}"', f"networks = [{json.dumps(network)}]", f"prompts = {json.dumps(PROMPTS)}", seeds,
                      'embedding_models = ["DummyText"]', f"max_length = {2 * images}", ""])


def made(program, folder, images, calm):
    """A database with the experiment; returns its path."""
    database, config = os.path.join(folder, "bench.sqlite"), os.path.join(folder, "bench.toml")
    # A seed of its own lets a run end in a cycle, after which its tile stands still; fresh randomness never does.
    seeds = "seeds = [1, 2, 3, 4, 5, 6, 7, 8, -1, -1]" if calm else "seed_count = 10"
    with open(config, "w") as file:
        file.write(experiment("bench", ["DummyT2I", "DummyI2T"], images, seeds))
    run([program, "--db", database, "experiment", "run", config])
    return database


def video(program, database, out, resolution, encoder, environment=None):
    which = ["--encoder", "builtin"] if encoder == "builtin" else ["--encoder", "ffmpeg", "--codec", encoder]
    command = [program, "--db", database, "export", "video", "bench", "--out", out, "--fps", str(FPS), "--resolution",
               resolution, "--json", *which]
    start = time.perf_counter()
    done = run(command, env=environment)
    return json.loads(done.stdout)["written"], time.perf_counter() - start


def psnr(out, frames, size):
    """Of a video against raw frames, in decibels: luma, and all planes."""
    done = run(["ffmpeg", "-hide_banner", "-i", out, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", str(FPS), "-i",
                frames, "-lavfi", f"[0:v]fps={FPS}[made];[made][1:v]psnr", "-f", "null", "-"])
    found = re.search(r"PSNR y:(\S+).* average:(\S+)", done.stderr)
    return found.groups()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--resolution", choices=SIZES, default="hd")
    parser.add_argument("--encoders", default="builtin,av1,h264,h265")
    parser.add_argument("--calm", action="store_true")
    given = parser.parse_args()
    folder = tempfile.mkdtemp()
    try:
        database = made(given.program, folder, given.images, given.calm)
        frames, stand_in = os.path.join(folder, "frames.yuv"), os.path.join(folder, "ffmpeg")
        with open(stand_in, "w") as file:
            file.write(STAND_IN)
        os.chmod(stand_in, 0o755)
        environment = {**os.environ, "PATH": folder + os.pathsep + os.environ["PATH"], "FRAMES": frames}
        written, seconds = video(given.program, database, os.path.join(folder, "none.mp4"), given.resolution, "h264", environment)
        print(f"60 runs x {given.images} images, {'calm' if given.calm else 'all change'}, {given.resolution}, "
              f"{os.cpu_count()} cores")
        print(f"{'drawing alone':22} {written['frames']:4} frames {seconds:6.1f} s {written['frames'] / seconds:6.2f} frames/s",
              flush=True)
        for encoder in given.encoders.split(","):
            out = os.path.join(folder, encoder + ".mp4")
            written, seconds = video(given.program, database, out, given.resolution, encoder)
            luma, all_planes = psnr(out, frames, SIZES[given.resolution])
            print(f"{written['encoder']:22} {written['frames']:4} frames {seconds:6.1f} s {written['frames'] / seconds:6.2f} frames/s "
                  f"{written['bytes'] / 1e6:7.2f} MB, PSNR {luma} dB luma, {all_planes} dB", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
