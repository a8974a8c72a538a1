"""What an edit draws: numbers and letters that depend on seed, word and place, and nothing else."""

from __future__ import annotations

import string
from hashlib import blake2b


def hashed(seed: int, word: str, position: int, use: str) -> int:
    """A number below 2^64 that depends on these four and on nothing else."""
    key = f"{seed}\0{word}\0{position}\0{use}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


def letter(draw: int, like: str, but: str = "") -> str:
    """One of a-z in the case of `like`, never `but`."""
    letters = string.ascii_lowercase.replace(but.casefold(), "")
    return cased(letters[draw % len(letters)], like)


def cased(one: str, like: str) -> str:
    """A letter in the case of another."""
    return one.upper() if like.isupper() else one
