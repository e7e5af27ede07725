"""`scripts publish sign verify cleanup`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import STEPS, Zscrape, clean_environ, write_script
from zscrape.ops.role import Role

WHOLE = {"description": "Counts", "author": "kim"}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script that can be published."""
    return write_script(tmp_path / "work", "counter", STEPS, **WHOLE)


def test_sign_publish_verify_and_run_in_one_breath(
    zscrape: Zscrape, script: Path, tmp_path: Path
) -> None:
    """The verbs fit together: what was signed and published is found valid."""
    key = zscrape.json("scripts", "sign", "--key", "me.pem", "--new-key")
    published = zscrape.json("scripts", "publish", script, "--key", "me.pem")
    zscrape.environ["ZSCRAPE_TRUSTED_KEYS"] = key["public_key"]

    (verdict,) = zscrape.json("scripts", "verify", "--strict")["scripts"]

    place = tmp_path / "home" / "scripts" / "counter" / "1.0.0"
    assert published["place"] == str(place)
    assert (published["key_id"], published["repository"]) == (key["key_id"], "scripts")
    assert (verdict["digest"], verdict["signature"]) == (published["digest"], "valid")
    assert (verdict["key_name"], verdict["has_checksums"]) == ("me", True)
    assert "trusted_keys" in zscrape("scripts", "sign", "--key", "b.pem", "--new-key").stderr


def test_publish_tells_what_went_where(zscrape: Zscrape, script: Path) -> None:
    """Name, version, digest and place, and what to do next."""
    result = zscrape("scripts", "publish", script)

    assert result.exit_code == 0
    assert "Published counter 1.0.0 to scripts." in result.stdout
    assert "sha256:" in result.stdout
    assert "counter/1.0.0" in result.stdout
    assert "zscrape scripts refresh" in result.stderr


def test_a_dry_run_writes_nothing_and_says_so(
    zscrape: Zscrape, script: Path, tmp_path: Path
) -> None:
    """In Korean, too."""
    result = zscrape("scripts", "publish", script, "--dry-run", "--lang", "ko")

    assert result.exit_code == 0
    assert "아무것도 쓰지 않았습니다" in result.stdout
    assert not (tmp_path / "home" / "scripts" / "counter").exists()


def test_a_version_that_exists_is_bad_input(zscrape: Zscrape, script: Path) -> None:
    """The second time it says to raise the version, and to a machine the code."""
    zscrape("scripts", "publish", script)

    result = zscrape("scripts", "publish", script)
    error = zscrape.json("scripts", "publish", script, code=3)["error"]

    assert result.exit_code == 3
    assert "raise the version" in result.stderr
    assert error["code"] == "version_exists"


def test_what_publishing_lacks_is_told_by_its_place(zscrape: Zscrape, tmp_path: Path) -> None:
    """A script that runs may still lack what others need to know."""
    bare = write_script(tmp_path / "work", "bare", STEPS)

    result = zscrape("scripts", "publish", bare)

    assert result.exit_code == 3
    assert "/description: needed to publish" in result.stderr
    assert "/author: needed to publish" in result.stderr


def test_publish_makes_an_archive(zscrape: Zscrape, script: Path, tmp_path: Path) -> None:
    """A path that ends in .tar.gz is written there."""
    published = zscrape.json("scripts", "publish", script, "--to", "counter.tar.gz")

    assert published["place"] == str(tmp_path / "counter.tar.gz")
    assert (tmp_path / "counter.tar.gz").is_file()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--to", "nowhere"], "nowhere is no repository"),
        (["--key", "absent.pem"], "absent.pem"),
    ],
)
def test_a_destination_or_a_key_that_is_not_there_is_bad_input(
    zscrape: Zscrape, script: Path, options: list[str], told: str
) -> None:
    """It is named, and nothing is written."""
    result = zscrape("scripts", "publish", script, *options)

    assert result.exit_code == 3
    assert told in result.stderr


def test_sign_needs_a_key_and_something_to_do(zscrape: Zscrape, script: Path) -> None:
    """Each is asked for by name; a key is never written over."""
    zscrape("scripts", "sign", "--key", "me.pem", "--new-key")

    without_key = zscrape("scripts", "sign", script)
    without_folder = zscrape("scripts", "sign", "--key", "me.pem")
    again = zscrape("scripts", "sign", "--key", "me.pem", "--new-key")

    assert (without_key.exit_code, without_folder.exit_code, again.exit_code) == (3, 3, 3)
    assert "--key" in without_key.stderr
    assert "--new-key" in without_folder.stderr
    assert "me.pem" in again.stderr


def test_sign_tells_of_each_folder(zscrape: Zscrape, script: Path, tmp_path: Path) -> None:
    """Name, version and key of each; the folder is valid from then on."""
    other = write_script(tmp_path / "work", "other", STEPS)

    result = zscrape("scripts", "sign", script, other, "--key", "me.pem", "--new-key")
    verified = zscrape.json("scripts", "verify", script, other)

    assert result.exit_code == 0
    assert "Signed counter 1.0.0" in result.stdout
    assert "Signed other 1.0.0" in result.stdout
    assert {each["signature"] for each in verified["scripts"]} == {"unknown_key"}


def test_verify_counts_those_that_are_not_valid(
    zscrape: Zscrape, script: Path, tmp_path: Path
) -> None:
    """All valid is 0, some is 2, none is 1; each reason is told."""
    damaged = write_script(
        tmp_path / "work", "damaged", STEPS, checksums={"main.py": "sha256:" + "0" * 64}
    )

    good = zscrape("scripts", "verify", script)
    some = zscrape("scripts", "verify", script, damaged)
    none = zscrape("scripts", "verify", damaged)

    assert (good.exit_code, some.exit_code, none.exit_code) == (0, 2, 1)
    assert "unsigned" in good.stdout
    assert "not valid" in some.stdout
    assert "damaged/main.py" in some.stderr


def test_verify_of_what_is_not_there_is_bad_input(zscrape: Zscrape, tmp_path: Path) -> None:
    """Names and folders alike; an empty repository is no fault."""
    (tmp_path / "home" / "scripts").mkdir(parents=True)

    assert zscrape("scripts", "verify", "nobody").exit_code == 3
    assert zscrape("scripts", "verify", "./nobody").exit_code == 3
    assert zscrape("scripts", "verify").exit_code == 0


def test_verify_strictly_needs_somebody_to_trust(zscrape: Zscrape, script: Path) -> None:
    """Without a trusted key nothing could be valid, and the setting is named."""
    result = zscrape("scripts", "verify", script, "--strict")

    assert result.exit_code == 3
    assert "trusted_keys" in result.stderr


def test_cleanup_tells_what_it_removed(zscrape: Zscrape, script: Path, tmp_path: Path) -> None:
    """A run leaves a script in the cache; old, it goes, and a dry run only tells."""
    zscrape("run", script, "-p", "count=1")
    (mark,) = (tmp_path / "home" / "cache" / "used").iterdir()
    fresh = zscrape.json("scripts", "cleanup", "--older-than", "0")
    os.utime(mark, (0, 0))

    would = zscrape("scripts", "cleanup", "--dry-run")
    result = zscrape("scripts", "cleanup", "--older-than", "48")

    assert (fresh["removed_count"], fresh["kept_count"]) == (0, 1)
    assert mark.name in would.stdout
    assert "Would remove 1 scripts" in would.stderr
    assert "Removed 1 scripts" in result.stderr
    assert not list((tmp_path / "home" / "cache" / "sha256").iterdir())


def test_check_tells_of_what_has_no_effect_without_failing(
    zscrape: Zscrape, tmp_path: Path
) -> None:
    """A field that comes to nothing beside another one is a warning."""
    odd = write_script(tmp_path / "work", "odd", STEPS, reuse=5, kit=["browser"], **WHOLE)

    (report,) = zscrape.json("scripts", "check", odd)["scripts"]

    assert report["errors"] == []
    assert json.dumps(report["warnings"]).count("has no effect") == 1


def test_a_strict_gateway_runs_only_what_is_signed(zscrape: Zscrape, tmp_path: Path) -> None:
    """The settings of a gateway's process decide; signing the folder is live at the next call."""
    key = zscrape.json("scripts", "sign", "--key", "me.pem", "--new-key")
    folder = write_script(tmp_path / "home" / "scripts", "counter", STEPS)
    strict = {"ZSCRAPE_TRUSTED_KEYS": key["public_key"], "ZSCRAPE_REQUIRE_SIGNATURE": "true"}
    home = str(tmp_path / "home")
    listen = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]
    gateway = Role("gateway", ["--home", home, *listen], environ=clean_environ(**strict))
    try:
        gateway.wait_ready()
        unsigned = zscrape("run", "counter")
        zscrape("scripts", "sign", folder, "--key", "me.pem")
        signed = zscrape.json("run", "counter", "--detach")
    finally:
        gateway.stop()

    assert unsigned.exit_code == 3
    assert "zscrape scripts sign" in unsigned.stderr
    assert signed["status"] == "queued"
