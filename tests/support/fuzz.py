"""Made-up input of a terminal: keys in bursts, clicks, pastes, replies nobody asked for, and plain noise."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

KEYS = [c.encode() for c in "abBcdefghijklmMnNoOpPrsStTuvxyz123456789 []/?\t\r\x7f!é今"]
NAMED = [
    f"\x1b[{code}".encode() for code in ("A", "B", "C", "D", "H", "F", "5~", "6~", "Z", "27u", "1;2C", "1;2D", "112;5u")
]
LEAVING = [b"q", b"\x11"]
FINALS = b"@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"


def key(rng: Random) -> bytes:
    """One key, seldom one that leaves; q alone does not where something runs."""
    return rng.choice(LEAVING if rng.random() < 0.004 else NAMED if rng.random() < 0.35 else KEYS)


def keys(rng: Random) -> bytes:
    return b"".join(key(rng) for _ in range(rng.randrange(1, 20)))


def mouse(rng: Random) -> bytes:
    """Moves, clicks and the wheel, some of them far away."""

    def one() -> bytes:
        button, far = rng.choice([0, 1, 2, 32, 35, 64, 65]), rng.random() < 0.05
        x, y = rng.randrange(1, 10**6 if far else 130), rng.randrange(1, 10**6 if far else 45)
        both = rng.random() < 0.8
        return b"".join(b"\x1b[<%d;%d;%d%s" % (button, x, y, end) for end in ([b"M", b"m"] if both else [b"M"]))

    return b"".join(one() for _ in range(rng.randrange(1, 8)))


def old_mouse(rng: Random) -> bytes:
    return b"\x1b[M" + rng.randbytes(3)


def noise(rng: Random) -> bytes:
    return rng.randbytes(rng.choice([1, 2, 10, 300, 5000]))


def paste(rng: Random) -> bytes:
    text = rng.choice(
        [rng.randbytes(rng.randrange(200)), "Grüße, 今天 é\u0301\r\n".encode() * rng.randrange(50), b"\x1b[A" * 9]
    )
    return b"\x1b[200~" + text + rng.choice([b"\x1b[201~", b"\x1b[201~", b"\x1b[201", b""])


def string(rng: Random) -> bytes:
    """OSC, DCS and the like, ended or not."""
    body = bytes(rng.choices(range(0x20, 0x100), k=rng.choice([1, 50, 20_000])))
    return b"\x1b" + rng.choice([b"]", b"P", b"_", b"^", b"X"]) + body + rng.choice([b"\x07", b"\x1b\\", b"\x18", b""])


def control_sequence(rng: Random) -> bytes:
    numbers = b";".join(
        b"%d" % rng.choice([0, 1, 2, 5, 48, 9999, 10**9]) for _ in range(rng.choice([0, 1, 2, 3, 5, 2000]))
    )
    return (
        rng.choice([b"\x1b[", b"\x1b[?", b"\x1b[>", b"\x1bO", b"\x9b", "\x9b".encode()])
        + numbers
        + rng.choice([b"", b"$"])
        + bytes([rng.choice(FINALS)])
    )


def focus(rng: Random) -> bytes:
    return rng.choice([b"\x1b[I", b"\x1b[O"]) * rng.choice([1, 2000])


def c1(rng: Random) -> bytes:
    return bytes(rng.choices(range(0x80, 0xA0), k=rng.choice([1, 2000])))


Kind = Callable[[Random], bytes]
ANYTHING: tuple[Kind, ...] = (keys, keys, keys, mouse, old_mouse, noise, paste, string, control_sequence, focus, c1)
BY_HAND: tuple[Kind, ...] = (keys, keys, keys, keys, mouse, paste)


def burst(rng: Random, kinds: tuple[Kind, ...]) -> bytes:
    return rng.choice(kinds)(rng)
