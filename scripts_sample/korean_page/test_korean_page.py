"""Tests of the sample script korean_page."""

from __future__ import annotations

from typing import Any


def test_pages_in_euc_kr_are_read(site: str, run_script: Any) -> None:
    """All notices come in Korean, over both pages, though no header tells the charset."""
    ran = run_script("korean_page", url=f"{site}/board")

    assert ran.code == "ok", ran.traceback
    assert len(ran.items) == 13
    assert ran.items[-1] == {
        "번호": "1",
        "제목": "온기상점 문을 열었습니다",
        "글쓴이": "다온",
        "날짜": "2009-01-02",
    }
    assert ran.said("log")[0]["charset"] == "cp949"


def test_search_is_sent_in_the_charset_of_the_site(site: str, run_script: Any) -> None:
    """A site in EUC-KR finds Korean words that are sent to it as it expects."""
    ran = run_script("korean_page", url=f"{site}/board", words="배송")

    assert [each["제목"] for each in ran.items] == ["여름 휴가 기간 배송 안내", "설 연휴 배송 안내"]
