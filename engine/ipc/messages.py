"""The messages between a front end and the engine, and how they are put on a byte pipe.

Each message is a 4-byte big-endian length and that many bytes of MessagePack, decoded strictly into one of the structs
below. Nothing is pickled. The same bytes travel over a local pipe or through `ssh host llm-holes engine`.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Literal, TypeVar

import msgspec

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.model.sizes import Sizes
from llm_holes.engine.work import Doing

T = TypeVar("T")

VERSION = 3
MAX_MESSAGE = 64 * 2**20
HEARTBEAT_SECONDS = 2.0
HEADER = struct.Struct(">I")


class ProtocolError(Exception):
    """The bytes are not a message of this protocol; the connection cannot go on."""


class Case(msgspec.Struct, frozen=True):
    """A case of the game: both ends know its name, only the engine what it breaks in the model."""

    seed: int
    difficulty: int


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Run a lesson's experiment, on a secretly damaged model if a `case` is open; a newer Run cancels the one before
    it."""

    id: int
    lesson: str
    settings: dict[str, Value]
    case: Case | None = None


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    id: int


Request = Run | Cancel


class ModelInfo(Sizes, frozen=True):
    """The loaded model as the front end may quote it; `{model.n_layers}` in a lesson's text is a field of this.

    Of a model on a server, `shows` has by lesson what can be given there: keys of views, and the measurements that
    decide bets. What the server does not tell of it is 0 or empty.
    """

    name: str
    path: str
    sha256: str
    dtype: str
    threads: int
    parameters: int
    weight_format: str
    device: str = "cpu"
    shows: dict[str, list[str]] | None = None

    @property
    def facts(self) -> dict[str, object]:
        """What is known of it, by name."""
        fields = msgspec.structs.asdict(self)
        return fields if self.shows is None else {name: value for name, value in fields.items() if value}

    def can_decide(self, lesson: str, bet: str) -> bool:
        """Whether a run of the lesson makes the measurement that decides the bet."""
        return self.shows is None or bet in self.shows.get(lesson, ())


Phase = Literal["starting", "downloading", "converting", "loading"]


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The engine's first message. `versions` maps each library that matters to its version."""

    protocol: int
    versions: dict[str, str]


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Where the engine is on its way to a model; `done`/`total` are bytes while downloading (total 0: not known)."""

    phase: Phase
    message: str
    done: int = 0
    total: int = 0


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    model: ModelInfo


class Unavailable(msgspec.Struct, frozen=True, tag="unavailable"):
    """No model: what went wrong and what to do about it. Runs are refused until the engine is started again."""

    error: str
    hint: str


class Framed(msgspec.Struct, frozen=True, tag="frame"):
    id: int
    frame: Frame


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The run's last message; `settings` are the validated settings it ran with, defaults filled in."""

    id: int
    settings: dict[str, Value]
    ms: float


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    id: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The run ended without a result. `usage` is true when the request was wrong, false when the engine failed."""

    id: int
    error: str
    hint: str = ""
    usage: bool = False


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """The engine still works: sent every HEARTBEAT_SECONDS as long as it loads or runs, and nothing when it idles.
    `doing` is what the run `id` does, if it tells that."""

    id: int = 0
    doing: Doing | None = None


Reply = Hello | Status | Ready | Unavailable | Framed | Finished | Cancelled | Failed | Alive

_encoder = msgspec.msgpack.Encoder()


# each takes some milliseconds to make, and no first screen needs one
@cache
def _requests() -> msgspec.msgpack.Decoder[Request]:
    return msgspec.msgpack.Decoder(Request, strict=True)


@cache
def _replies() -> msgspec.msgpack.Decoder[Reply]:
    return msgspec.msgpack.Decoder(Reply, strict=True)


def pack(message: Request | Reply) -> bytes:
    """The message with its length in front. Raises ProtocolError if it is longer than MAX_MESSAGE or cannot be encoded
    (half a surrogate pair, an integer beyond 64 bits)."""
    try:
        body = _encoder.encode(message)
    except (UnicodeEncodeError, OverflowError) as error:
        raise ProtocolError(f"message cannot be encoded as UTF-8 text and 64-bit numbers: {error}") from None
    if len(body) > MAX_MESSAGE:
        raise ProtocolError(f"message of {len(body):,} bytes; the limit is {MAX_MESSAGE:,}")
    return HEADER.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """The length a 4-byte header announces. Raises ProtocolError beyond MAX_MESSAGE."""
    (length,) = HEADER.unpack(header)
    if length > MAX_MESSAGE:
        raise ProtocolError(f"message of {length:,} bytes announced; the limit is {MAX_MESSAGE:,}")
    return int(length)


def decode_request(body: bytes) -> Request:
    return _decode(_requests(), body)


def decode_reply(body: bytes) -> Reply:
    return _decode(_replies(), body)


def _decode(decoder: msgspec.msgpack.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"message does not decode: {error}") from None
