"""Words about sites and their budgets."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

SITES: Final[dict[str, Text]] = {
    "http.site_name": Text(
        "{pointer}: {given} is not the name of a site such as example.com.",
        "{pointer}: {given}은(는) example.com 같은 사이트 이름이 아닙니다.",
    ),
    "http.site_rate": Text(
        "{pointer}: {given} is not a rate such as 2/s or 30/min.",
        "{pointer}: {given}은(는) 2/s나 30/min 같은 속도가 아닙니다.",
    ),
    "http.site_count": Text(
        "There are {limit} budgets of sites, and no room for more. Remove one, or set one for the domain above.",
        "사이트 예산이 한도인 {limit}개에 이르렀습니다. 하나를 지우거나 상위 도메인에 설정하십시오.",
    ),
}
