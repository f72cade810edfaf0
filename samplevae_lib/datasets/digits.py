"""Spoken digits: the Free Spoken Digit Dataset, or eSpeak NG in its place."""

from __future__ import annotations

import re
from collections.abc import Sequence

from samplevae_lib.datasets import download
from samplevae_lib.datasets.dataset import Dataset, refuse_unknown
from samplevae_lib.datasets.store import Decoding, from_clips, from_files, real_or_stand_in

REPOSITORY = "https://github.com/Jakobovski/free-spoken-digit-dataset"
COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
STAND_IN_PER_DIGIT = {"smoke": 4, "reference": 50, "paper": 50}
_NAME = re.compile(r"recordings/(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<index>\d+)\.wav")


def archive() -> download.Archive:
    """The Free Spoken Digit Dataset at one commit, and the digest of every recording in it."""
    return download.repository("digits", REPOSITORY, COMMIT, licence="CC BY-SA 4.0")


def load(
    *,
    profile: str = "reference",
    data: str = "auto",
    seed: int = 0,
    speakers: Sequence[str] | None = None,
    sample_rate: int = 8000,
    samples: int = 4096,
) -> Dataset:
    """Digits 0–9 by six speakers, 50 times each (thesis L, section 5.1).

    profile, data, seed: see `datasets.load`. speakers: only these; None takes all.
    sample_rate: Hz. samples: what each sound is padded or cut to.
    Groups are the speakers. Attribute `index` is the take; 0–4 are the dataset's own test set.
    """
    how = Decoding(sample_rate, samples)
    return real_or_stand_in(
        data,
        lambda: _real(how, speakers),
        lambda reason: _stand_in(how, speakers, STAND_IN_PER_DIGIT[profile], seed, reason),
    )


def _real(how: Decoding, speakers: Sequence[str] | None) -> Dataset:
    refuse_unknown("speaker", speakers, SPEAKERS)
    source = archive()
    folder = download.obtain(source)
    rows = {entry.path: _row(entry.path) for entry in source.entries}
    if speakers is not None:
        rows = {path: row for path, row in rows.items() if row["group"] in speakers}
    provenance = source.provenance | {"files": len(rows)}
    return from_files("digits", folder, rows, how, provenance=provenance)


def _row(path: str) -> dict:
    found = _NAME.fullmatch(path)
    if not found:
        raise ValueError(f"{path} is not named recordings/DIGIT_SPEAKER_INDEX.wav")
    return {"label": found["digit"], "group": found["speaker"], "index": int(found["index"])}


def _stand_in(
    how: Decoding, speakers: Sequence[str] | None, per_digit: int, seed: int, reason: str
) -> Dataset:
    from samplevae_lib.datasets.stand_ins import digits as spoken

    names = tuple(speakers or spoken.SPEAKERS)
    clips = spoken.digit_clips(
        per_digit=per_digit, sample_rate=how.sample_rate, seed=seed, speakers=names
    )
    total = 10 * per_digit * len(names)
    key = (per_digit, seed, names)
    return from_clips("digits", clips, how, key=key, total=total, reason=reason)
