"""The workflows of the repository: what they use is pinned, and what they may do is little."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from zscrape import __version__

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def jobs_of(text: str) -> dict[str, str]:
    """Return the text of each job by its name."""
    parts = re.split(r"^  ([\w-]+):\n", text.partition("\njobs:\n")[2], flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> str:
    """The text of a workflow."""
    path: Path = request.param
    return path.read_text("utf-8")


def test_every_action_is_pinned_by_its_commit(workflow: str) -> None:
    """A tag can be moved to other code; a commit cannot. The comment says which version it is."""
    for used in re.findall(r"uses: (.+)", workflow):
        assert used.startswith("./") or _PINNED.fullmatch(used), used


def test_rights_are_read_only_unless_a_job_says_more(workflow: str) -> None:
    """The token of a workflow reads, and nothing else."""
    assert "\npermissions:\n  contents: read\n" in workflow


def test_every_job_ends(workflow: str) -> None:
    """A job that hangs is ended after minutes, not after six hours."""
    for name, text in jobs_of(workflow).items():
        assert "timeout-minutes:" in text or "    uses: ./" in text, name


def test_names_of_others_are_no_code(workflow: str) -> None:
    """What anybody may choose, such as a branch's name, is never put into a command's text."""
    for text in jobs_of(workflow).values():
        for command in re.findall(r"run: (?:[|>].*\n((?: {10,}.*\n|\n)+)|(.+))", text):
            assert not re.search(r"\$\{\{ *(?:github\.(?!token)|inputs|secrets)", "".join(command))


def test_every_supported_python_is_tested() -> None:
    """The classifiers of the package and the matrix of the tests name the same versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    told = [each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each]
    matrix = re.search(r"python: \[(.+)\]", (WORKFLOWS[0].parent / "ci.yml").read_text("utf-8"))

    assert matrix is not None
    assert re.findall(r"3\.\d+", matrix[1]) == told


def test_a_release_is_attested_before_it_is_published() -> None:
    """The wheel that is published is the one that was built, attested, and fits its tag."""
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    steps = [
        "download-artifact@",
        "zscrape-$version-py3",
        "attest-build-provenance@",
        '/uv" publish',
    ]
    places = [text.index(step) for step in steps]

    assert places == sorted(places)
    assert "uses: ./.github/workflows/build.yml" in text


def test_the_changelog_can_be_released() -> None:
    """On top is what is not released yet, or the version of the package: its notes."""
    headings = re.findall(r"^## \[?([\w.]+)\]?", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    tags = re.findall(
        r'newTag: "([^"]+)"',
        (ROOT / "configs/kubernetes/overlays/production/kustomization.yaml").read_text("utf-8"),
    )

    assert headings[0] in ("Unreleased", __version__)
    assert len(set(headings)) == len(headings)
    assert set(tags) == {__version__}
