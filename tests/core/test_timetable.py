"""When a schedule is due: cron, intervals, zones, changes of clocks, hours, jitter."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from zscrape.core.cron import CronFault, next_moment, parse_cron
from zscrape.core.hours import parse_window, window_text
from zscrape.core.misfire import ON_TIME_S, Misfire, decide
from zscrape.core.timetable import Timetable, zone_of

BERLIN = "Europe/Berlin"
SEOUL = "Asia/Seoul"


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    """Return the Unix time of a moment on the clocks of `zone`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def told(moments: list[float], zone: str = "UTC") -> list[str]:
    """Return moments as the clocks of `zone` show them."""
    return [datetime.fromtimestamp(each, ZoneInfo(zone)).isoformat() for each in moments]


def due(cron: str, zone: str, after: str, count: int) -> list[str]:
    """Return the next due moments of an expression."""
    table = Timetable(cron=parse_cron(cron), zone=zone)
    return told(table.upcoming(at(after, zone), count), zone)


# ---- expressions ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "first"),
    [
        ("*/15 * * * *", "2026-01-01T00:15:00+00:00"),
        ("0 3 * * MON-FRI", "2026-01-01T03:00:00+00:00"),
        ("0 3 * jan,jul sun", "2026-01-04T03:00:00+00:00"),
        ("*/10 * * * * *", "2026-01-01T00:00:10+00:00"),
        ("30 0 12 * * *", "2026-01-01T12:00:30+00:00"),
        ("0 0 L * *", "2026-01-31T00:00:00+00:00"),
        ("0 0 * * 5#1", "2026-01-02T00:00:00+00:00"),
        ("@daily", "2026-01-02T00:00:00+00:00"),
        ("@Hourly", "2026-01-01T01:00:00+00:00"),
        ("@weekly", "2026-01-04T00:00:00+00:00"),
        ("@monthly", "2026-02-01T00:00:00+00:00"),
        ("@yearly", "2027-01-01T00:00:00+00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
    ],
)
def test_expression_is_due(cron: str, first: str) -> None:
    """Five fields, six with seconds first, names, steps, last days and macros are understood."""
    assert due(cron, "UTC", "2026-01-01T00:00:00", 1) == [first]


@pytest.mark.parametrize(
    ("cron", "fault"),
    [
        ("", "count"),
        ("* * * *", "count"),
        ("* * * * * * *", "count"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day-of-month"),
        ("* * * 13 *", "month"),
        ("* * * * mondy", "day-of-week"),
        ("61 * * * * *", "second"),
        ("*/0 * * * *", "minute"),
        ("@reboot", "macro"),
        ("0 0 31 4 *", "day-of-month"),
        ("0 0 */5 2 0#5", "never"),
        ("* " * 150, "length"),
    ],
)
def test_bad_expression_names_its_fault(cron: str, fault: str) -> None:
    """What is wrong with an expression is told by the field, or by what it lacks."""
    with pytest.raises(CronFault) as raised:
        parse_cron(cron)

    assert raised.value.fault == fault


@settings(max_examples=300)
@given(st.text(alphabet="0123456789*/-,#LWa @?", max_size=30))
def test_any_text_is_an_expression_or_a_fault(text: str) -> None:
    """Nothing that a person types escapes as an error of another kind."""
    try:
        plain = parse_cron(text)
    except CronFault:
        return

    assert len(plain.split()) in (5, 6)


# ---- changes of clocks ---------------------------------------------------------------


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 30 2 * * *"])
def test_dst_spring_in_berlin_runs_a_skipped_time_as_the_gap_ends(cron: str) -> None:
    """02:30 does not exist on 29 March 2026: it is due at 03:00, once, in either notation."""
    assert due(cron, BERLIN, "2026-03-28T00:00:00", 3) == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 30 2 * * *"])
def test_dst_autumn_in_berlin_runs_a_repeated_time_once(cron: str) -> None:
    """02:30 comes twice on 25 October 2026: it is due in the first of the two hours."""
    assert due(cron, BERLIN, "2026-10-24T12:00:00", 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_dst_two_skipped_times_are_one() -> None:
    """Two times in the gap, and one at its end, are due together as the gap ends."""
    assert due("0,15,45 2-3 * * *", BERLIN, "2026-03-29T01:59:00", 3) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T03:15:00+02:00",
        "2026-03-29T03:45:00+02:00",
    ]


def test_dst_rhythms_follow_real_time() -> None:
    """An expression of every so many minutes goes on in its rhythm over both changes."""
    spring = due("*/30 * * * *", BERLIN, "2026-03-29T01:00:00", 3)
    table = Timetable(cron="*/30 * * * *", zone=BERLIN)
    autumn = table.upcoming(at("2026-10-25T01:30:00", BERLIN), 5)

    assert spring == [
        "2026-03-29T01:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T03:30:00+02:00",
    ]
    assert told(autumn, BERLIN) == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_no_dst_in_seoul() -> None:
    """A zone without changes of clocks is due at the same time every day of the year."""
    table = Timetable(cron="30 2 * * *", zone=SEOUL)
    moments = table.upcoming(at("2026-01-01T00:00:00", SEOUL), 365)

    assert {text[11:] for text in told(moments, SEOUL)} == {"02:30:00+09:00"}
    assert {later - earlier for earlier, later in pairwise(moments)} == {86_400.0}


def test_dst_intervals_know_no_clocks() -> None:
    """An hour's interval is an hour over a change, too."""
    table = Timetable(interval_s=3600, zone=BERLIN, anchor_at=at("2026-03-29T00:00:00", BERLIN))

    assert told(table.upcoming(at("2026-03-29T00:00:00", BERLIN), 3), BERLIN) == [
        "2026-03-29T01:00:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T04:00:00+02:00",
    ]


_PART = st.sampled_from(["*", "*/2", "*/7", "0", "5", "0,30", "2", "1-3", "10-40/9"])


@settings(max_examples=200)
@given(
    second=st.sampled_from(["", "0 ", "*/20 ", "15 "]),
    minute=_PART,
    hour=st.sampled_from(["*", "*/3", "0", "2", "1-3", "23"]),
    zone=st.sampled_from([BERLIN, SEOUL, "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
    after=st.floats(at("2026-01-01T00:00:00"), at("2027-01-01T00:00:00")),
)
def test_moments_only_rise(second: str, minute: str, hour: str, zone: str, after: float) -> None:
    """Whatever the clocks do, each next moment is later, and it is a moment of the expression."""
    plain = parse_cron(f"{second}{minute} {hour} * * *")

    last = after
    for _ in range(5):
        found = next_moment(plain, zone_of(zone), last)
        assert found is not None
        assert found > last
        assert next_moment(plain, zone_of(zone), found - 0.5) == found
        last = found


# ---- intervals, bounds, hours, jitter ------------------------------------------------


def test_interval_keeps_its_grid() -> None:
    """An interval is counted from its anchor, whenever one asks."""
    table = Timetable(interval_s=90, anchor_at=1_000_000)

    assert table.upcoming(1_000_000, 3) == [1_000_090, 1_000_180, 1_000_270]
    assert table.next_due(1_000_091.5) == 1_000_180
    assert table.next_due(0) == 1_000_000


def test_start_and_end_are_met() -> None:
    """The start and the end may be due themselves; outside of them nothing is."""
    table = Timetable(
        cron="0 * * * *",
        start_at=at("2026-01-01T10:00:00"),
        end_at=at("2026-01-01T12:00:00"),
    )

    assert told(table.upcoming(0, 10)) == [
        "2026-01-01T10:00:00+00:00",
        "2026-01-01T11:00:00+00:00",
        "2026-01-01T12:00:00+00:00",
    ]


def test_allowed_hours_are_those_of_the_zone() -> None:
    """Moments outside of the windows are not due; a window may go over midnight."""
    day = Timetable(cron="0 * * * *", zone=SEOUL, hours=(parse_window("9-11"),))
    night = Timetable(interval_s=3600, zone=SEOUL, hours=(parse_window("22:30-01:30"),))
    start = at("2026-01-01T00:00:00", SEOUL)

    assert [text[11:16] for text in told(day.upcoming(start, 4), SEOUL)] == [
        *("09:00", "10:00"),
        *("09:00", "10:00"),
    ]
    assert [text[11:16] for text in told(night.upcoming(start, 4), SEOUL)] == [
        *("01:00", "23:00"),
        *("00:00", "01:00"),
    ]


def test_hours_that_never_fit_are_seen() -> None:
    """A timetable whose moments never lie in its hours has no next moment."""
    table = Timetable(cron="0 12 * * *", hours=(parse_window("09:00-10:00"),))

    assert table.next_due(0) is None


@pytest.mark.parametrize("given", ["", "9", "9-9", "25-26", "9:60-10", "10:00-24:30", "a-b"])
def test_bad_window_is_refused(given: str) -> None:
    """What is no window of a day is told."""
    with pytest.raises(ValueError, match=r"\A"):
        parse_window(given)


def test_window_is_written_as_it_is_read() -> None:
    """A window's text is one form, and reads back as the same."""
    assert window_text(parse_window("9 - 18:30")) == "09:00-18:30"
    assert window_text(parse_window("22-24:00")) == "22:00-24:00"


def test_jitter_is_the_same_on_every_gateway() -> None:
    """The delay is drawn from the schedule and the moment: within bounds, spread, repeatable."""
    table = Timetable(cron="0 * * * *", jitter_s=60)
    moments = table.upcoming(0, 200)
    delays = [table.fire_at("s1", each) - each for each in moments]

    assert delays == [table.fire_at("s1", each) - each for each in moments]
    assert all(0 <= delay < 60 for delay in delays)
    assert min(delays) < 5
    assert max(delays) > 55
    assert table.fire_at("s2", moments[0]) != table.fire_at("s1", moments[0])


def test_jitter_leaves_no_allowed_hours() -> None:
    """A delay that would end outside of the hours is none."""
    table = Timetable(cron="59 9 * * *", jitter_s=3600, hours=(parse_window("9-10"),))
    moments = table.upcoming(0, 50)

    assert all(table.fire_at("s", each) - each < 60 for each in moments)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "Europe", "/etc/passwd"])
def test_unknown_zone_is_refused(name: str) -> None:
    """A zone that there is none of is a fault of the caller, whatever the name looks like."""
    with pytest.raises(ValueError, match=r"\A"):
        zone_of(name)


# ---- what has passed -----------------------------------------------------------------


def test_passed_moments_are_the_last_ones() -> None:
    """Of a month of seconds the last moments are told, and the first that was left out."""
    table = Timetable(interval_s=1, anchor_at=0)
    few = table.passed(1_000, 1_003.5, 100)
    many = table.passed(1_000, 1_000 + 30 * 86_400, 100)

    assert (few.due_ats, few.first_at) == ((1_001, 1_002, 1_003), None)
    assert many.due_ats == tuple(1_000 + 30 * 86_400 - 99 + number for number in range(100))
    assert many.first_at == 1_001


def test_nothing_passed_is_nothing() -> None:
    """Between two moments nothing is due."""
    table = Timetable(cron="0 0 * * *", start_at=at("2026-01-01T00:00:00", "UTC"))

    assert table.passed(at("2026-01-02T00:00:00"), at("2026-01-02T23:59:59"), 10).due_ats == ()


@pytest.mark.parametrize(
    ("misfire", "fire", "missed"),
    [
        (Misfire.RUN_LAST, (300,), (0, 100, 200)),
        (Misfire.SKIP, (), (0, 100, 200, 300)),
        (Misfire.ALL, (200, 300), (0, 100)),
    ],
)
def test_misfire_policies(misfire: Misfire, fire: tuple[int], missed: tuple[int]) -> None:
    """`run_last` makes up for one, `skip` for none, `all` for those within the window."""
    found = decide([0, 100, 200, 300], late_s=0, now=400, misfire=misfire, window_s=250)

    assert (found.fire, found.missed) == (fire, missed)


def test_run_last_has_a_window() -> None:
    """What is older than the window is not made up for."""
    found = decide([0, 100], late_s=0, now=400, misfire=Misfire.RUN_LAST, window_s=250)

    assert (found.fire, found.missed) == ((), (0, 100))


@pytest.mark.parametrize("misfire", list(Misfire))
def test_a_moment_just_met_fires_by_any_policy(misfire: Misfire) -> None:
    """A little late is on time, and jitter is no delay."""
    found = decide([1_000], late_s=500, now=1_500 + ON_TIME_S, misfire=misfire, window_s=0)

    assert found.fire == (1_000,)


def test_now_is_utc() -> None:
    """A timetable without a zone is read in UTC."""
    table = Timetable(cron="0 0 * * *")

    assert datetime.fromtimestamp(table.next_due(0) or 0, UTC).hour == 0


def test_a_digit_that_is_none_to_the_parser() -> None:
    """What looks like a number and is none is told as no expression."""
    with pytest.raises(CronFault) as caught:
        parse_cron("\u00b2 * * * *")

    assert caught.value.fault in ("count", "minute")


def test_the_repeated_hour_is_over_for_a_fixed_time() -> None:
    """In the second of the two hours, the time of the first is not due again."""
    second_pass = at("2026-10-25T02:10:00", BERLIN, fold=1)

    found = next_moment("30 2 * * *", ZoneInfo(BERLIN), second_pass)

    assert found == at("2026-10-26T02:30:00", BERLIN)


def test_a_fixed_time_that_never_comes() -> None:
    """A day that no month has is no moment."""
    assert next_moment("0 0 */5 2 0#5", ZoneInfo("UTC"), 0.0) is None


def test_an_interval_that_no_binary_fraction_is() -> None:
    """A digit that the division loses does not make a moment its own successor."""
    assert Timetable(interval_s=0.1).next_due(0.3) == 0.4


def test_without_jitter_a_moment_is_acted_upon_when_it_is_due() -> None:
    """Nothing is added."""
    assert Timetable(interval_s=60.0).fire_at("name", 120.0) == 120.0


def test_what_is_too_much_to_look_through_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many looks the last moments that were found have to do."""
    monkeypatch.setattr("zscrape.core.timetable._LAST_ROUNDS_COUNT", 1)

    passed = Timetable(interval_s=1.0).passed(0.0, 1_000.0, 2)

    assert passed.due_ats == (299.0, 300.0)
    assert passed.first_at == 1.0
