"""One file over HTTP into a `.part`, continued where an earlier attempt stopped.

Knows ranges, validators and checksums on the way. Refuses to know models, folders and terminals.

A part is continued only when it is certain to be a piece of the same file: the address is the one it was
begun from, and the server confirms the validator it gave then (If-Range) or the checksum is known and will
tell. A server that ignores Range answers with the whole file, and the part begins anew.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import httpx

from edge.errors import ModelError
from edge.models.records import read_tables, write_tables

__all__ = ["Report", "Wanted", "download", "new_client", "receive"]

Report = Callable[[int, int | None], None]
"""Called with the bytes there are so far, and the bytes there will be where that is known."""

CHUNK_BYTES = 1 << 18
CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file as it should arrive; what is None is not known beforehand."""

    url: str
    bytes: int | None
    sha256: str | None


def new_client() -> httpx.Client:
    """A client that gives up on a dead server in seconds and follows the redirects of release pages."""
    limits = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    # Compressed on the way, the bytes would not be those of the file, and ranges would not fit.
    return httpx.Client(follow_redirects=True, timeout=limits, headers={"Accept-Encoding": "identity"})


def download(wanted: Wanted, part: Path, *, client: httpx.Client, report: Report) -> str:
    """Fetch the file into `part`, continuing what is there; gives the sha256 of the whole."""
    with _written(part) as file:
        try:
            return _Transfer(wanted, part, file, report).run(client)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            have = os.fstat(file.fileno()).st_size
            reason = str(error) or type(error).__name__
            raise ModelError(
                f"{wanted.url}: the download broke off after {have:,} bytes: {reason}. "
                "Run the same command again to continue"
            ) from error


def receive(chunks: Iterator[bytes], part: Path, *, total: int | None, report: Report) -> str:
    """Write chunks from elsewhere than the network into `part`, from its start; gives the sha256."""
    digest = hashlib.sha256()
    with _written(part) as file:
        _empty(file)
        _origin_path(part).unlink(missing_ok=True)
        done = 0
        for chunk in chunks:
            _write(file, chunk)
            digest.update(chunk)
            done += len(chunk)
            report(done, total)
    return digest.hexdigest()


class _Transfer:
    """One attempt at one file."""

    def __init__(self, wanted: Wanted, part: Path, file: FileIO, report: Report) -> None:
        self._wanted, self._part, self._file, self._report = wanted, part, file, report
        self._origin_path = _origin_path(part)
        self._digest = hashlib.sha256()
        self._done = 0
        self._validator = ""

    def run(self, client: httpx.Client) -> str:
        headers = self._headers_to_continue()
        if self._done and self._done == self._wanted.bytes:
            return self._digest.hexdigest()
        with client.stream("GET", self._wanted.url, headers=headers) as response:
            if self._fits(response):
                return self._take(response)
        self._begin_anew()
        with client.stream("GET", self._wanted.url) as response:
            return self._take(response)

    def _headers_to_continue(self) -> dict[str, str]:
        """What asks for the rest; nothing, and an empty part, where the part can't be trusted."""
        size = os.fstat(self._file.fileno()).st_size
        origin = read_tables(self._origin_path).get("origin", {})
        validator = self._validator = origin.get("validator", "")
        if not size or origin.get("url") != self._wanted.url or not (validator or self._wanted.sha256):
            self._begin_anew()
            return {}
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            self._digest.update(chunk)
            self._done += len(chunk)
        headers = {"Range": f"bytes={self._done}-"}
        return {**headers, "If-Range": validator} if validator else headers

    def _fits(self, response: httpx.Response) -> bool:
        """Whether this answer goes on where the part ends, in the same file: some servers ignore If-Range."""
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            changed = bool(self._validator) and _validator(response) != self._validator
            return not changed and _content_range(response)[0] == self._done
        return response.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE

    def _begin_anew(self) -> None:
        _empty(self._file)
        self._digest = hashlib.sha256()
        self._done = 0

    def _take(self, response: httpx.Response) -> str:
        total = self._total(response)
        if self._wanted.bytes is not None and total not in (None, self._wanted.bytes):
            raise ModelError(
                f"{self._wanted.url}: the server offers {total:,} bytes, the manifest says {self._wanted.bytes:,}: "
                "it is another file; check the manifest's address"
            )
        self._check_room(total)
        validator = _validator(response)
        write_tables(self._origin_path, {"origin": {"url": self._wanted.url, "validator": validator}})
        self._report(self._done, total)
        for chunk in response.iter_raw(CHUNK_BYTES):
            _write(self._file, chunk)
            self._digest.update(chunk)
            self._done += len(chunk)
            if total is not None and self._done > total:
                raise ModelError(f"{self._wanted.url}: more arrives than the {total:,} bytes that were announced")
            self._report(self._done, total)
        os.fsync(self._file.fileno())
        if total is not None and self._done < total:
            raise httpx.ReadError(f"{total - self._done:,} bytes are missing")
        return self._digest.hexdigest()

    def _total(self, response: httpx.Response) -> int | None:
        """Size of the whole file; sets the part to its start where the server sends all of it."""
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            return _content_range(response)[1]
        if response.status_code != httpx.codes.OK:
            raise ModelError(f"{self._wanted.url}: the server answers {response.status_code} {response.reason_phrase}")
        if self._done:
            self._begin_anew()
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else self._wanted.bytes

    def _check_room(self, total: int | None) -> None:
        needed = (total or 0) - self._done
        free = shutil.disk_usage(self._part.parent).free
        if needed > free:
            raise ModelError(f"{self._part.parent}: {needed:,} bytes are needed and {free:,} are free")


@contextmanager
def _written(part: Path) -> Iterator[FileIO]:
    """The part, open and locked: two pulls of one model would write into each other."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+")
    except OSError as error:
        raise ModelError(f"{part}: cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ModelError(f"{part}: another pull is writing it; wait for that one") from error
        yield file


def _origin_path(part: Path) -> Path:
    """Where stands from which address a part was begun, and the validator it had there."""
    return part.with_name(part.name + ".toml")


def _empty(file: FileIO) -> None:
    if os.fstat(file.fileno()).st_size:
        file.truncate(0)
    file.seek(0)


def _write(file: FileIO, chunk: bytes) -> None:
    try:
        view = memoryview(chunk)
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room and run the same command again to continue" if full else "nothing was installed"
        raise ModelError(f"{file.name}: cannot be written: {error.strerror}; {advice}") from error


def _validator(response: httpx.Response) -> str:
    """What If-Range accepts: a strong ETag, else the date of the last change."""
    tag = str(response.headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(response.headers.get("Last-Modified", ""))


def _content_range(response: httpx.Response) -> tuple[int, int | None]:
    matched = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if matched is None:
        raise httpx.RemoteProtocolError("the server sends a piece without saying which")
    return int(matched[1]), int(matched[2]) if matched[2] != "*" else None
