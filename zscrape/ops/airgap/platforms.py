"""Which machines wheels are for, in the words of uv and of pip."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from zscrape.config import SettingError

# Debian 10, RHEL 8 and everything since; nearly every wheel is made for it or for less.
_DEFAULT_GLIBC: Final = 28
_OLDEST_GLIBC: Final = 5
_ALIASES: Final = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_UV_KNOWS: Final = (17, 28, *range(31, 41))
_TOLD: Final = re.compile(r"(?:manylinux(?:(2014)|_2_(\d{1,2}))_|linux_)?(x86_64|aarch64)")
_EXPECTED: Final = "x86_64, aarch64, manylinux2014_ARCH or manylinux_2_N_ARCH"


class Platform(Struct, frozen=True):
    """One kind of machine: its architecture, and how old its C library may be."""

    machine: str
    glibc: int

    @property
    def name(self) -> str:
        """What people and wheels call it."""
        return f"manylinux_2_{self.glibc}_{self.machine}"

    @property
    def uv_name(self) -> str:
        """The newest platform that uv knows and that is no newer than this one."""
        known = max(each for each in _UV_KNOWS if each <= self.glibc)
        return f"{self.machine}-manylinux_2_{known}"

    @property
    def tags(self) -> list[str]:
        """Every platform tag whose wheels run there; pip wants them one by one."""
        tags: list[str] = []
        for number in range(self.glibc, _OLDEST_GLIBC - 1, -1):
            tags.append(f"manylinux_2_{number}_{self.machine}")
            if number in _ALIASES:
                tags.append(f"{_ALIASES[number]}_{self.machine}")
        return [*tags, f"linux_{self.machine}"]


def parse_platform(told: str) -> Platform:
    """Return the platform that a name means.

    Raises:
        ConfigError: It means none; names those there are.
    """
    found = _TOLD.fullmatch(told.lower().replace("arm64", "aarch64").replace("amd64", "x86_64"))
    glibc = _DEFAULT_GLIBC
    if found is not None and (found[1] or found[2]):
        glibc = 17 if found[1] else int(found[2])
    if found is None or glibc < _UV_KNOWS[0]:
        reason = f"{told!r} is not {_EXPECTED}"
        raise SettingError(
            source="--platform", reason=reason, fault="value", value=told, expected=_EXPECTED
        )
    return Platform(found[3], glibc)
