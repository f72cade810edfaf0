"""What the header of a sound file promises, and whether the file keeps it.

libsndfile reads what is left of a cut file without a word, so the promise is checked here. And as
the header of a WAV is known by then, plain ones are read directly, in a third of the time.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_PCM = 1
_HEAD = 4096  # bytes that hold the header of any plain file
# A program that writes to a pipe can't know the length yet and leaves one of these in the header.
_STREAMED = {0, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36}
_SOUND = {b"RIFF": b"data", b"RIFX": b"data", b"FORM": b"SSND"}


@dataclass(frozen=True)
class PlainWav:
    """Where the samples of a 16- or 24-bit PCM file lie, in bytes."""

    start: int
    length: int
    channels: int
    rate: int
    width: int  # bytes a sample

    @property
    def frames(self) -> int:
        return self.length // (self.width * self.channels)

    def read(self, file: int) -> np.ndarray:
        """All frames (samples, channels): int16, or int32 whose lowest 8 bits are 0."""
        if self.width == 2:
            samples = np.frombuffer(os.pread(file, self.length, self.start), dtype="<i2")
        else:
            # Four bytes every three, from one byte early: that byte is masked away.
            content = os.pread(file, self.length + 1, self.start - 1)
            words = np.ndarray(self.length // 3, dtype="<i4", buffer=content, strides=(3,))
            samples = words & np.int32(-256)
        return samples.reshape(-1, self.channels)


def plain_wav(file: int, size: int) -> PlainWav | None:
    """A whole little-endian PCM file of 16 or 24 bits; None for any other: libsndfile reads those.

    Looks at the usual header alone, in one read: format first, samples second or soon after.
    """
    head = os.pread(file, _HEAD, 0)
    if len(head) < 44 or (head[:4], head[8:16]) != (b"RIFF", b"WAVEfmt "):
        return None
    code, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", head, 20)
    if code != _PCM or bits not in (16, 24) or not rate or block != bits // 8 * channels > 0:
        return None
    for name, start, length in _chunks(head):
        if name == b"data":
            whole = start + length <= size and length % block == 0
            return PlainWav(start, length, channels, rate, bits // 8) if whole else None
    return None


def shortfall(file: int, size: int) -> str:
    """What a cut WAV, AIFF or OGG lacks; empty where nothing is missing or nothing is promised."""
    magic = os.pread(file, 4, 0)
    if magic == b"OggS":
        return _missing_page(file, size)
    if magic not in _SOUND:
        return ""
    with mmap.mmap(file, size, access=mmap.ACCESS_READ) as content:
        for name, start, length in _chunks(content):
            if name == _SOUND[magic]:
                gap = 0 if length in _STREAMED else start + length - size
                return f"{gap} bytes of its sound are missing" if gap > 0 else ""
    return ""


def _chunks(content: bytes | mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and length of each chunk of a RIFF, RIFX or FORM file."""
    layout = struct.Struct("<4sI" if content[:4] == b"RIFF" else ">4sI")
    position = 12
    while position + 8 <= len(content):
        name, length = layout.unpack_from(content, position)
        yield name, position + 8, length
        position += 8 + length + length % 2


def _missing_page(file: int, size: int) -> str:
    """Whether the last Ogg page is whole and has the end-of-stream flag (RFC 3533, section 6)."""
    start = max(0, size - 70_000)  # a page is at most 65,307 bytes long
    tail = os.pread(file, size - start, start)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 0x04:
        return "the last page of the stream is missing"
    gap = 27 + page[26] + sum(page[27 : 27 + page[26]]) - len(page)  # header, table, segments
    return f"{gap} bytes of its last page are missing" if gap > 0 else ""
