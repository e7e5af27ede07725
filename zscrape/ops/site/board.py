"""The shop's old notice board, in EUC-KR as Korean sites of its age are.

    /board?page=&q=   a table of notices and a search form; `q` is in EUC-KR, too
    /board/<number>   one notice

Its charset is told by `<meta>` only, not by the header.
"""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import parse_qs, urlencode

CHARSET: Final = "euc-kr"
_LENGTH: Final = 8
_TITLES: Final = (
    "온기상점 문을 열었습니다",
    "설 연휴 배송 안내",
    "보성 햇녹차가 들어왔습니다",
    "도자기 교환 및 반품 안내",
    "적립금 제도가 바뀝니다",
    "여름 휴가 기간 배송 안내",
    "고흥 유자차 예약 판매",
    "추석 선물 세트 안내",
    "옹기 항아리 재입고",
    "가을 찻자리 모임에 초대합니다",
    "전산 점검으로 주문이 멈춥니다",
    "연말 감사 행사",
    "새 게시판으로 옮깁니다",
)
_WRITERS: Final = ("지기", "다온", "하람")


def page(query: str) -> bytes:
    """Return one page of the board, or what is found."""
    asked = parse_qs(query, encoding=CHARSET, errors="replace")
    words, told = asked.get("q", [""])[0], asked.get("page", ["1"])[0]
    found = [at for at in range(len(_TITLES), 0, -1) if words in _TITLES[at - 1]]
    last = max((len(found) + _LENGTH - 1) // _LENGTH, 1)
    number = min(max(int(told) if told.isdecimal() else 1, 1), last)
    rows = "".join(
        f'<tr><td>{at}</td><td><a href="/board/{at}">{escape(_TITLES[at - 1])}</a></td>'
        f"<td>{_WRITERS[at % 3]}</td><td>{_day(at)}</td></tr>"
        for at in found[(number - 1) * _LENGTH : number * _LENGTH]
    )
    more = ""
    if number < last:
        address = urlencode({"q": words, "page": number + 1}, encoding=CHARSET)
        more = f'<a rel="next" href="/board?{escape(address)}">다음</a>'
    return _page(
        "게시판",
        '<table class="board"><caption>공지</caption><thead><tr><th>번호</th><th>제목</th>'
        f"<th>글쓴이</th><th>날짜</th></tr></thead><tbody>{rows}</tbody></table>{more}"
        f'<form id="search" action="/board"><input name="q" value="{escape(words)}">'
        "<button>찾기</button></form>",
    )


def notice(number: str) -> bytes | None:
    """Return one notice, None if there is none of that number."""
    at = int(number) if number.isdecimal() and len(number) < 4 else 0
    if not 1 <= at <= len(_TITLES):
        return None
    title = _TITLES[at - 1]
    return _page(
        title,
        f'<p class="byline">{_WRITERS[at % 3]}, {_day(at)}</p>'
        f"<p>{title}. 자세한 내용은 매장으로 문의해 주십시오.</p>"
        '<a href="/board">목록</a>',
    )


def _day(at: int) -> str:
    return f"2009-{(at - 1) % 12 + 1:02d}-{at % 27 + 1:02d}"


def _page(title: str, body: str) -> bytes:
    text = (
        f'<html><head><meta http-equiv="Content-Type" content="text/html; charset={CHARSET}">'
        f"<title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )
    return text.encode(CHARSET)
