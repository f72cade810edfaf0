"""Single notes of many instruments: NSynth in its own layout, or synthesised notes in its place."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from samplevae_lib.datasets import download
from samplevae_lib.datasets.dataset import Dataset, refuse_unknown
from samplevae_lib.datasets.store import Decoding, from_clips, from_files, real_or_stand_in

HOST = "http://download.magenta.tensorflow.org/datasets/nsynth"
PARTS = {"test": 4096, "valid": 12678, "train": 289205}  # number of notes in each
FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet",
    "organ", "reed", "string", "synth_lead", "vocal",
)  # fmt: skip
SOURCES = ("acoustic", "electronic", "synthetic")
STAND_IN_PER_FAMILY = {"smoke": 12, "reference": 60, "paper": 400}


@dataclass(frozen=True)
class Wanted:
    """Which notes to take; None takes all.

    families, sources: names from `FAMILIES` and `SOURCES`. pitches: lowest and highest MIDI key.
    velocities: how hard the key is hit, of 127.
    """

    families: Collection[str] | None
    sources: Collection[str] | None
    pitches: tuple[int, int]
    velocities: Collection[int] | None

    def __post_init__(self) -> None:
        refuse_unknown("family", self.families, FAMILIES)
        refuse_unknown("source", self.sources, SOURCES)

    def takes(self, note: dict) -> bool:
        low, high = self.pitches
        return (
            (self.families is None or note["family"] in self.families)
            and (self.sources is None or note["source"] in self.sources)
            and (self.velocities is None or note["velocity"] in self.velocities)
            and low <= note["pitch"] <= high
        )


def archive(part: str = "test") -> download.Archive:
    """One part of NSynth (Engel et al. 2017), a key of `PARTS`, as its authors publish it."""
    return download.Archive(
        folder=f"notes/nsynth-{part}",
        file_name=f"nsynth-{part}.jsonwav.tar.gz",
        url=f"{HOST}/nsynth-{part}.jsonwav.tar.gz",
        prefix=f"nsynth-{part}",
        licence="CC BY 4.0",
        version=f"NSynth {part}, {PARTS[part]} notes",
    )


def load(
    *,
    profile: str = "reference",
    data: str = "auto",
    seed: int = 0,
    part: str = "test",
    families: Collection[str] | None = None,
    sources: Collection[str] | None = None,
    pitches: tuple[int, int] = (0, 127),
    velocities: Collection[int] | None = None,
    sample_rate: int = 16000,
    samples: int = 64000,
) -> Dataset:
    """Single notes of many instruments, a key held for three of four seconds.

    profile, data, seed: see `datasets.load`.
    part: of NSynth: "test", "valid" or "train"; no instrument of "train" is in the other two.
    families, sources, pitches, velocities: see `Wanted`.
    sample_rate: Hz. samples: what each sound is padded or cut to.
    Labels are the families, groups the instruments; attributes pitch, velocity, family, source.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, not {part!r}")
    how, wanted = Decoding(sample_rate, samples), Wanted(families, sources, pitches, velocities)
    per_family = STAND_IN_PER_FAMILY[profile]
    return real_or_stand_in(
        data,
        lambda: _real(how, part, wanted),
        lambda reason: _stand_in(how, wanted, per_family, seed, reason),
    )


def _real(how: Decoding, part: str, wanted: Wanted) -> Dataset:
    """NSynth in its own layout: examples.json and audio/NAME.wav."""
    source = archive(part)
    folder = download.obtain(source)
    listing = folder / "examples.json"
    if not listing.is_file():
        raise FileNotFoundError(f"{listing} is missing: every part of NSynth holds one")
    examples = json.loads(listing.read_text(encoding="utf-8"))
    notes = {f"audio/{name}.wav": _row(note) for name, note in sorted(examples.items())}
    rows = {path: row for path, row in notes.items() if wanted.takes(row)}
    _refuse_none(len(rows), len(notes), wanted)
    return from_files("notes", folder, rows, how, provenance=source.provenance)


def _row(note: dict) -> dict:
    return {
        "label": note["instrument_family_str"],
        "group": note["instrument_str"],
        "pitch": int(note["pitch"]),
        "velocity": int(note["velocity"]),
        "family": note["instrument_family_str"],
        "source": note["instrument_source_str"],
    }


def _stand_in(how: Decoding, wanted: Wanted, per_family: int, seed: int, reason: str) -> Dataset:
    from samplevae_lib.datasets.stand_ins.notes import FAMILIES, note_clips, playable

    families = [name for name in FAMILIES if wanted.families is None or name in wanted.families]
    if not any(playable(family, how.sample_rate, wanted.pitches) for family in families):
        _refuse_none(0, len(FAMILIES) * per_family, wanted)
    clips = note_clips(
        per_family=per_family, sample_rate=how.sample_rate, seed=seed, pitches=wanted.pitches,
        families=families,
    )  # fmt: skip
    key, total = (per_family, seed, *wanted.pitches, *families), len(families) * per_family
    made = from_clips("notes", clips, how, key=key, total=total, reason=reason)
    notes = made.table().to_dict("records")
    taken = [position for position, note in enumerate(notes) if wanted.takes(note)]
    _refuse_none(len(taken), len(made), wanted)
    return made.select(taken)


def _refuse_none(taken: int, of: int, wanted: Wanted) -> None:
    if taken == 0:
        raise ValueError(f"none of {of} notes is asked for by {wanted}")
