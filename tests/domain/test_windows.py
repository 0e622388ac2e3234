"""Windows and pauses: weekly by a zone's wall clock, over midnight and over changes of time; what saves a workload is never held."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.placement.plan import Trigger
from domain.windows import DAYS, NEVER_HELD, Hold, Window, WindowError, held, windows

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")
NIGHTS = Window.parse("mon-fri 22:00-06:00 Europe/Berlin")
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
WINDOWS = st.builds(Window, st.frozensets(st.integers(0, 6), min_size=1), TIMES, TIMES, st.sampled_from(ZONES))
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def berlin(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of June 2026; the 1st is a Monday."""
    return datetime(2026, 6, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (berlin(1, 21, 59), False),
        (berlin(1, 22), True),
        (berlin(2, 5, 59), True),
        (berlin(2, 6), False),
        (berlin(6, 5, 59), True),
        (berlin(6, 22), False),
        (berlin(1, 5), False),
    ],
    ids=["before", "begin", "after midnight", "end", "friday's night ends on saturday", "saturday", "sunday's night isn't one"],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: datetime, inside: bool) -> None:
    assert NIGHTS.holds(moment) is inside


@given(WINDOWS, MOMENTS)
def test_a_moment_is_inside_exactly_when_a_window_began_before_it_and_has_not_ended(window: Window, now: datetime) -> None:
    days = [(now + timedelta(days=offset)).date() for offset in range(-3, 4)]
    spans = [window.span(day) for day in days if day.weekday() in window.days]
    assert window.holds(now) is any(begin <= now < end for begin, end in spans)


@given(WINDOWS, st.dates(date(2020, 1, 1), date(2035, 1, 1)))
def test_a_window_lasts_a_day_and_a_change_of_time_at_most_and_never_backwards(window: Window, day: date) -> None:
    begin, end = window.span(day)
    assert timedelta(hours=-1) <= end - begin <= timedelta(hours=49)


@given(WINDOWS)
def test_what_a_window_is_written_as_is_read_as_the_same(window: Window) -> None:
    assert Window.parse(str(window)) == window


@given(st.lists(WINDOWS, max_size=3), st.lists(WINDOWS, max_size=3), MOMENTS, st.sampled_from(sorted(NEVER_HELD)), st.booleans())
def test_what_saves_a_workload_or_was_asked_for_is_never_held(only: list[Window], never: list[Window], now: datetime, trigger: Trigger, paused: bool) -> None:
    assert Hold(paused, tuple(only), tuple(never)).reason(trigger, now) is None


@given(WINDOWS, MOMENTS)
def test_only_and_never_of_one_window_are_opposites(window: Window, now: datetime) -> None:
    only, never = Hold(only=(window,)).reason(Trigger.PRICE, now), Hold(never=(window,)).reason(Trigger.PRICE, now)
    assert (only is None) is (never is not None)


def test_a_beginning_that_summer_time_leaves_out_comes_an_hour_later() -> None:
    begin, end = Window.parse("sun 02:30-04:30 Europe/Berlin").span(date(2026, 3, 29))
    assert (begin, end) == (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), datetime(2026, 3, 29, 2, 30, tzinfo=UTC))


def test_of_a_beginning_that_comes_twice_the_first_counts() -> None:
    begin, end = Window.parse("sun 02:30-04:00 Europe/Berlin").span(date(2026, 10, 25))
    assert (begin, end) == (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 3, 0, tzinfo=UTC))


def test_the_whole_day_and_days_over_the_weeks_end_can_be_written() -> None:
    assert Window.parse("sat-mon 00:00-24:00") == Window(frozenset({5, 6, 0}), time(0), time(0), "UTC")
    assert Window.parse("* 02:00-04:00").days == frozenset(range(len(DAYS)))


@pytest.mark.parametrize("text", ["", "mon", "funday 02:00-04:00", "mon 2:00-4:00", "mon 02:00-25:00", "mon 24:00-02:00", "mon 02:00-04:00 Mars/Olympus"])
def test_what_is_no_window_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(WindowError) as error:
        windows([text, "* 01:00-02:00"])
    assert repr(text) in str(error.value)


def test_the_platform_the_tenant_and_the_workload_each_can_hold_and_say_so() -> None:
    now = berlin(1, 23)
    cases = {"": "the platform is paused", "tenant:acme": "tenant acme is paused", "workload:web-acme": "web-acme is paused"}
    for subject, reason in cases.items():
        assert held({subject: Hold(paused=True)}, "web-acme", "acme", Trigger.PRICE, now) == reason
    assert held({"tenant:globex": Hold(paused=True), "workload:api-acme": Hold(paused=True)}, "web-acme", "acme", Trigger.PRICE, now) is None


def test_windows_hold_prices_alone_and_a_pause_holds_redeploys_too() -> None:
    outside = Hold(only=(NIGHTS,))
    assert outside.reason(Trigger.PRICE, berlin(1, 12)) == f"is moved by prices only in {NIGHTS}"
    assert outside.reason(Trigger.REDEPLOY, berlin(1, 12)) is None
    assert Hold(paused=True).reason(Trigger.REDEPLOY, berlin(1, 12)) == "is paused"
