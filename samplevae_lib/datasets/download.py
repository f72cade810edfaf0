"""Bring a published archive to disk: from a mirror folder or the network, checked and resumable."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import socket
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from samplevae_lib import paths
from samplevae_lib.datasets import manifest
from samplevae_lib.datasets.manifest import IntegrityError
from samplevae_lib.files import sha256
from samplevae_lib.progress import Progress, track

CONNECT_SECONDS = 5.0
_CHUNK = 1 << 18


class DataUnavailable(RuntimeError):
    """The recordings are on no disk, in no mirror and behind no network that answers."""


@dataclass(frozen=True)
class Archive:
    """A published collection: what it is, where it lies, what must be inside.

    folder: its name below data/. prefix: the folder inside the archive that is left away.
    entries: the manifest; only these files are unpacked (None: all of them).
    """

    folder: str
    file_name: str
    url: str
    prefix: str
    licence: str
    version: str
    entries: tuple[manifest.Entry, ...] | None = None

    @property
    def target(self) -> Path:
        return paths.data() / self.folder


def repository(folder: str, address: str, commit: str, *, licence: str) -> Archive:
    """A GitHub repository at one commit, whose files data/manifests/FOLDER.csv names."""
    name = f"{address.rpartition('/')[2]}-{commit}"
    return Archive(
        folder=folder,
        file_name=f"{name}.zip",
        url=f"{address}/archive/{commit}.zip",
        prefix=name,
        licence=licence,
        version=f"{address} at {commit}",
        entries=manifest.read(paths.manifests() / f"{folder}.csv"),
    )


def obtain(archive: Archive) -> Path:
    """The folder with all files of the archive, checked; unpacked or downloaded if need be."""
    from filelock import FileLock

    archive.target.parent.mkdir(parents=True, exist_ok=True)
    # Two notebooks may ask at once; and behind the lock a half unpacked folder is a leftover.
    with FileLock(archive.target.with_name(f".{archive.target.name}.lock")):
        if not on_disk(archive):
            _unpack_missing(archive, _locate(archive))
        if archive.entries is not None:
            manifest.verify(archive.target, archive.entries)
    return archive.target


def on_disk(archive: Archive) -> bool:
    """Whether every file is there (their content is checked by `obtain`)."""
    if archive.entries is None:
        return archive.target.is_dir()
    return not manifest.missing(archive.target, archive.entries)


def in_mirror(archive: Archive) -> Path | None:
    """The archive in the folder that SAMPLEVAE_MIRROR names, if it is there."""
    mirror = paths.mirror()
    found = mirror / archive.file_name if mirror else None
    return found if found and found.is_file() else None


def within_reach(archive: Archive) -> bool:
    """Whether `obtain` could succeed now: on disk, in the mirror, or its host answers."""
    if on_disk(archive) or in_mirror(archive) or (paths.downloads() / archive.file_name).is_file():
        return True
    address = urlsplit(archive.url)
    port = address.port or {"https": 443}.get(address.scheme, 80)
    try:
        with socket.create_connection((address.hostname, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _locate(archive: Archive) -> Path:
    """The archive file itself: downloaded before, in the mirror, or fetched now."""
    kept = paths.downloads() / archive.file_name
    if found := in_mirror(archive):
        return found
    return kept if kept.is_file() else _fetch(archive)


def _fetch(archive: Archive) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        fetched = pooch.retrieve(
            archive.url,
            known_hash=None,  # a repository's archive may be packed anew; its files are checked
            fname=archive.file_name,
            path=paths.downloads(),
            downloader=resume,
        )
    except (requests.RequestException, ConnectionError) as error:  # not OSError: a full disk is one
        mirror = paths.mirror() or "not set"
        raise DataUnavailable(
            f"{archive.file_name} is not in {paths.data()}, not in the mirror (SAMPLEVAE_MIRROR "
            f"{mirror}), and {archive.url} can't be fetched ({type(error).__name__}). Connect to "
            "the network, or put the archive into a folder and name it in SAMPLEVAE_MIRROR."
        ) from error
    return Path(fetched)


def resume(url: str, output_file: str, _pooch: object) -> None:
    """A downloader for pooch that goes on where an interrupted download stopped (RFC 9110)."""
    import requests

    final = paths.downloads() / PurePosixPath(urlsplit(url).path).name
    partial = final.with_name(final.name + ".part")
    partial.parent.mkdir(parents=True, exist_ok=True)
    have = partial.stat().st_size if partial.exists() else 0
    # Compressed on the way, bytes on disk and bytes of the file would be counted differently.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    timeout = (CONNECT_SECONDS, 60)
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink()  # longer than the file itself: nothing to go on from
            resume(url, output_file, _pooch)
            return
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        _save(answer, partial, have=have if resumed else 0)
    os.replace(partial, output_file)


def _save(answer, partial: Path, *, have: int) -> None:
    """Append the body to `partial`; a body that ends early is an error and is kept."""
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length else None
    with (
        partial.open("ab" if have else "wb") as file,
        Progress(f"downloading {partial.stem}", total, unit="B", start=have) as progress,
    ):
        for chunk in answer.iter_content(_CHUNK):
            file.write(chunk)
            progress.advance(len(chunk))
    if total is not None and partial.stat().st_size < total:
        raise ConnectionError(f"{partial.name}: {partial.stat().st_size} of {total} bytes came")


def _unpack_missing(archive: Archive, packed: Path) -> None:
    """Unpack beside the target, check, then move into place: a killed unpacking leaves no trace."""
    fresh = archive.target.with_name(f".{archive.target.name}.unpacking")
    shutil.rmtree(fresh, ignore_errors=True)
    lacking = archive.entries and manifest.missing(archive.target, archive.entries)
    wanted = {entry.path for entry in lacking} if lacking else None
    unpack(packed, fresh, prefix=archive.prefix, wanted=wanted)
    if lacking:
        _check_unpacked(packed, fresh, lacking)
    _merge(fresh, archive.target)


def _check_unpacked(packed: Path, fresh: Path, lacking: tuple[manifest.Entry, ...]) -> None:
    for entry in lacking:
        if not (fresh / entry.path).is_file():
            raise manifest.IntegrityError(f"{packed}: {entry.path} is not in the archive")
        if (found := sha256(fresh / entry.path)) != entry.sha256:
            raise manifest.IntegrityError(
                f"{packed}: {entry.path} has sha256 {found}, the manifest says {entry.sha256}"
            )


def _merge(fresh: Path, target: Path) -> None:
    if not target.exists():
        os.replace(fresh, target)
        return
    for file in [path for path in fresh.rglob("*") if path.is_file()]:
        place = target / file.relative_to(fresh)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, place)
    shutil.rmtree(fresh)


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
