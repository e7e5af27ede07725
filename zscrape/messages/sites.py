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
    # ---- the command line ------------------------------------------------------------
    "cli.sites": Text(
        "Say how hard the whole cluster may hit a site, and see how hard it does.",
        "클러스터 전체가 사이트에 얼마나 자주 요청할 수 있는지 정하고 현황을 봅니다.",
    ),
    "cli.sites.list": Text(
        "Show sites that have a budget or were asked of late: what is open, who waits, and whether the site has complained.",
        "예산이 있거나 최근에 요청한 사이트를 보여 줍니다. 진행 중인 요청, 대기, 사이트의 거부 여부가 나옵니다.",
    ),
    "cli.sites.set": Text(
        "Set the budget of a site for the whole cluster. It replaces all that manifests and robots.txt ask for there; without options it lifts every limit.\nA site stands for all hosts below it unless one of them has a budget of its own. The site * is the default for each site apart; manifests may ask for less there.",
        "사이트 예산을 클러스터 전체에 설정합니다. 매니페스트와 robots.txt의 요구를 대신하며, 옵션이 없으면 모든 제한을 풉니다.\n사이트 이름은 하위 호스트 전체를 뜻하며, 따로 예산이 있는 호스트는 예외입니다. *는 사이트마다 적용되는 기본값이고 매니페스트가 더 낮게 정할 수 있습니다.",
    ),
    "cli.sites.remove": Text(
        "Remove the budget of a site. What manifests ask for holds again.",
        "사이트 예산을 삭제합니다. 매니페스트의 요구가 다시 적용됩니다.",
    ),
    "cli.option.site_rate": Text(
        "Requests in a time, such as 2/s, 30/min or 100/h.",
        "시간당 요청 수입니다(예: 2/s, 30/min, 100/h).",
    ),
    "cli.option.site_concurrency": Text(
        "Requests that may be open at once.", "동시에 진행할 수 있는 요청 수입니다."
    ),
    "cli.option.burst": Text(
        "Requests that may go together after a rest; without it they are spread evenly.",
        "쉬고 난 뒤 한꺼번에 보낼 수 있는 요청 수입니다. 없으면 고르게 나누어 보냅니다.",
    ),
    "cli.option.gap": Text(
        "Seconds between one request and the next.", "요청과 다음 요청 사이의 간격(초)입니다."
    ),
    "cli.sites.none": Text(
        "No site has a budget. Set one: zscrape sites set example.com --rate 2/s",
        "예산이 있는 사이트가 없습니다. 설정하기: zscrape sites set example.com --rate 2/s",
    ),
    "cli.sites.kept": Text("{site}: {budget}", "{site}: {budget}"),
    "cli.sites.removed": Text("The budget of {site} is removed.", "{site}의 예산을 삭제했습니다."),
    "cli.sites.rate": Text("{value}", "{value}"),
    "cli.sites.concurrency": Text("{value} at once", "동시 {value}개"),
    "cli.sites.burst": Text("bursts of {value}", "한꺼번에 {value}개"),
    "cli.sites.gap": Text("{value} s apart", "간격 {value}초"),
    "cli.sites.unlimited": Text("no limit", "제한 없음"),
    "cli.sites.well": Text("well", "정상"),
    "cli.sites.paused": Text(
        "left alone for {seconds:.0f} s after HTTP {status}",
        "HTTP {status} 이후 {seconds:.0f}초 동안 요청 중지",
    ),
    "cli.sites.slowed": Text(
        "at {percent:.0f} % after HTTP {status}", "HTTP {status} 이후 {percent:.0f}% 속도"
    ),
    "cli.column.site": Text("site", "사이트"),
    "cli.column.budget": Text("budget", "예산"),
    "cli.column.in_use": Text("open", "진행 중"),
    "cli.column.state": Text("state", "상태"),
}
