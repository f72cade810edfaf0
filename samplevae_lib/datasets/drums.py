"""Drum hits: the tidal-drum-machines library, or synthesised drums in its place."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from samplevae_lib.datasets import download, manifest
from samplevae_lib.datasets.dataset import Dataset, Problem
from samplevae_lib.datasets.store import Decoding, from_clips, from_files, real_or_stand_in

REPOSITORY = "https://github.com/geikha/tidal-drum-machines"
COMMIT = "15eac73c5e878550f91d864a4863e014799403f1"
# The library names its folders by these codes. The first eight classes are those of thesis M.
EIGHT = {
    "bd": "kick", "sd": "snare", "hh": "hat", "oh": "hat", "cr": "crash", "rd": "ride",
    "cp": "clap", "sh": "shaker", "lt": "tom", "mt": "tom", "ht": "tom",
}  # fmt: skip
OTHERS = {
    "rim": "rim", "cb": "cowbell", "tb": "tambourine", "perc": "perc", "fx": "fx", "misc": "misc",
}  # fmt: skip
CLASSES = {"eight": EIGHT, "all": EIGHT | OTHERS}
STAND_IN_PER_CLASS = {"smoke": 20, "reference": 120, "paper": 240}


def archive() -> download.Archive:
    """The repository at one commit; it states no licence, so it is fetched, never passed on."""
    return download.repository("drums", REPOSITORY, COMMIT, licence="none stated")


def folder() -> Path:
    """Where the recordings lie as files; they are fetched if they have to be."""
    return download.obtain(archive())


def load(
    *,
    profile: str = "reference",
    data: str = "auto",
    seed: int = 0,
    classes: str = "eight",
    sample_rate: int = 22050,
    samples: int = 16384,
) -> Dataset:
    """Hits of 72 drum machines (thesis L, chapter 6).

    profile, data, seed: see `datasets.load`.
    classes: "eight" gives thesis M's classes, "all" the whole library; a stand-in has only the
    eight.
    sample_rate: Hz. samples: what each sound is padded or cut to.
    Groups are the machines. Attribute `code` of recordings is the folder's code: it tells open
    hats from closed, high toms from low.
    """
    if classes not in CLASSES:
        raise ValueError(f"classes must be one of {', '.join(CLASSES)}, not {classes!r}")
    how = Decoding(sample_rate, samples)
    return real_or_stand_in(
        data,
        lambda: _real(how, CLASSES[classes]),
        lambda reason: _stand_in(how, STAND_IN_PER_CLASS[profile], seed, reason),
    )


def _real(how: Decoding, label_of: dict[str, str]) -> Dataset:
    source = archive()
    entries = [entry for entry in source.entries if entry.label in label_of]
    problems = _copies(entries, label_of)
    left_out = {problem.path for problem in problems}
    rows = {
        entry.path: {
            "label": label_of[entry.label],
            "group": entry.path.split("/")[1],
            "code": entry.label,
        }
        for entry in entries
        if entry.path not in left_out
    }
    provenance = source.provenance | {"files": len(entries)}
    return from_files("drums", folder(), rows, how, provenance=provenance, problems=problems)


def _copies(entries: list[manifest.Entry], label_of: dict[str, str]) -> tuple[Problem, ...]:
    """Files to leave out as others hold the same bytes: all but the first of them.

    Where their labels differ, all of them: nobody knows which label is right.
    """
    same: dict[str, list[manifest.Entry]] = defaultdict(list)
    for entry in entries:
        same[entry.sha256].append(entry)
    problems = []
    for first, *copies in same.values():
        labels = {label_of[entry.label] for entry in (first, *copies)}
        if len(labels) > 1:
            reason = f"the same bytes lie under two labels ({', '.join(sorted(labels))})"
            problems += [Problem(entry.path, reason) for entry in (first, *copies)]
        else:
            problems += [Problem(entry.path, f"a copy of {first.path}") for entry in copies]
    return tuple(problems)


def _stand_in(how: Decoding, per_class: int, seed: int, reason: str) -> Dataset:
    from samplevae_lib.datasets.stand_ins.drums import drum_clips

    clips = drum_clips(per_class=per_class, sample_rate=how.sample_rate, seed=seed)
    total = 8 * per_class
    return from_clips("drums", clips, how, key=(per_class, seed), total=total, reason=reason)
