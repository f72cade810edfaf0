"""Decoding the drum library: the dataset's store beside a plain loop over librosa.load."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import librosa
import numpy as np

from benchmarks.medians import medians
from samplevae_lib.datasets import download, drums
from samplevae_lib.datasets.store import Decoding, decode_folder

HOW = Decoding(sample_rate=22050, samples=16384)


def run(*, rounds: int = 5) -> str:
    """Files per second, both ways to the same mono float32 sound at 22,050 Hz."""
    source = drums.archive()
    folder = download.obtain(source)
    files = [entry.path for entry in source.entries]
    with tempfile.TemporaryDirectory() as scratch:
        seconds = medians(
            {
                "librosa.load, one by one": lambda: plain_loop(folder, files),
                "samplevae, to a fresh store": lambda: fresh_store(folder, files, scratch),
                "samplevae, opening the store": lambda: decode_folder(folder, files, HOW),
            },
            rounds=rounds,
            before_each=lambda: shutil.rmtree(Path(scratch, "cache"), ignore_errors=True),
        )
    slowest = max(seconds.values())
    lines = [f"{len(files)} files, medians of {rounds} rounds on {os.cpu_count()} cores"]
    lines += [
        f"{name:30} {s:8.3f} s {len(files) / s:10.0f} files/s {slowest / s:7.1f} ×"
        for name, s in seconds.items()
    ]
    return "\n".join([*lines, _agreement(folder, files)])


def plain_loop(folder: Path, files: list[str]) -> np.ndarray:
    """What one would write without this library, rows fitted to the same length."""
    rows = np.zeros((len(files), HOW.samples), dtype=np.float32)
    for row, file in zip(rows, files, strict=True):
        sound, _ = librosa.load(folder / file, sr=HOW.sample_rate)
        row[: len(sound)] = sound[: HOW.samples]
    return rows


def fresh_store(folder: Path, files: list[str], scratch: str) -> np.ndarray:
    """The store, filled anew in a data folder of its own."""
    before = os.environ.get("SAMPLEVAE_DATA")
    os.environ["SAMPLEVAE_DATA"] = scratch
    try:
        return decode_folder(folder, files, HOW).audio
    finally:
        os.environ.pop("SAMPLEVAE_DATA")
        if before is not None:
            os.environ["SAMPLEVAE_DATA"] = before


def _agreement(folder: Path, files: list[str]) -> str:
    """Both ways must give the same sound, but for the fade of what was cut."""
    ours, theirs = decode_folder(folder, files, HOW).audio, plain_loop(folder, files)
    uncut = slice(0, HOW.samples - 128)
    return f"largest difference of a sample: {np.abs(ours[:, uncut] - theirs[:, uncut]).max():.1e}"


if __name__ == "__main__":
    print(run())
