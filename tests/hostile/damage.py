"""Ways to damage bytes, and numbers and texts that programs stumble over."""

import random
import struct

NUMBERS = (
    0, 1, -1, 0.5, 2**31, 2**31 - 1, 2**63, 2**64, -(2**63), 10**18, 10**400, 1e308, -1e308,
    float("nan"), float("inf"), float("-inf"), True, None, "", "7", [], {}, [[]], {"a": 1},
)  # fmt: skip
LETTERS = (
    "\x00", "\ud800", "\udcff", "\u200b", "\u202e", "\ufeff", "\u0301", "\u00e9", "\u00df",
    "\u0130", "\u7ea2", "\U0001f534", "\r", "\n", "\t", "\\", '"', "'", "[", "]", "(", ")", "<",
    ">", "{", "}", ":", ",", ";", "%",
)  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes after one to three accidents."""
    for _ in range(rng.randint(1, 3)):
        content = rng.choice(_ACCIDENTS)(content, rng)
    return content


def _cut(content, rng):
    return content[: rng.randrange(len(content) + 1)]


def _flip(content, rng):
    many = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 64))):
        if many:
            # heads are where structure lies
            at = rng.randrange(min(len(many), rng.choice((16, 300, 10**9))))
            many[at] = rng.randrange(256)
    return bytes(many)


def _blank(content, rng):
    start = rng.randrange(len(content) + 1)
    size = min(rng.choice((4, 100, 10**5)), len(content) - start)
    return content[:start] + bytes([rng.choice((0, 255))]) * size + content[start + size :]


def _large(content, rng):
    """A number somewhere becomes one of those that make programs reserve memory."""
    kind, value = rng.choice((("<I", 2**32 - 1), ("<I", 2**31), ("<Q", 2**63), (">I", 2**31 - 1)))
    at = rng.randrange(max(1, min(len(content), rng.choice((64, 10**9)))))
    return content[:at] + struct.pack(kind, value) + content[at + struct.calcsize(kind) :]


def _swap(content, rng):
    middle = rng.randrange(len(content) + 1)
    return content[middle:] + content[:middle]


def _repeat(content, rng):
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.choice((1, 8, 1000))]
    return content[:start] + piece * rng.choice((2, 50)) + content[start:]


_ACCIDENTS = (_cut, _flip, _flip, _flip, _blank, _large, _swap, _repeat)


def odd_text(text: str, rng: random.Random) -> str:
    """A text with letters in it that programs stumble over."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(LETTERS) * rng.choice((1, 1, 3)) + text[at:]
    return text
