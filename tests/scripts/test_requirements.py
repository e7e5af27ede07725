"""Requirement lines: what may be asked for, what is refused and where it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st
from packaging.requirements import Requirement

from zscrape.errors.scripts import FilesInvalid, ManifestInvalid
from zscrape.model import RunSpec
from zscrape.scripts.digest import ScriptFile
from zscrape.scripts.script import build_script

SHA = "sha256:" + "ab" * 32
HEX = "ab" * 32
RUN = "def run():\n    return 1\n"


def run_of(
    text: str | None = None, *, main: str = RUN, raw: bytes | None = None, **manifest: Any
) -> RunSpec:
    """Build a script with these requirements and return what a worker is told."""
    about = {"name": "needs", "version": "1.0.0", **manifest}
    files = [
        ScriptFile("main.py", is_executable=False, content=main.encode()),
        ScriptFile("metadata.json", is_executable=False, content=json.dumps(about).encode()),
    ]
    if text is not None or raw is not None:
        files.append(
            ScriptFile(
                "requirements.txt", is_executable=False, content=raw or (text or "").encode()
            )
        )
    return build_script("test", "needs", None, files).run


def problems_of(text: str | None = None, **options: Any) -> list[tuple[str, str]]:
    """Return pointer and code of each problem of such a script."""
    with pytest.raises(ManifestInvalid) as caught:
        run_of(text, **options)
    return [(each["pointer"], each["code"]) for each in caught.value.problems]


def test_script_without_requirements_asks_for_nothing() -> None:
    """The default costs a worker nothing: no lines and no range."""
    run = run_of()

    assert (run.requirements, run.python) == ((), "")


def test_file_is_read_line_by_line() -> None:
    """Names, extras, versions, markers, comments and blank lines; the lines come out sorted."""
    text = """
    # what it needs
    lxml >= 5   # a comment
    Httpx[http2,socks] >=0.27,<1

    tomli; python_version < "3.11"
    lxml >= 5
    """

    assert run_of(text).requirements == (
        "Httpx[http2,socks]<1,>=0.27",
        "lxml>=5",
        'tomli; python_version < "3.11"',
    )


def test_hashes_may_stand_on_continued_lines() -> None:
    """What `pip-compile --generate-hashes` writes is read: one requirement, several hashes."""
    other = "sha256:" + "cd" * 32
    text = f"a==1.0 \\\n    --hash={other} \\\n    --hash {SHA}\nb==2 --hash={SHA}\n"

    assert run_of(text).requirements == (
        f"a==1.0 --hash={SHA} --hash={other}",
        f"b==2 --hash={SHA}",
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_byte_order_marks_of_other_systems_are_read(end: str) -> None:
    """A file written elsewhere means the same."""
    raw = b"\xef\xbb\xbf" + f"a==1{end}b==2{end}".encode()

    assert run_of(raw=raw).requirements == ("a==1", "b==2")


def test_address_with_a_hash_may_be_asked_for() -> None:
    """An https address is fine when its content is known."""
    line = f"a @ https://example.com/a-1-py3-none-any.whl#sha256={HEX}"
    hashed = f"a @ https://example.com/a-1-py3-none-any.whl --hash={SHA}"

    assert run_of(line).requirements == (line,)
    assert run_of(hashed).requirements == (hashed,)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("-e .", "requirement_option"),
        ("-e git+https://example.com/a.git#egg=a", "requirement_option"),
        ("--editable=./a", "requirement_option"),
        ("-r more.txt", "requirement_option"),
        ("-rmore.txt", "requirement_option"),
        ("-c limits.txt", "requirement_option"),
        ("--index-url https://example.com/packages", "requirement_option"),
        ("--extra-index-url=elsewhere", "requirement_option"),
        ("-i https://example.com/packages", "requirement_option"),
        ("--find-links /tmp", "requirement_option"),
        ("--trusted-host example.com", "requirement_option"),
        ("--no-binary :all:", "requirement_option"),
        ("a==1 --config-settings x=y", "requirement_option"),
        ("a==1 --global-option=x", "requirement_option"),
        ("a==1 --hash=sha256:abc", "digest"),
        (f"a==1 --hash=md5:{'0' * 32}", "digest"),
        (f"a==1 --hash={SHA.upper()}", "digest"),
        ("./a", "requirement_path"),
        ("../a-1.whl", "requirement_path"),
        ("/etc/a", "requirement_path"),
        ("~/a", "requirement_path"),
        ("a-1-py3-none-any.whl", "requirement_path"),
        ("folder/a", "requirement_path"),
        ("C:\\wheels\\a.whl", "requirement_path"),
        ("file:///tmp/a.whl", "requirement_path"),
        ("a @ file:///tmp/a.whl", "requirement_path"),
        ("a @ ./a.whl", "requirement_path"),
        ("https://example.com/a.whl", "requirement_url"),
        (f"a @ http://example.com/a.whl#sha256={HEX}", "requirement_url"),
        ("a @ git+https://example.com/a.git@main", "requirement_url"),
        ("git+ssh://git@example.com/a.git", "requirement_url"),
        (f"a @ https://example.com/${{TOKEN}}/a.whl#sha256={HEX}", "requirement_url"),
        ("a @ https://example.com/a.whl", "requirement_url_hash"),
        ("a @ https://example.com/a.whl#egg=a", "requirement_url_hash"),
        (f"a @ https://u:p@example.com/a.whl#sha256={HEX}", "requirement_credentials"),
        ("not a requirement", "requirement"),
        ("a==1; no_such_marker == '1'", "requirement"),
        ("a=1", "requirement"),
        ("==1", "requirement"),
    ],
)
def test_other_lines_are_refused_with_their_place(line: str, code: str) -> None:
    """A line that the rule does not allow is told with its number; nothing is guessed."""
    assert problems_of(f"# first\n{line}\n") == [("/files/requirements.txt/2", code)]


def test_every_line_at_fault_is_told_at_once() -> None:
    """Nobody mends a file one line at a time; a continued line counts from its first."""
    text = "-r a.txt\nfine==1\n./b \\\n   # comment\n\nfile:///c\n"

    with pytest.raises(FilesInvalid) as caught:
        run_of(text)

    assert [each["pointer"].rpartition("/")[2] for each in caught.value.problems] == ["1", "3", "6"]


def test_one_hash_asks_for_all() -> None:
    """With a hash on one line every line needs one, and an exact version."""
    text = f"a==1 --hash={SHA}\nb==2\nc>=3 --hash={SHA}\nd==4.* --hash={SHA}\n"

    assert problems_of(text) == [
        ("/files/requirements.txt/2", "requirement_hash"),
        ("/files/requirements.txt/3", "requirement_exact"),
        ("/files/requirements.txt/4", "requirement_exact"),
    ]


def test_unreadable_and_endless_files_are_refused() -> None:
    """Bytes that are no text, too many lines and too many bytes are told."""
    assert problems_of(raw=b"\xff\xfe") == [("/files/requirements.txt", "unreadable")]
    assert problems_of("a\n" * 1001) == [("/files/requirements.txt", "count")]
    assert problems_of("#" * 300_000) == [("/files/requirements.txt", "size")]


# ---- the three origins -----------------------------------------------------------------

INLINE = '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["inline==1"]\n# ///\n' + RUN


def test_first_origin_that_exists_is_read() -> None:
    """`requirements.txt` before inline metadata before the manifest; an empty one says none."""
    manifest: dict[str, Any] = {"dependencies": ["manifest==1"]}

    assert run_of(**manifest).requirements == ("manifest==1",)
    assert run_of(main=INLINE, **manifest).requirements == ("inline==1",)
    assert run_of("file==1", main=INLINE, **manifest).requirements == ("file==1",)
    assert run_of("", main=INLINE, **manifest).requirements == ()


def test_inline_python_counts_beside_the_manifests() -> None:
    """Both ranges hold, whichever origin the requirements come from."""
    assert run_of(main=INLINE).python == ">=3.11"
    assert set(run_of("a==1", main=INLINE, python_version="<3.14").python.split(",")) == {
        "<3.14",
        ">=3.11",
    }
    assert run_of(python_version=">=3.12").python == ">=3.12"


def test_inline_block_without_dependencies_leaves_them_to_the_manifest() -> None:
    """A block that only says which Python is no list of requirements."""
    main = '# /// script\n# requires-python = ">=3.9"\n# ///\n' + RUN

    assert run_of(main=main, dependencies=["manifest==1"]).requirements == ("manifest==1",)


def test_inline_block_ends_at_its_last_end_line() -> None:
    """The content may have end lines of its own, tables of other tools and empty comments."""
    main = (
        '# /// script\n# dependencies = ["a==1"]\n#\n# [tool.other]\n# text = """\n# ///\n'
        '# """\n# ///\nimport os\n'
    ) + RUN

    assert run_of(main=main).requirements == ("a==1",)


@pytest.mark.parametrize(
    "main",
    [
        '# /// script\n# dependencies = ["a==1"]\n' + RUN,
        '# /// script\n# dependencies = ["a==1"]\n\n# ///\n' + RUN,
        '# /// other\n# dependencies = ["a==1"]\n# ///\n' + RUN,
        '    # /// script\n    # dependencies = ["a==1"]\n    # ///\n' + RUN,
    ],
)
def test_what_is_no_inline_block_is_ignored(main: str) -> None:
    """Without an end, of another type or indented it is a comment (PEP 723)."""
    assert run_of(main=main).requirements == ()


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("# dependencies = [", ("/files/main.py", "inline_toml")),
        ("# dependencies = 'a'", ("/files/main.py/dependencies", "type")),
        ("# dependencies = ['a', 1]", ("/files/main.py/dependencies/1", "type")),
        ("# dependencies = ['-e .']", ("/files/main.py/dependencies/0", "requirement_option")),
        ("# requires-python = 3", ("/files/main.py/requires-python", "type")),
        ("# requires-python = 'three'", ("/files/main.py/requires-python", "python_version")),
    ],
)
def test_inline_metadata_at_fault_is_told(block: str, problem: tuple[str, str]) -> None:
    """What the block says wrongly is told with its place."""
    assert problems_of(main=f"# /// script\n{block}\n# ///\n{RUN}") == [problem]


def test_two_inline_blocks_are_refused() -> None:
    """Nobody can know which of the two was meant."""
    block = "# /// script\n# dependencies = []\n# ///\n"

    assert problems_of(main=f"{block}\n{block}{RUN}") == [("/files/main.py", "inline_twice")]


def test_manifest_dependencies_at_fault_are_the_manifests() -> None:
    """A fault in `metadata.json` is told as one of the manifest."""
    with pytest.raises(ManifestInvalid) as caught:
        run_of(dependencies=["fine==1", "./wheel"])

    assert not isinstance(caught.value, FilesInvalid)
    assert caught.value.problems[0]["pointer"] == "/dependencies/1"


def test_many_block_starts_cost_little() -> None:
    """A file of nothing but start lines is read in one pass."""
    assert run_of(main="# /// script\n" * 50_000 + RUN).requirements == ()


# ---- properties ------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
VERSIONS = st.lists(st.integers(0, 99), min_size=1, max_size=3).map(
    lambda parts: ".".join(map(str, parts))
)
LINES = st.builds(
    lambda name, sign, version, extra: f"{name}{extra}{sign}{version}",
    *(NAMES, st.sampled_from(["==", ">=", "<", "~=1.", "!="]), VERSIONS),
    st.sampled_from(["", "[x]", "[x,y]"]),
)


@given(st.lists(LINES, max_size=8))
def test_good_lines_are_kept_whatever_their_order(lines: list[str]) -> None:
    """Every line comes out once, equal to what went in, and the order does not matter."""
    run = run_of("\n".join(lines))
    turned = run_of("\n\n".join(reversed(lines)) + "  # end")

    assert run.requirements == turned.requirements
    assert {str(Requirement(each)) for each in lines} == set(run.requirements)


@given(st.lists(LINES, max_size=8))
def test_what_was_read_is_read_again_the_same(lines: list[str]) -> None:
    """The canonical form is stable."""
    once = run_of("\n".join(lines)).requirements

    assert run_of("\n".join(once)).requirements == once


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_lines(text: str) -> None:
    """No text gets past the rule: what is kept has no option, no path and no foreign scheme."""
    try:
        lines = run_of(text).requirements
    except FilesInvalid as error:
        lines = ()
        pointers = [each["pointer"] for each in error.problems]
    else:
        pointers = ["/files/requirements.txt"]

    assert pointers
    assert all(each.startswith("/files/requirements.txt") for each in pointers)
    for line in lines:
        told, *options = line.split(" --hash=")
        requirement = Requirement(told)
        assert requirement.url is None or requirement.url.startswith("https://")
        assert all(option.startswith("sha256:") for option in options)
        assert not told.startswith("-")


@given(st.text(alphabet="#/ \nscript=dependencies[]\"'", max_size=300))
def test_any_source_is_read_or_refused(source: str) -> None:
    """No comment makes reading fail in another way."""
    try:
        lines = run_of(main=source + "\n" + RUN).requirements
    except FilesInvalid as error:
        lines = ("-",) * (not error.problems)

    assert "-" not in lines
