"""What every loader returns: sounds of one rate and length, what is known of each, and splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SOURCES = ("real", "stand-in")
# A split by group is the best of several random ones, as one alone can miss the shares by a tenth.
# So many groups are handed out in all of them together: 28 splits of 72 machines, more of fewer.
_HANDED_OUT = 2000


class Problem(NamedTuple):
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Clip:
    """A mono sound of its natural length, with what is known about it.

    audio: float32 (samples,), within ±1.
    group: what a split must keep together: the speaker, drum machine or instrument.
    attributes: any further columns (pitch, velocity, file code, …), all plain values.
    """

    audio: np.ndarray
    name: str
    label: str
    group: str
    attributes: dict = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Dataset:
    """n sounds of equal length and rate, and what is known of each.

    audio: float32 (n, samples), often a read-only memory map, so slices cost nothing.
    sample_rate: Hz.
    labels, names, groups: str arrays (n,); a group is the speaker, machine or instrument.
    durations: natural length of each sound in seconds, before it was fitted to `samples`, (n,).
    source: "real", or "stand-in" where the sounds were synthesised in place of recordings.
    provenance: where it all came from: repository, commit, licence, reason for a stand-in.
    problems: the files that were left out, and why.
    attributes: further columns by name, each an array (n,).
    """

    name: str
    audio: np.ndarray
    sample_rate: int
    labels: np.ndarray
    names: np.ndarray
    groups: np.ndarray
    durations: np.ndarray
    source: str
    provenance: Mapping[str, str | int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"source must be one of {SOURCES}, not {self.source!r}")
        columns = {"labels": self.labels, "names": self.names, "groups": self.groups}
        columns |= {"durations": self.durations, **self.attributes}
        for name, column in columns.items():
            if len(column) != len(self.audio):
                raise ValueError(f"{name} has {len(column)} entries for {len(self.audio)} sounds")

    def __len__(self) -> int:
        return len(self.audio)

    def __repr__(self) -> str:
        left_out = f", {_count(self.problems, 'file')} left out" if self.problems else ""
        parts = (_count(self.classes, "class"), _count(np.unique(self.groups), "group"))
        return (
            f"<{self.name}: {_count(self.audio, 'sound')} of {self.audio.shape[1]} samples at "
            f"{self.sample_rate} Hz, {', '.join(parts)}, {self.source}{left_out}>"
        )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, in alphabetical order."""
        return tuple(str(label) for label in np.unique(self.labels))

    @cached_property
    def targets(self) -> np.ndarray:
        """Each label as its position in `classes`, int64 (n,)."""
        return np.searchsorted(np.array(self.classes), self.labels).astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of sounds, names and labels: equal data give equal digests on any machine."""
        digest = hashlib.sha256(f"{self.audio.shape} {self.sample_rate}".encode())
        digest.update("\0".join([*map(str, self.names), *map(str, self.labels)]).encode())
        for start in range(0, len(self), 256):
            digest.update(np.ascontiguousarray(self.audio[start : start + 256]))
        return digest.hexdigest()[:16]

    def select(self, which: np.ndarray | Sequence[int]) -> Dataset:
        """A dataset of some of the sounds.

        which: positions, which may repeat, or a mask (n,) that is true for those to keep.
        """
        which = np.asarray(which)
        index = which if which.dtype == bool else which.astype(np.int64)
        return replace(
            self,
            audio=self.audio[index],
            labels=self.labels[index],
            names=self.names[index],
            groups=self.groups[index],
            durations=self.durations[index],
            attributes={key: column[index] for key, column in self.attributes.items()},
        )

    def sample(self, per_class: int, *, seed: int, strict: bool = False) -> Dataset:
        """At most `per_class` sounds of each class, drawn without replacement.

        strict: a class with fewer is an error that gives the counts.
        """
        if per_class < 1:
            raise ValueError(f"per_class must be at least 1, not {per_class}")
        counts = dict(zip(self.classes, np.bincount(self.targets).tolist(), strict=True))
        if strict and min(counts.values(), default=0) < per_class:
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise ValueError(f"{per_class} sounds of each class are asked for; there are {told}")
        rng = np.random.default_rng(seed)
        chosen = np.zeros(len(self), dtype=bool)
        for label in self.classes:
            chosen[rng.permutation(np.flatnonzero(self.labels == label))[:per_class]] = True
        return self.select(chosen)

    def split(
        self, shares: Mapping[str, float], *, seed: int, apart: str = "group"
    ) -> dict[str, Dataset]:
        """Divide all sounds into named parts.

        shares: the share of each part; together they are 1.
        seed: which sounds or groups come into which part.
        apart: "group" keeps every group whole, so that no speaker, machine or instrument is in
        two parts, and comes as near to the shares as whole groups can; "item" divides each
        class on its own.

        >>> from samplevae_lib import datasets
        >>> ds = datasets.load("signals", kind="families", count=30, seed=0)
        >>> parts = ds.split({"train": 0.8, "test": 0.2}, seed=0, apart="item")
        >>> {name: len(part) for name, part in parts.items()}
        {'train': 24, 'test': 6}
        """
        _check_shares(shares)
        divide = {"group": self._divide_groups, "item": self._divide_items}
        if apart not in divide:
            raise ValueError(f"apart must be one of {', '.join(divide)}, not {apart!r}")
        part = divide[apart](np.array(list(shares.values())), np.random.default_rng(seed))
        parts = {name: self.select(part == i) for i, name in enumerate(shares)}
        if empty := [name for name, chosen in parts.items() if not len(chosen)]:
            groups = len(np.unique(self.groups))
            raise ValueError(
                f"nothing would be left for {', '.join(empty)}: {len(self)} sounds in {groups} "
                f"groups can't be split by {apart} into {dict(shares)}"
            )
        return parts

    def _divide_items(self, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The part of each sound, (n,), where every class is cut at the shares."""
        part = np.zeros(len(self), dtype=np.int64)
        edges = np.cumsum(shares)[:-1]
        for target in range(len(self.classes)):
            members = rng.permutation(np.flatnonzero(self.targets == target))
            cuts = np.round(edges * len(members)).astype(int)
            for number, piece in enumerate(np.split(members, cuts)):
                part[piece] = number
        return part

    def _divide_groups(self, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The part of each sound, (n,), in the best of several splits into whole groups."""
        groups, member_of = np.unique(self.groups, return_inverse=True)
        counts = np.zeros((len(groups), len(self.classes)))
        np.add.at(counts, (member_of, self.targets), 1)
        tries = 1 + _HANDED_OUT // max(1, len(groups))
        splits = [_hand_out(counts, shares, rng.permutation(len(groups))) for _ in range(tries)]
        _, part_of_group = min(splits, key=lambda split: split[0])
        return part_of_group[member_of]

    def table(self) -> pd.DataFrame:
        """One row a sound: name, label, group, seconds and every attribute."""
        import pandas as pd

        columns = {"name": self.names, "label": self.labels, "group": self.groups}
        return pd.DataFrame(columns | {"seconds": self.durations} | dict(self.attributes))


def _hand_out(
    counts: np.ndarray, shares: np.ndarray, order: np.ndarray
) -> tuple[float, np.ndarray]:
    """Give each group, one after the other, to the part that lacks its classes most.

    counts: how many sounds of each class a group holds, (groups, classes). order: of the groups.
    Returns how far the split is from the shares (the worst share of a class plus the worst of all
    sounds; 0 is exact) and the part of each group, (groups,).
    """
    missing = shares[:, None] * counts.sum(axis=0)
    part_of_group = np.zeros(len(counts), dtype=np.int64)
    for group in order:
        part = int(np.argmax(missing @ counts[group]))
        part_of_group[group] = part
        missing[part] -= counts[group]
    of_class = np.abs(missing / counts.sum(axis=0)).max(initial=0)
    of_all = np.abs(missing.sum(axis=1)).max() / max(1, counts.sum())
    return float(of_class + of_all), part_of_group


def _check_shares(shares: Mapping[str, float]) -> None:
    total = sum(shares.values())
    if not shares or min(shares.values()) <= 0 or not abs(total - 1) <= 1e-6:
        raise ValueError(f"shares must be positive and add up to 1; {dict(shares)} gives {total:g}")


def refuse_unknown(what: str, asked: Iterable[str] | None, known: Iterable[str]) -> None:
    """Raise a ValueError where a name that is asked for is not one of the known.

    what: what the names are of ("speaker"). asked: None asks for nothing in particular.
    """
    if unknown := sorted(set(asked or ()) - set(known)):
        raise ValueError(f"unknown {what} {', '.join(unknown)}; known are {', '.join(known)}")


def _count(things: Sequence, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{len(things)} {noun if len(things) == 1 else plural}"
