"""What comes out of a child, cut and checked: `capture` and `speech` without a process."""

from __future__ import annotations

import json

import pytest

from zscrape.model import Limits, OutcomeCode
from zscrape.runtime import channel as frames
from zscrape.worker.capture import Budget, Stream
from zscrape.worker.speech import Speech, Violation


def frame(kind: bytes, payload: bytes) -> bytes:
    """Return one frame."""
    return (len(payload) + 1).to_bytes(4, "big") + kind + payload


def speech(**limits: int) -> Speech:
    """Return a speech under these limits."""
    made = Limits(**limits)
    return Speech(made, Budget(made.output_size_bytes))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_frames_are_found_however_they_are_cut(size: int) -> None:
    """Frames come out whole and in order whatever the pieces are."""
    said = [(b"i", b"1"), (b"l", b""), (b"p", b"x" * 50), (b"i", b"end")]
    data = b"".join(frame(*each) for each in said)
    heard = speech()
    found = [each for at in range(0, len(data), size) for each in heard.split(data[at : at + size])]

    assert found == said


@pytest.mark.parametrize("behind", [b"", b"\0\0\0\2i1", b"nothing that anybody hears"])
@pytest.mark.parametrize("size", [1, 4, 5, 6, 8, 9, 10, 25, 26, 27, 1000, 1_000_000])
def test_an_answer_is_whole_however_it_is_cut(size: int, behind: bytes) -> None:
    """Its head and its data are told apart, and what follows it is none of its data."""
    head, document = b'{"code":"ok","cpu_us":7}', b'["' + b"x" * 3000 + b'"]'
    payload = len(head).to_bytes(4, "big") + head + document
    data = frame(frames.ITEM, b"1") + frame(frames.ANSWER, payload) + behind
    heard = speech()
    found = (each for at in range(0, len(data), size) for each in heard.split(data[at : at + size]))

    assert next(found) == (frames.ITEM, b"1")
    kind, told = next(found)
    answer = heard.answer(told)
    assert (kind, answer.cpu_us, answer.data) == (frames.ANSWER, 7, document)


@pytest.mark.parametrize("size", [6, 9, 1000, 100_000])
def test_an_answer_with_more_head_than_there_is_is_a_violation(size: int) -> None:
    """However it is cut."""
    data = frame(frames.ANSWER, (5000).to_bytes(4, "big") + b'{"code":"ok"}' + b" " * 4000)
    heard = speech()
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    [(_, told)] = [each for piece in pieces for each in heard.split(piece)]

    with pytest.raises(Violation):
        heard.answer(told)


@pytest.mark.parametrize("data", [b"\0\0\0\0i", b"\xff\xff\xff\xffi", b"\x05\0\0\0i"])
def test_impossible_length_is_a_violation(data: bytes) -> None:
    """A frame of no length, or longer than any may be, is refused before it is waited for."""
    with pytest.raises(Violation) as caught:
        list(speech().split(data))

    assert caught.value.code == OutcomeCode.CRASHED


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (b"?", b"{}"),
        (frames.ITEM, b""),
        (frames.ITEM, b"NaN"),
        (frames.ITEM, b'"\xff"'),
        (frames.ITEM, b"[" * 100_000),
        (frames.ITEM, b"[" * 70_000 + b"]" * 70_000),
        (frames.ITEM, b'"' + b"x" * 70_000),
        (frames.ITEM, b'"' + b"\xff" * 70_000 + b'"'),
        (frames.LOG, b"[]"),
        (frames.LOG, b"[" + b"1," * 70_000 + b"1]"),
        (frames.PROGRESS, b'{"fraction":"x","text":""}'),
        (frames.PROGRESS, b"{}"),
        (frames.PROGRESS, b'{"fraction":1e308,"text":""}'),
        (frames.PROGRESS, b'{"fraction":1' + b"0" * 400 + b',"text":""}'),
        (frames.PROGRESS, b'{"fraction":-0.1,"text":""}'),
        (frames.LOG, b'{"level":"info"}'),
        (frames.LOG, b'{"level":"shout","message":"x"}'),
        (frames.ARTIFACT, b"{}"),
        (frames.ARTIFACT, b'{"name":"../a","size":1,"content_type":"","sha256":"","data":""}'),
    ],
)
def test_malformed_record_is_a_violation(kind: bytes, payload: bytes) -> None:
    """Whatever is not exactly a record of its kind is refused."""
    with pytest.raises(Violation):
        speech().record(kind, payload)


def artifact(**changed: object) -> bytes:
    """Return the record of a saved file, some of it forged."""
    fields = {
        "name": "a.txt",
        "size": 3,
        "content_type": "text/plain",
        "sha256": "0" * 64,
        "data": "YWJj",
    }
    return json.dumps({**fields, **changed}).encode()


def test_honest_artifact_is_kept_as_it_is() -> None:
    """A file whose record is what it claims goes on unchanged."""
    assert speech().record(frames.ARTIFACT, artifact()) == ("artifact", artifact())


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ".."},
        {"size": 4},
        {"size": -1},
        {"size": 10**30},
        {"data": "YWJ"},
        {"data": "YW Jj"},
        {"data": "값"},
        {"sha256": "0" * 63},
        {"sha256": "0" * 64 + "\n"},
        {"content_type": "text/plain\r\nX: y"},
        {"content_type": "x" * 300},
        {"more": 1},
    ],
)
def test_artifact_that_is_not_what_it_claims_is_a_violation(changed: dict[str, object]) -> None:
    """Size, digest, media type and encoding are checked before a file goes on."""
    with pytest.raises(Violation) as caught:
        speech().record(frames.ARTIFACT, artifact(**changed))

    assert caught.value.code == OutcomeCode.CRASHED


def test_forged_keys_do_not_go_on() -> None:
    """A record that names a key twice, or another stream, is written anew."""
    twice = b'{"level":"error","level":"info","stream":"stdout","message":"a","message":"b"}'
    moved = b'{"fraction":0.1,"fraction":0.5,"text":"t","more":1}'

    assert speech().record(frames.LOG, twice) == (
        "log",
        b'{"level":"info","stream":"log","message":"b"}',
    )
    assert speech().record(frames.PROGRESS, moved) == ("progress", b'{"fraction":0.5,"text":"t"}')


@pytest.mark.parametrize(
    "value", [b"1" * 5000, b"[" * 5000 + b"]" * 5000, b"[" * 90_000 + b"]" * 90_000]
)
def test_json_that_nobody_could_read_is_an_invalid_result(value: bytes) -> None:
    """JSON that is too deep, or has too large a number, is no crash: a script may mean it."""
    head = b'{"code":"ok"}'
    for tell in (
        lambda: speech().record(frames.ITEM, value),
        lambda: speech().answer(len(head).to_bytes(4, "big") + head + value),
    ):
        with pytest.raises(Violation) as caught:
            tell()

        assert caught.value.code == OutcomeCode.RESULT_INVALID


def test_log_record_that_nobody_could_read_is_told_without_its_fields() -> None:
    """A field that is too deep or too large costs the record, not the attempt."""
    start = b'{"level":"info","message":"m","field":'
    large = speech().record(frames.LOG, start + b"1" * 5000 + b"}")
    deep = speech().record(frames.LOG, start + b"[" * 5000 + b"]" * 5000 + b"}")

    assert large is not None
    assert json.loads(large[1])["message"] == "m [cut]"
    assert deep is not None
    assert "too deeply" in json.loads(deep[1])["message"]


def test_large_documents_are_kept_as_they_are() -> None:
    """A large item is checked without being rebuilt."""
    body = json.dumps(["값" * 50_000]).encode()
    heard = speech()

    assert heard.record(frames.ITEM, body) == ("item", body)
    assert (heard.item_count, heard.size_bytes) == (1, len(body) + 1)


def test_long_texts_are_cut() -> None:
    """A long log message and a long progress text are cut with a mark."""
    heard = speech(line_length_bytes=100)
    log = heard.record(frames.LOG, b'{"level":"info","message":"' + b"x" * 200 + b'"}')
    text = b"y" * 2000
    progress = heard.record(frames.PROGRESS, b'{"fraction":0.5,"text":"' + text + b'"}')

    assert log is not None
    assert json.loads(log[1])["message"] == "x" * 100 + " [cut]"
    assert progress is not None
    assert len(progress[1]) < 1100


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\x02{", b"\xff\xff\xff\xff{}", b"\0\0\0\x02{}x"])
def test_malformed_answer_is_a_violation(payload: bytes) -> None:
    """An answer without a head, or with data that is not JSON, is refused."""
    with pytest.raises(Violation):
        speech().answer(payload)


@pytest.mark.parametrize(
    "forged",
    [
        {"memory_bytes": 10**30},
        {"memory_bytes": -1},
        {"cpu_us": 2**63},
        {"fields": {"a": 10**30}},
        {"fields": {"a": -(2**63)}},
        {"fields": {"a": "x" * 30_000}},
        {"fields": {"k" * 2000: 1}},
        {"fields": {str(number): 1 for number in range(17)}},
        {"error_type": "x" * 2000},
        {"error_message": "x" * 30_000},
        {"traceback": "x" * 300_000},
    ],
)
def test_forged_answer_is_bounded(forged: dict[str, object]) -> None:
    """Whatever an answer counts or tells must fit into the messages that it goes on in."""
    head = json.dumps({"code": "blocked", **forged}).encode()
    with pytest.raises(Violation) as caught:
        speech().answer(len(head).to_bytes(4, "big") + head)

    assert caught.value.code == OutcomeCode.CRASHED


def test_data_of_a_success_must_be_json() -> None:
    """A success carries one JSON document, nothing else."""
    head = b'{"code":"ok"}'
    start = len(head).to_bytes(4, "big") + head

    assert speech().answer(start + b"[1]").data == b"[1]"
    for bad in (b"", b"{", b"1 2"):
        with pytest.raises(Violation):
            speech().answer(start + bad)


def lines(*chunks: bytes, limit_bytes: int = 1000, line_bytes: int = 10) -> list[str]:
    """Return the messages that a stream makes of these chunks."""
    stream = Stream("stdout", "info", Budget(limit_bytes), line_bytes)
    bodies = [body for chunk in chunks for body in stream.feed(chunk)] + stream.end()
    return [json.loads(body)["message"] for body in bodies]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((b"a\nb\n",), ["a", "b"]),
        ((b"a", b"b\n", b"c"), ["ab", "c"]),
        ((b"a\r\n\n",), ["a", ""]),
        ((b"x" * 10 + b"\n",), ["x" * 10]),
        ((b"x" * 11 + b"\n", b"y"), ["x" * 10 + " [cut]", "y"]),
        ((b"x" * 11, b"x" * 99, b"\ny\n"), ["x" * 10 + " [cut]", "y"]),
        ((b"\xff\n",), ["\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_output_is_split_into_lines(chunks: tuple[bytes, ...], expected: list[str]) -> None:
    """Lines are whole, cut at their limit, and never lost at the end."""
    assert lines(*chunks) == expected


def test_budget_tells_once_that_it_is_spent() -> None:
    """After the limit one mark is told and nothing more."""
    told = lines(*[b"xxxxx\n"] * 50, limit_bytes=300)

    assert told[:-1] == ["xxxxx"] * (len(told) - 1)
    assert "300 bytes" in told[-1]
    assert len(told) < 10
