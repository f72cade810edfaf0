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
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from samplevae_lib import paths
from samplevae_lib.datasets import manifest
from samplevae_lib.datasets.manifest import IntegrityError
from samplevae_lib.files import sha256
from samplevae_lib.progress import Progress, track

CONNECT_SECONDS = 5.0
_CHUNK = 1 << 18  # bytes
# What zipfile and tarfile raise for damaged archives, their own errors and those from below.
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError,
    EOFError, NotImplementedError,
)  # fmt: skip


class DataUnavailable(RuntimeError):
    """The recordings are on no disk, in no mirror and behind no network that answers."""


class UnsafeArchive(RuntimeError):
    """An archive holds a path that leads out of its folder, a link or a device."""


@dataclass(frozen=True)
class Archive:
    """A published collection: what it is, where it lies, what must be inside.

    folder: its name below data/.
    file_name: the archive's own name in the mirror and in data/downloads/.
    url: where it is downloaded from.
    prefix: the folder inside the archive that holds the files; it is left away.
    licence, version: what the dataset's provenance says.
    entries: the manifest; only these files are unpacked. None takes all files.
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
        """The folder that the files are unpacked into."""
        return paths.data() / self.folder

    @property
    def provenance(self) -> dict[str, str]:
        """Version and licence, as a dataset states them."""
        return {"version": self.version, "licence": self.licence}


def repository(folder: str, address: str, commit: str, *, licence: str) -> Archive:
    """A GitHub repository at one commit, whose files are listed in data/manifests/FOLDER.csv.

    address: the repository's page, https://github.com/OWNER/NAME. commit: 40 hex digits.
    """
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
    """The folder with all files of the archive, unpacked and downloaded first where need be.

    Every file is compared with the manifest; one that differs is an `IntegrityError`.
    """
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
    """Whether every file is there; `obtain` checks what is in them."""
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
    extract(packed, fresh, prefix=archive.prefix, wanted=wanted)
    if lacking:
        _check_unpacked(packed, fresh / archive.prefix, lacking)
    if archive.target.exists():
        options = {"copy_function": os.replace, "dirs_exist_ok": True}
        shutil.copytree(fresh / archive.prefix, archive.target, **options)
    else:
        os.replace(fresh / archive.prefix, archive.target)
    shutil.rmtree(fresh, ignore_errors=True)


def _check_unpacked(packed: Path, fresh: Path, lacking: tuple[manifest.Entry, ...]) -> None:
    for entry in lacking:
        if not (fresh / entry.path).is_file():
            raise IntegrityError(f"{packed}: {entry.path} is not in the archive")
        if (found := sha256(fresh / entry.path)) != entry.sha256:
            raise IntegrityError(
                f"{packed}: {entry.path} has sha256 {found}, the manifest says {entry.sha256}"
            )


class _Tar(tarfile.TarFile):
    """A tar that the standard library, too, keeps from writing outside of the folder it is given.

    Python 3.11.2, that of Debian 12, can't do that yet; `_files` and `_chosen` check anyway.
    """

    if hasattr(tarfile, "data_filter"):
        extraction_filter = staticmethod(tarfile.data_filter)


def extract(
    packed: Path, folder: Path, *, prefix: str = "", wanted: set[str] | None = None
) -> None:
    """Unpack files of a zip or tar into `folder`, each at the path it has in the archive.

    prefix: only what lies below this folder of the archive.
    wanted: only the files with these paths below the prefix; None takes all.
    Before the first byte is written every name is checked: links, devices and paths that lead out
    of the folder are an `UnsafeArchive`; an archive that is not whole is an `IntegrityError`.
    """
    opened = zipfile.ZipFile if zipfile.is_zipfile(packed) else _Tar.open
    try:
        with opened(packed) as archive:
            chosen = _chosen(packed, _files(packed, archive), prefix, wanted)
            for member in track(chosen, f"unpacking {packed.name}"):
                archive.extract(member, folder)
    except _DAMAGED as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise IntegrityError(
            f"{packed}: damaged archive ({reason}); delete it and fetch it again"
        ) from error


def _files(packed: Path, archive: zipfile.ZipFile | _Tar) -> dict[str, zipfile.ZipInfo]:
    """Each file's entry in the archive by its name; links and devices are refused."""
    if isinstance(archive, zipfile.ZipFile):
        files = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
        odd = [name for name, entry in files.items() if stat.S_ISLNK(entry.external_attr >> 16)]
    else:
        files = {entry.name: entry for entry in archive if not entry.isdir()}
        odd = [name for name, entry in files.items() if not entry.isfile()]
        while archive.fileobj.read(_CHUNK):  # gzip compares its checksum at the very end
            pass
    if odd:
        raise UnsafeArchive(f"{packed}: {odd[0]} is a link or a device")
    return files


def _chosen(packed: Path, files: dict, prefix: str, wanted: set[str] | None) -> list:
    """The entries of the files that are asked for."""
    below = {}
    for name, entry in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise UnsafeArchive(f"{packed}: {name!r} leads out of the folder it is unpacked into")
        if path.is_relative_to(prefix):
            below[str(path.relative_to(prefix))] = entry
    if not below:
        raise IntegrityError(f"{packed}: holds no file below {prefix!r}")
    return [entry for place, entry in below.items() if wanted is None or place in wanted]
