"""Words of who may call: keys, the audit, signing in to the dashboard."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

ACCESS: Final[dict[str, Text]] = {
    # ---- keys ------------------------------------------------------------------------
    "cli.keys": Text(
        "Make API keys, look at them and revoke them.",
        "API 키를 만들고 살펴보고 폐기합니다.",
    ),
    "cli.keys.create": Text(
        "Make an API key; it is shown this once.",
        "API 키를 만듭니다. 키는 이때 한 번만 보여 줍니다.",
    ),
    "cli.keys.list": Text(
        "Show the keys: what each may do, and when it was last used.",
        "키마다 권한과 마지막 사용 시각을 보여 줍니다.",
    ),
    "cli.keys.revoke": Text("End a key for good.", "키를 완전히 폐기합니다."),
    "cli.keys.created": Text(
        "Key {id} is made (scopes: {scopes}). Keep it now: it is not shown again.",
        "키 {id}을(를) 만들었습니다(권한: {scopes}). 다시 보여 주지 않으므로 지금 보관하십시오.",
    ),
    "cli.keys.revoked": Text(
        "Key {id} is revoked; nobody comes in with it any more.",
        "키 {id}을(를) 폐기했습니다. 이 키로는 더 이상 접근할 수 없습니다.",
    ),
    # ---- signing in ------------------------------------------------------------------
    "cli.dashboard": Text(
        "Print a link to the dashboard; it works once.",
        "대시보드 링크를 출력합니다. 링크는 한 번만 쓸 수 있습니다.",
    ),
    "cli.dashboard.link": Text(
        "Open it in a browser within {minutes} minutes; it works once.",
        "{minutes}분 안에 브라우저에서 여십시오. 한 번만 쓸 수 있습니다.",
    ),
    "cli.gateway.dashboard": Text(
        "Dashboard (this link works once, for ten minutes; another: zscrape dashboard): {url}",
        "대시보드(한 번, 10분 동안 유효한 링크. 새 링크: zscrape dashboard): {url}",
    ),
    "page.to_dashboard": Text("To the dashboard", "대시보드로 이동"),
    # ---- the audit -------------------------------------------------------------------
    "cli.audit": Text(
        "Look at who did what, when and from where.",
        "누가 언제 어디에서 무엇을 했는지 살펴봅니다.",
    ),
    "cli.audit.list": Text(
        "Show administrative acts, newest first.", "관리 작업의 기록을 최신순으로 보여 줍니다."
    ),
    "cli.audit.export": Text(
        "Write all of them to a file or to standard output.",
        "모든 기록을 파일이나 표준 출력에 씁니다.",
    ),
    "cli.audit.none": Text("Nothing of that kind is on record.", "해당하는 기록이 없습니다."),
    "cli.option.actor": Text(
        "Whose acts: the id of a key, or jwt: and a subject.",
        "행위자: 키의 ID, 또는 jwt:와 subject.",
    ),
    "cli.option.action": Text("Which acts, such as keys.create.", "행위의 종류(예: keys.create)."),
    "cli.column.at": Text("at", "시각"),
    "cli.column.actor": Text("actor", "행위자"),
    "cli.column.action": Text("action", "행위"),
    "cli.column.target": Text("target", "대상"),
    "cli.column.address": Text("address", "주소"),
    "cli.column.result": Text("result", "결과"),
    # ---- options of keys ---------------------------------------------------------------
    "cli.usage.span": Text(
        "{given}: expected a span such as 30m, 12h, 90d or 2w.",
        "{given}: 30m, 12h, 90d, 2w와 같은 기간이어야 합니다.",
    ),
    "cli.option.key_name": Text(
        "What the key is for, as people will read it.",
        "키의 용도. 사람이 알아보기 위한 이름입니다.",
    ),
    "cli.option.scope": Text(
        "What the key may do: run, read or admin; may be given again. By default run.",
        "키의 권한: run, read, admin. 여러 번 지정할 수 있으며 기본값은 run입니다.",
    ),
    "cli.option.key_script": Text(
        "Script that the key is for, `*` stands for any part; may be given again.",
        "키로 쓸 수 있는 스크립트. `*`는 임의의 부분을 뜻합니다. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.key_group": Text(
        "Group of tasks that the key is for, as in their `metadata.group`; may be given again.",
        "키로 다룰 수 있는 작업의 그룹(작업의 `metadata.group`). 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.task_limit": Text(
        "How many of its tasks may be unfinished at once. By default as `queue.client_limit_count` says.",
        "끝나지 않은 채 함께 있을 수 있는 작업 수. 기본값은 `queue.client_limit_count`를 따릅니다.",
    ),
    "cli.option.expires_in": Text(
        "How long the key is good: 12h, 90d, 2w. By default for ever.",
        "키의 유효 기간: 12h, 90d, 2w. 기본값은 무기한입니다.",
    ),
    "cli.option.rate": Text(
        "How many calls the key may make: 10/s, 600/m, 5000/h.",
        "키로 호출할 수 있는 횟수: 10/s, 600/m, 5000/h.",
    ),
    "cli.column.key": Text("key", "키"),
    "cli.column.scopes": Text("scopes", "권한"),
    "cli.column.scripts": Text("scripts", "스크립트"),
    "cli.column.groups": Text("groups", "그룹"),
    "cli.column.expires": Text("expires", "만료"),
    "cli.column.used": Text("used", "마지막 사용"),
}
