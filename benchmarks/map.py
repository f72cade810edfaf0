"""A library as an instrument: how long it takes to open, how long from a click to its sound.

`python -m benchmarks.map` takes the drum recordings and 10,000 synthesised ones; a further number,
such as 100000, is tried too (100,000 sounds take 6 GB of disk and several minutes).
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile as sf

from samplevae_lib.datasets import download, drums
from samplevae_lib.datasets.stand_ins.drums import drum_clips

CLICKS, RATE = 400, 44100


def run(*counts: int) -> str:
    """Every library in processes of its own: opened for the first time, then again."""
    lines = [f"{os.cpu_count()} cores, {CLICKS} clicks at random places; times in seconds"]
    lines += _told("drum recordings", download.obtain(drums.archive()))
    for count in (10_000, *counts):
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder), count)
            lines += _told(f"{count:,} synthesised drums", Path(folder))
    return "\n".join(lines)


def fill(folder: Path, count: int) -> None:
    """Write so many different drum hits as WAV, 0.1 to 2 s long."""
    clips = drum_clips(per_class=-(-count // 8), sample_rate=RATE, seed=0)
    for number, clip in zip(range(count), clips, strict=False):
        place = folder / clip.label / f"{number:06}.wav"
        place.parent.mkdir(exist_ok=True)
        sf.write(place, clip.audio, RATE)


def _told(name: str, folder: Path) -> list[str]:
    with tempfile.TemporaryDirectory() as data, _data_in(data):
        return [name, *(f"  {when:5} {_apart(opened, folder)}" for when in ("cold", "again"))]


@contextmanager
def _data_in(folder: str) -> Iterator[None]:
    """Let the cache be a folder that is empty at first."""
    before = os.environ.get("SAMPLEVAE_DATA")
    os.environ["SAMPLEVAE_DATA"] = folder
    try:
        yield
    finally:
        os.environ.pop("SAMPLEVAE_DATA")
        if before is not None:
            os.environ["SAMPLEVAE_DATA"] = before


def _apart(function: Callable[[Path], str], folder: Path) -> str:
    """In a fresh process, so that nothing is warm and its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, folder).result()


def opened(folder: Path) -> str:
    """Open a library, click on its map and say how long it took."""
    started = time.perf_counter()
    from samplevae_lib import library

    imported = time.perf_counter()
    lib = library.open(folder)
    ready = time.perf_counter()
    seconds, of_audio = [], 0
    for place in np.random.default_rng(0).uniform(size=(CLICKS, 2)):
        before = time.perf_counter()
        made = lib.make(place)
        seconds.append(time.perf_counter() - before)
        of_audio += len(made.audio) / lib.sample_rate
    middle, late = np.percentile(seconds, [50, 95])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"{len(lib)} sounds: imports {imported - started:.1f}, open {ready - imported:.2f}; click: "
        f"first {seconds[0]:.4f}, median {middle:.4f}, 95 % within {late:.4f}, of "
        f"{of_audio / CLICKS:.2f} s of sound; {memory:.1f} GiB at most"
    )


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
