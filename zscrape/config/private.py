"""Files that only their owner may read: keys, secrets, credentials."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from zscrape.config.values import SettingError


def require_private(path: Path) -> None:
    """Refuse a file that another user can read or change; one that is not there is no fault.

    Raises:
        SettingError: Its mode or its owner lets others in; the words say how to mend that.
        OSError: It cannot be looked at.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    mode, user = stat.S_IMODE(found.st_mode), os.geteuid()
    if mode & 0o077:
        reason = f"mode {mode:04o}"
        raise SettingError(
            source=str(path), reason=reason, fault="readable", value=f"{mode:04o}", expected="0600"
        )
    if found.st_uid not in (user, 0):
        reason = f"owner {found.st_uid}"
        raise SettingError(
            source=str(path),
            reason=reason,
            fault="not_ours",
            value=str(found.st_uid),
            expected=str(user),
        )
