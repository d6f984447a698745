"""Files on any file system that Beam knows: local, object stores, or one that a user registered."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from handstream.records.errors import InputError

TEMPORARY = "tmp"
"""The folder below OUT where files grow until they are whole."""


def is_local(path: str) -> bool:
    return FileSystems.get_scheme(path) is None


def absolute(path: str) -> str:
    """A local path from the root, any other as it is.

    Raises:
        InputError: Beam has no file system for it here.
    """
    if is_local(path):
        return os.path.abspath(path)
    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return path


def join(folder: str, *parts: str) -> str:
    return "/".join([folder.rstrip("/"), *parts])


def literal(path: str) -> str:
    """The pattern that matches this path and no other.

    >>> literal("a[1]*.mp4")
    'a[[]1][*].mp4'
    """
    quoted = "".join(f"[{c}]" if c in "*?[" else c for c in path)
    # To a pattern that ends in a backslash Beam appends a star.
    return f"{quoted[:-1]}[\\]" if quoted.endswith("\\") else quoted


def list_files(pattern: str) -> list[FileMetadata]:
    """All files that match a pattern of Beam's (`**` crosses folders), sorted by path; none is no error."""
    (result,) = FileSystems.match([pattern])
    return sorted(result.metadata_list, key=lambda meta: meta.path)


def list_folder(path: str) -> list[str]:
    """All files below a folder, sorted; links to folders are followed.

    Raises:
        OSError: a folder cannot be read.
    """
    if not is_local(path):
        return [meta.path for meta in list_files(join(literal(path), "**"))]

    def refuse(error: OSError) -> None:
        raise error

    found: list[str] = []
    visited: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(path, followlinks=True, onerror=refuse):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()  # a link back to where we were
            continue
        visited.add((status.st_dev, status.st_ino))
        found += [join(folder, name) for name in files]
    return sorted(found)


def metadata(path: str) -> FileMetadata:
    """Size and time of change of a file.

    Raises:
        OSError: there is no such file, or it is no regular one.
    """
    if is_local(path) and os.path.lexists(path) and not os.path.isfile(path):
        raise OSError("no regular file" if os.path.exists(path) else "a link to a file that is not there")
    try:
        return FileSystems.get_filesystem(path).metadata(path)
    except Exception as error:
        raise OSError("no such file" if _missing(path) else reason(error)) from error


def _missing(path: str) -> bool:
    """Whether a file is not there for certain: a store that cannot be asked does not say."""
    try:
        return not exists(path)
    except Exception:
        return False


def open_file(path: str) -> BinaryIO:
    """A seekable file to read.

    Raises:
        OSError: with a text that names the reason.
    """
    try:
        file: BinaryIO = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    except OSError:
        raise
    except Exception as error:  # every store's client has exceptions of its own
        raise OSError(reason(error)) from error
    return file


def exists(path: str) -> bool:
    return bool(FileSystems.exists(path))


def read_bytes(path: str) -> bytes:
    with open_file(path) as file:
        return file.read()


@contextmanager
def writing(out: str, path: str) -> Iterator[BinaryIO]:
    """A file that appears under its name when the block ends without an error, whole or not at all.

    Args:
        out: the data set's folder; the file grows in its folder for temporary files.
        path: the final name; what stands there is replaced.
    """
    temporary = join(out, TEMPORARY, uuid.uuid4().hex)
    file = FileSystems.create(temporary, compression_type=CompressionTypes.UNCOMPRESSED)
    try:
        try:
            yield file
        finally:
            file.close()
        _make_parent(path)
        FileSystems.rename([temporary], [path])
    except BaseException:
        remove(temporary)
        raise


def _make_parent(path: str) -> None:
    folder = path.rpartition("/")[0]
    if FileSystems.get_filesystem(path).has_dirs() and not exists(folder):
        try:
            FileSystems.mkdirs(folder)
        except (BeamIOError, OSError):
            if not exists(folder):  # else another worker was faster
                raise


def write_bytes(out: str, path: str, data: bytes) -> None:
    """Write a file whole or not at all."""
    with writing(out, path) as file:
        file.write(data)


def remove(path: str) -> None:
    """Delete a file; one that is not there is no error."""
    # Beam expands patterns here, too.
    try:
        FileSystems.delete([literal(path)])
    except (BeamIOError, OSError):
        if exists(path):
            raise


def reason(error: BaseException) -> str:
    """What an exception says, in one line without the chatter around it."""
    if isinstance(error, BeamIOError) and error.exception_details:
        details = error.exception_details
        cause = next(iter(details.values())) if isinstance(details, dict) else details
        return reason(cause) if isinstance(cause, BaseException) else str(cause)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
