"""Channels on disk: promoted, rolled back, kept; never half written."""

from __future__ import annotations

from pathlib import Path

import pytest

from zscrape.errors import ConfigError
from zscrape.errors.requests import NotFound
from zscrape.scripts.channels import Channels, is_channel_name


async def test_channels_outlive_the_process(tmp_path: Path) -> None:
    """What was promoted is there for the next process, its history included."""
    path = tmp_path / "channels.json"
    first = Channels(path)
    await first.promote("watch", "stable", "1.0.0")
    await first.promote("watch", "stable", "1.1.0")
    await first.promote("watch", "stable", "1.1.0")  # nothing new: one step back is 1.0.0
    second = Channels(path)
    change = await second.roll_back("watch", "stable")

    assert dict(second.of("watch")) == {"stable": "1.0.0"}
    assert (change.version, change.previous) == ("1.0.0", "1.1.0")
    with pytest.raises(NotFound):
        await second.roll_back("watch", "stable")
    assert dict(second.of("other")) == {}


async def test_channel_that_is_removed_is_gone(tmp_path: Path) -> None:
    """A removed channel leaves nothing behind in the file."""
    channels = Channels(tmp_path / "channels.json")
    await channels.promote("watch", "beta", "2.0.0-rc.1")
    await channels.remove("watch", "beta")

    assert dict(channels.of("watch")) == {}
    assert (tmp_path / "channels.json").read_bytes() == b"{}"
    with pytest.raises(NotFound):
        await channels.remove("watch", "beta")


async def test_history_is_bounded(tmp_path: Path) -> None:
    """However often a channel changes, its file stays small."""
    channels = Channels(tmp_path / "channels.json")
    for number in range(50):
        await channels.promote("watch", "stable", f"1.{number}.0")
    for _ in range(19):
        await channels.roll_back("watch", "stable")

    with pytest.raises(NotFound):
        await channels.roll_back("watch", "stable")


async def test_file_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    """A damaged file stops the start: promoting over it would lose what it says."""
    path = tmp_path / "channels.json"
    path.write_text("{")

    with pytest.raises(ConfigError) as caught:
        Channels(path)

    assert caught.value.source == str(path)
    assert path.read_text() == "{"


async def test_disk_that_takes_nothing_changes_nothing(tmp_path: Path) -> None:
    """A channel that could not be kept still stands for what it stood for."""
    channels = Channels(tmp_path / "folder" / "channels.json")
    await channels.promote("watch", "stable", "1.0.0")
    (tmp_path / "folder" / "channels.json").unlink()
    (tmp_path / "folder" / "channels.json").mkdir()

    with pytest.raises(OSError, match="channels"):
        await channels.promote("watch", "stable", "1.1.0")

    assert dict(channels.of("watch")) == {"stable": "1.0.0"}
    assert [each.name for each in (tmp_path / "folder").iterdir()] == ["channels.json"]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("stable", True),
        ("beta", True),
        ("team-a_1", True),
        ("latest", False),
        ("1.0.0", False),
        ("x", False),
        ("*", False),
        ("", False),
        ("Stable", False),
        ("a" * 33, False),
        ("../x", False),
    ],
)
def test_names_of_channels(name: str, is_one: bool) -> None:
    """A channel is named so that no version request could mean anything else."""
    assert is_channel_name(name) == is_one
