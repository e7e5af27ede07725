"""`zscrape bundle`: made here, installed in a place of its own without any network, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.cli.conftest import Zscrape, write_script, zscrape
from tests.wheels import make_wheel, repack
from zscrape import __version__
from zscrape.errors import ConfigError
from zscrape.ops.airgap.ownwheel import package_files, write_own_wheel
from zscrape.ops.airgap.platforms import parse_platform

__all__ = ["zscrape"]  # a fixture

NEEDS = "import needed\n\n\ndef run():\n    return needed.VERSION\n"
# No address of packages can be reached from here, whatever the machine is set to.
NOWHERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")


def closure(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Return an installed package and all that it needs here."""
    found, waiting = set[str](), [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        found.add(name)
        for line in metadata.requires(name) or ():
            need = Requirement(line)
            marker = need.marker
            is_meant = marker is None or any(marker.evaluate({"extra": e}) for e in {"", *extras})
            if is_meant and (need.name not in found or need.extras):
                waiting.append((need.name, frozenset(need.extras)))
                found.add(need.name)
    return {metadata.metadata(each)["Name"] for each in found}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands for an index: wheels of what is installed here, and of two small packages."""
    folder = tmp_path_factory.mktemp("packages")
    names = closure("zscrape", frozenset({"postgres"})) - {"zscrape"}
    repack(folder, *names, compression=zipfile.ZIP_STORED)
    make_wheel(folder, "needed", "1.5")
    make_wheel(folder, "needed", "2.0")
    return folder


@pytest.fixture
def offline(zscrape: Zscrape, packages: Path, tmp_path: Path) -> Zscrape:
    """The command line with packages from that folder and from nowhere else, and four scripts."""
    folder = tmp_path / "scripts"
    write_script(folder, "needs", NEEDS, dependencies=["needed<2"])
    write_script(folder, "plain", "def run():\n    return 'plain'\n")
    write_script(folder, "misses", NEEDS, dependencies=["missing==1"])
    write_script(folder, "old", NEEDS, dependencies=["needed"], python_version="<3.11")
    settings = tmp_path / "z.toml"
    settings.write_text(
        f"worker.offline = true\nworker.find_links = [{json.dumps(str(packages))}]\n"
        f'[[repositories]]\ntype = "dir"\nurl = {json.dumps(str(folder))}\n'
    )
    zscrape.environ |= {"ZSCRAPE_CONFIG": str(settings), **NOWHERE}
    return zscrape


# Some 60 packages are packed, installed and used as a stranger would: it takes its time.
@pytest.mark.timeout(180)
def test_bundle_is_all_that_a_machine_without_internet_needs(
    offline: Zscrape, tmp_path: Path
) -> None:
    """Made, copied, installed in an empty environment without an index, it runs its scripts."""
    made = offline.json("bundle", tmp_path / "z.tar", "needs", "plain", "misses", "old", code=2)
    reasons = {each["target"]: each["reason"] for each in made["errors"]}
    with tarfile.open(tmp_path / "z.tar") as archive:
        archive.extractall(tmp_path / "there", filter="data")
    folder, prefix = tmp_path / "there" / f"zscrape-{__version__}", tmp_path / "opt dir"
    for path in tmp_path.glob("scripts/*/*"):  # nothing of where it was made is there
        path.unlink()
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "me"), **NOWHERE}

    def call(*command: object) -> str:
        done = subprocess.run(
            [str(each) for each in command],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = ("--prefix", prefix, "--python", sys.executable, "--no-compile")
    told = call("sh", folder / "install.sh", *where)
    program = (prefix / "venv/bin/zscrape", "run")
    settings = ("--config", prefix / "zscrape.toml", "--home", tmp_path / "h", "--json")
    ran = call(*program, prefix / "bundle/scripts/needs/1.0.0", *settings)

    assert {each["name"] for each in made["scripts"]} == {"needs", "plain"}
    assert "missing" in reasons["misses"]
    assert "<3.11" in reasons["old"]
    assert f"zscrape {__version__}" in told
    assert json.loads(ran)["data"] == "1.5"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A bundle's folder without wheels."""
    from zscrape.ops.airgap.archive import complete

    folder = tmp_path / "small"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "a.whl").write_bytes(b"wheel")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    complete(folder, {"python": python, "machines": [os.uname().machine]})
    return folder


def installed(folder: Path, *arguments: object) -> tuple[int, str]:
    """Return how an installation of a folder ends, and what it says."""
    command = ["sh", str(folder / "install.sh"), "--python", sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_damaged_bundle_is_not_installed(small: Path, tmp_path: Path) -> None:
    """A file that was changed on the way is found before anything is written."""
    (small / "wheels" / "a.whl").write_bytes(b"whael")

    code, told = installed(small, "--prefix", tmp_path / "p")

    assert code == 3
    assert "the bundle is damaged" in told
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"python": "3.99", "machines": [os.uname().machine]}, "for Python 3.99"),
        ({"python": None, "machines": ["sparc"]}, "for sparc, not for"),
    ],
)
def test_bundle_for_another_machine_says_so(
    tmp_path: Path, about: dict[str, Any], told: str
) -> None:
    """Another Python or another kind of machine is told with what to do about it."""
    from zscrape.ops.airgap.archive import complete

    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / "b").mkdir()
    complete(tmp_path / "b", {**about, "python": about["python"] or own})

    code, said = installed(tmp_path / "b", "--prefix", tmp_path / "p")

    assert code == 3
    assert told in said
    assert "bundle with" in said or "make one with" in said


def test_dry_run_writes_nothing(offline: Zscrape, tmp_path: Path) -> None:
    """`--dry-run` looks up every script and makes no archive."""
    made = offline.json("bundle", tmp_path / "z.tar", "needs", "nothing", "--dry-run", code=2)

    assert made["succeeded_total"] == 2  # zscrape itself is one
    assert made["errors"][0]["reason"].startswith("script_not_found")
    assert not (tmp_path / "z.tar").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["z.zip"], "NAME.tar.gz"),
        (["z.tar", "--platform", "sparc"], "aarch64"),
        (["z.tar", "--platform", "manylinux_2_5_x86_64"], "--platform"),
        (["z.tar", "--python", "2.7"], "3.12"),
    ],
)
def test_bad_input_is_refused_at_once(zscrape: Zscrape, arguments: list[str], told: str) -> None:
    """What cannot be done is told before anything is fetched."""
    result = zscrape("bundle", *arguments)

    assert result.exit_code == 3
    assert told in result.stderr


def test_platform_is_every_tag_that_runs_there() -> None:
    """Wheels for an older C library run on a newer one, and so do those of before the names."""
    arm, old = parse_platform("ARM64"), parse_platform("manylinux2014_x86_64")

    assert arm.name == "manylinux_2_28_aarch64"
    assert arm.uv_name == "aarch64-manylinux_2_28"
    assert "manylinux2014_aarch64" in arm.tags
    assert "manylinux_2_29_aarch64" not in arm.tags
    assert old.uv_name == "x86_64-manylinux_2_17"
    assert "manylinux1_x86_64" in old.tags
    assert parse_platform("manylinux_2_30_x86_64").uv_name == "x86_64-manylinux_2_28"
    with pytest.raises(ConfigError, match="win32"):
        parse_platform("win32")


def test_own_wheel_is_whole_and_always_the_same(tmp_path: Path) -> None:
    """It has every file of the package with its checksum, and two of them are equal."""
    (tmp_path / "b").mkdir()
    first = write_own_wheel(tmp_path)
    second = write_own_wheel(tmp_path / "b")
    with zipfile.ZipFile(first) as archive:
        names = set(archive.namelist())

    assert first.read_bytes() == second.read_bytes()
    assert names >= set(package_files())
    assert "zscrape/ops/airgap/install.sh" in names
    assert "zscrape/_samples/noop/metadata.json" in names
    assert f"zscrape-{__version__}.dist-info/entry_points.txt" in names
    assert not [name for name in names if "__pycache__" in name]
