"""Forms: what a request had in one, and how much it may hold."""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from ._location import user_location
from .exceptions import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._ziggurat import UploadFile

    Value: TypeAlias = UploadFile | str

__all__ = ["FormData", "FormLimits", "FormOpening", "UploadBytes", "UploadReader"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FormLimits:
    """How much a form may hold, of an app, a router or a route: `Ziggurat(forms=FormLimits(max_files=10))`.

    What is too much is refused while it comes in: 413. How large a body may be as a whole `max_body` of the route says, or `layers.BodyLimit`.
    """

    max_files: int = 1000
    """The most files."""
    max_fields: int = 1000
    """The most fields that are texts."""
    max_field_size: int = 1024 * 1024
    """The most bytes of a text."""
    max_file_size: int | None = None
    """The most bytes of a file; as many as the body may have unless given."""
    max_filename_length: int = 255
    """The most characters of a file's name."""
    max_part_headers: int = 16
    """The most header fields of a part."""
    max_part_header_size: int = 8 * 1024
    """The most bytes of these."""
    max_memory: int = 1024 * 1024
    """How many bytes of a request's files are held in memory together; what is more goes to temporary files."""
    directory: str | os.PathLike[str] | None = None
    """Where these are; where the system has them (`TMPDIR`) unless given. They have no name there, so nothing is left of them."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value, least = getattr(self, name), 0 if name in ("max_files", "max_memory") else 1
            if name == "directory" or (name == "max_file_size" and value is None):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(
                    f"FormLimits: {name} is {value!r}",
                    cure=f"give a whole number from {least}",
                    location=user_location(),
                )
        if self.directory is not None and not os.access(self.directory, os.W_OK | os.X_OK):
            raise ConfigError(
                f"FormLimits: files cannot be kept in {os.fspath(self.directory)!r}",
                cure="give a directory that is there, and that this program may write to",
                location=user_location(),
            )

    def to_native(self) -> dict[str, Any]:
        """For the native side."""
        settings = {name: getattr(self, name) for name in self.__slots__}
        return settings | {"directory": None if self.directory is None else os.fspath(self.directory)}


def form_limits(given: object, what: str, location: str) -> FormLimits | None:
    """What `forms=` was given, checked."""
    if given is not None and not isinstance(given, FormLimits):
        raise ConfigError(
            f"{what}: forms={given!r} is not understood", cure="write FormLimits(max_files=10)", location=location
        )
    return given


def body_size(given: object, what: str, location: str) -> int | None:
    """What `max_body=` was given, checked."""
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given > 0):
        return given
    raise ConfigError(f"{what}: max_body is {given!r}", cure="give a whole number of bytes from 1", location=location)


class FormData(Mapping[str, "Value"]):
    """The fields of a form by name; a name may stand there more than once, and then the last one counts.

    A field for which no file was chosen is not there.
    """

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[str, Value]] = ()) -> None:
        self._pairs = list(pairs)
        self._values = dict(self._pairs)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getlist(self, name: str) -> list[Value]:
        """All that stands under this name, in the order in which it was sent."""
        return [value for own, value in self._pairs if own == name]

    def multi_items(self) -> list[tuple[str, Value]]:
        """All of it, in the order in which it was sent."""
        return list(self._pairs)

    async def close(self) -> None:
        """Closes the files; they are closed anyway when the request was answered."""
        for _, value in self._pairs:
            if not isinstance(value, str):
                await value.close()

    def __repr__(self) -> str:
        return f"FormData({self._pairs!r})"


class FormOpening:
    """A form that is read when this is awaited, or entered with `async with`, which closes its files at its end."""

    __slots__ = ("_awaited", "_form")

    def __init__(self, awaited: Awaitable[FormData]) -> None:
        self._awaited = awaited
        self._form: FormData | None = None

    def __await__(self) -> Generator[Any, Any, FormData]:
        return self._awaited.__await__()

    async def __aenter__(self) -> FormData:
        self._form = await self._awaited
        return self._form

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._form is not None:
            await self._form.close()


class UploadBytes(io.BytesIO):
    """A file in memory for whoever reads it by himself: a copy, so that nothing that is written here would reach the file."""

    def writable(self) -> bool:
        return False

    def write(self, data: Buffer, /) -> int:
        """Refuses."""
        raise io.UnsupportedOperation("this is for reading; await write() of the UploadFile")

    def writelines(self, lines: Iterable[Buffer], /) -> None:
        """Refuses."""
        self.write(b"")

    def truncate(self, size: int | None = None, /) -> int:
        """Refuses."""
        return self.write(b"")


class UploadReader(io.RawIOBase):
    """A file on disk for whoever reads it by himself: it has a place of its own, and no descriptor."""

    def __init__(self, file: UploadFile) -> None:
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Reads the next bytes."""
        room = memoryview(buffer).cast("B")
        found = self._file._read_at(self._at, len(room))
        room[: len(found)] = found
        self._at += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Goes on at another place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError("before the beginning of the file")
        self._at = start + offset
        return self._at
