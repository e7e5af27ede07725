"""Words of the dashboard's pages of secrets and of sessions with sites."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

DASHBOARD_SECRETS: Final[dict[str, Text]] = {
    "ui.nav.secrets": Text("Secrets", "비밀 값"),
    "ui.nav.sessions": Text("Sessions", "세션"),
    "ui.secrets.what": Text(
        "Passwords and tokens that scripts need and nobody sees: a value goes in here and never comes out. A script also names it under secrets in its metadata.json.",
        "스크립트가 쓰되 보여서는 안 되는 암호와 토큰입니다. 값은 넣기만 하고 다시 볼 수 없습니다. 스크립트도 metadata.json의 secrets에 그 이름을 적어야 합니다.",
    ),
    "ui.secrets.set": Text("Keep a secret", "비밀 값 보관하기"),
    "ui.secrets.value": Text("Value", "값"),
    "ui.secrets.value.hint": Text(
        "Left empty, one that is kept already stays as it is.",
        "비워 두면 이미 보관한 값을 그대로 둡니다.",
    ),
    "ui.secrets.scripts": Text("Scripts that may have it", "쓸 수 있는 스크립트"),
    "ui.secrets.scripts.hint": Text(
        "Names, * stands for any part; without any, nobody.",
        "이름을 입력하십시오. *은 임의의 부분을 뜻합니다. 비워 두면 아무도 쓸 수 없습니다.",
    ),
    "ui.secrets.nobody": Text("nobody yet", "아직 없음"),
    "ui.secrets.updated": Text("Changed", "변경"),
    "ui.secrets.keep": Text("Keep the secret", "비밀 값 저장"),
    "ui.secrets.kept": Text("{name} is kept.", "{name}을(를) 보관했습니다."),
    "ui.secrets.remove.title": Text("Remove this secret?", "이 비밀 값을 삭제하시겠습니까?"),
    "ui.secrets.remove.text": Text(
        "Scripts that name {name} fail from now on; attempts that run keep what they were given.",
        "{name}을(를) 쓰는 스크립트는 이제부터 실패합니다. 실행 중인 시도는 이미 받은 값을 그대로 씁니다.",
    ),
    "ui.secrets.removed": Text("{name} is removed.", "{name}을(를) 삭제했습니다."),
    "ui.secrets.none": Text(
        "There are no secrets. Keep one here, or in a terminal:",
        "보관된 비밀 값이 없습니다. 여기에서 보관하거나 터미널에서 실행하십시오.",
    ),
    "ui.sessions.what": Text(
        "Cookies of accounts at sites, which scripts are lent and give back; what stands in them is never shown.",
        "스크립트가 빌려 쓰고 돌려주는 사이트 계정의 쿠키입니다. 내용은 보여 주지 않습니다.",
    ),
    "ui.sessions.set": Text("Keep a session", "세션 보관하기"),
    "ui.sessions.account": Text("Account", "계정"),
    "ui.sessions.days": Text("Days until a new login", "다시 로그인할 때까지 일수"),
    "ui.sessions.cookies": Text("Cookies", "쿠키"),
    "ui.sessions.cookies.hint": Text(
        "JSON as browsers and extensions write it, a cookies.txt, or name=value; name=value. Left empty, those that are kept stay.",
        "브라우저나 확장 프로그램의 JSON, cookies.txt, 또는 이름=값; 이름=값. 비워 두면 이미 보관한 쿠키를 그대로 둡니다.",
    ),
    "ui.sessions.no_cookies": Text(
        "There are no cookies in it: neither JSON with name and value, nor lines of a cookies.txt, nor name=value.",
        "쿠키가 없습니다. name과 value가 있는 JSON도, cookies.txt 줄도, 이름=값도 아닙니다.",
    ),
    "ui.sessions.keep": Text("Keep the session", "세션 저장"),
    "ui.sessions.kept": Text(
        "The session of {account} at {site} is kept.",
        "{site}의 {account} 세션을 보관했습니다.",
    ),
    "ui.sessions.remove.title": Text("Remove this session?", "이 세션을 삭제하시겠습니까?"),
    "ui.sessions.remove.text": Text(
        "The cookies of {account} at {site} are forgotten, also where a task has them.",
        "{site}의 {account} 쿠키를 삭제합니다. 작업이 사용 중이어도 삭제합니다.",
    ),
    "ui.sessions.removed": Text(
        "The session of {account} at {site} is removed.",
        "{site}의 {account} 세션을 삭제했습니다.",
    ),
    "ui.sessions.none": Text(
        "There are no sessions. Scripts make them by ctx.session, you here, or in a terminal:",
        "보관된 세션이 없습니다. 스크립트가 ctx.session으로 만들거나, 여기 또는 터미널에서 보관하십시오.",
    ),
    "ui.session.new": Text("no cookies yet", "쿠키 없음"),
    "ui.session.good": Text("good", "정상"),
    "ui.session.bad": Text("bad", "사용 불가"),
    "ui.session.expired": Text("login due", "다시 로그인 필요"),
}
