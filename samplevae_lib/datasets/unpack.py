"""Unpack a zip or tar so that nothing can be written outside the folder it goes to."""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from samplevae_lib.datasets.manifest import IntegrityError
from samplevae_lib.progress import track

_CHUNK = 1 << 18
# What zipfile and tarfile let through from the layers below, beside errors of their own.
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError,
    EOFError, NotImplementedError,
)  # fmt: skip


class UnsafeArchive(RuntimeError):
    """An archive with a path that leads out of its folder, a link or a device."""


def unpack(packed: Path, target: Path, *, prefix: str = "", wanted: set[str] | None = None) -> None:
    """Unpack the regular files below `prefix` into `target`; `wanted` names the only ones to take.

    Every name is checked before the first byte is written.
    """
    try:
        with _members(packed) as members:
            chosen = _chosen(packed, members, prefix, wanted)
            for name in track(chosen, f"unpacking {packed.name}"):
                place = target / chosen[name]
                place.parent.mkdir(parents=True, exist_ok=True)
                with members[name]() as source, place.open("wb") as file:
                    shutil.copyfileobj(source, file, _CHUNK)
    except _DAMAGED as error:
        raise IntegrityError(
            f"{packed}: damaged archive ({error}); delete it and fetch it again"
        ) from error


def _chosen(packed: Path, members: dict, prefix: str, wanted: set[str] | None) -> dict[str, str]:
    """Where each member that is asked for goes, below the target."""
    inside = {name: _below(packed, name, prefix) for name in members}
    chosen = {name: place for name, place in inside.items() if place}
    if not chosen:
        raise IntegrityError(f"{packed}: holds no file below {prefix!r}")
    return {name: place for name, place in chosen.items() if wanted is None or place in wanted}


@contextmanager
def _members(packed: Path) -> Iterator[dict[str, Callable[[], IO[bytes]]]]:
    """Each regular file's name and how to open it."""
    if zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as archive:
            yield dict(_zip_members(packed, archive))
    elif tarfile.is_tarfile(packed):
        with tarfile.open(packed) as archive:
            yield dict(_tar_members(packed, archive))
            while archive.fileobj.read(_CHUNK):  # gzip compares its checksum at the very end
                pass
    else:
        raise tarfile.ReadError("neither a whole zip nor a tar")


def _zip_members(packed: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, Callable]]:
    for info in archive.infolist():
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UnsafeArchive(f"{packed}: {info.filename} is a link")
        if not info.is_dir():
            yield info.filename, lambda info=info: archive.open(info)


def _tar_members(packed: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, Callable]]:
    for info in archive:
        if not (info.isfile() or info.isdir()):
            raise UnsafeArchive(f"{packed}: {info.name} is a link or a device")
        if info.isfile():
            yield info.name, lambda info=info: archive.extractfile(info)


def _below(packed: Path, name: str, prefix: str) -> str:
    """The member's path below the prefix; "" where it lies outside the prefix."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name.split("/")[0]:
        raise UnsafeArchive(f"{packed}: {name!r} leads out of the folder it is unpacked into")
    if not prefix:
        return str(path)
    return str(path.relative_to(prefix)) if path.is_relative_to(prefix) else ""
