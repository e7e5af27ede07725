"""Words about what scripts remember between runs."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

REMEMBERING: Final[dict[str, Text]] = {
    # ---- state -----------------------------------------------------------------------
    "state_conflict": Text(
        "{key} of {script_name} has been changed since you read it: read it again.",
        "{script_name}의 {key} 값이 읽은 뒤에 바뀌었습니다. 다시 읽으십시오.",
    ),
    "state_full": Text(
        "{script_name} remembers {limit_count} keys already, and may not have more. Forget some: zscrape state list {script_name}",
        "{script_name}은(는) 이미 키를 {limit_count}개 보관하고 있어 더 추가할 수 없습니다. 필요 없는 키를 삭제하십시오: zscrape state list {script_name}",
    ),
    "http.state_key": Text(
        "A key of a script's state has 1 to {limit} characters, none of them a control character.",
        "상태의 키는 제어 문자가 없는 1~{limit}자여야 합니다.",
    ),
    "http.state_value": Text(
        "The value has {size} bytes as JSON; {limit} may be remembered under one key. Save larger things as artifacts.",
        "값이 JSON으로 {size}바이트입니다. 키 하나에는 {limit}바이트까지 보관할 수 있습니다. 더 큰 것은 산출물로 저장하십시오.",
    ),
    "http.state_json": Text(
        "The value is no JSON that could be read again: {detail}",
        "값이 다시 읽을 수 있는 JSON이 아닙니다: {detail}",
    ),
    # ---- sessions --------------------------------------------------------------------
    "session_denied": Text(
        "The session {account} of {site} is not granted to {script_name}. Grant it: zscrape sessions grant {site} {account} --script {script_name}",
        "{site}의 세션 {account}이(가) {script_name}에 허용되지 않았습니다. 허용하기: zscrape sessions grant {site} {account} --script {script_name}",
    ),
    "http.session_site": Text(
        "A site is a host name in lower case such as shop.example, with a port where it has one.",
        "사이트는 shop.example처럼 소문자로 된 호스트 이름이어야 하며, 필요하면 포트를 붙입니다.",
    ),
    "http.session_account": Text(
        "An account has 1 to 200 characters, without control characters and slashes.",
        "계정은 제어 문자와 슬래시가 없는 1~200자여야 합니다.",
    ),
    "http.session_new": Text(
        "There is no such session yet: give its `cookies`.",
        "이 세션이 아직 없습니다. `cookies`를 지정하십시오.",
    ),
    "http.session_count": Text(
        "There are {limit} sessions already: remove one.",
        "세션이 이미 {limit}개 있습니다. 하나를 삭제하십시오.",
    ),
    "cli.sessions": Text(
        "Look after sessions with sites: cookies that scripts are lent and give back.",
        "스크립트가 빌려 쓰고 돌려주는 사이트 세션(쿠키)을 관리합니다.",
    ),
    "cli.sessions.list": Text(
        "Show every session, how it is and who has it; never a cookie's value.",
        "모든 세션의 상태와 사용 중인 작업을 보여 줍니다. 쿠키 값은 보여 주지 않습니다.",
    ),
    "cli.sessions.show": Text(
        "Show one session, and who has it.", "세션 하나와 사용 중인 작업을 보여 줍니다."
    ),
    "cli.sessions.import": Text(
        "Keep the cookies of a file as a session: JSON as browsers and extensions write it, or a Netscape cookies.txt.",
        "파일의 쿠키를 세션으로 보관합니다. 브라우저와 확장 프로그램의 JSON이나 Netscape cookies.txt를 읽습니다.",
    ),
    "cli.sessions.grant": Text(
        "Say which scripts may have a session; what was granted before is replaced.",
        "세션을 쓸 수 있는 스크립트를 정합니다. 이전 허용 목록을 대신합니다.",
    ),
    "cli.sessions.remove": Text(
        "Forget a session, also one that a task has.",
        "세션을 삭제합니다. 작업이 사용 중이어도 삭제합니다.",
    ),
    "cli.option.session_site": Text("Only sessions with this site.", "이 사이트의 세션만."),
    "cli.option.session_script": Text(
        "A script that may have it, or a pattern such as shop_*; may be given more than once.",
        "세션을 쓸 수 있는 스크립트 또는 shop_* 같은 패턴. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.session_age": Text(
        "Seconds after which a new login is due.", "다시 로그인해야 하는 기간(초)."
    ),
    "cli.column.account": Text("account", "계정"),
    "cli.column.cookies": Text("cookies", "쿠키"),
    "cli.column.leases": Text("in use", "사용 중"),
    "cli.session.site": Text("site", "사이트"),
    "cli.session.account": Text("account", "계정"),
    "cli.session.status": Text("status", "상태"),
    "cli.session.reason": Text("reason", "사유"),
    "cli.session.scripts": Text("scripts", "스크립트"),
    "cli.session.cookie_count": Text("cookies", "쿠키"),
    "cli.session.use_count": Text("uses", "사용 횟수"),
    "cli.session.bad_count": Text("times bad", "불량 횟수"),
    "cli.session.created_at": Text("created", "생성"),
    "cli.session.updated_at": Text("updated", "변경"),
    "cli.session.used_at": Text("last used", "마지막 사용"),
    "cli.session.expires_at": Text("expires", "만료"),
    "cli.session.lease": Text("leased by", "사용 중인 작업"),
    "cli.sessions.none": Text("There are no sessions.", "보관된 세션이 없습니다."),
    "cli.sessions.kept": Text(
        "{count} cookies of {account} at {site} are kept, for: {scripts}",
        "{site}의 {account} 세션에 쿠키 {count}개를 보관했습니다. 허용된 스크립트: {scripts}",
    ),
    "cli.sessions.kept.nobody": Text(
        "{count} cookies of {account} at {site} are kept, and no script may have them yet. Grant them: zscrape sessions grant {site} {account} --script NAME",
        "{site}의 {account} 세션에 쿠키 {count}개를 보관했지만 아직 쓸 수 있는 스크립트가 없습니다. 허용하기: zscrape sessions grant {site} {account} --script 이름",
    ),
    "cli.sessions.removed": Text(
        "The session of {account} at {site} is removed.",
        "{site}의 {account} 세션을 삭제했습니다.",
    ),
    "cli.sessions.no_cookies": Text(
        "there are no cookies in it: neither JSON with name and value, nor lines of a cookies.txt",
        "쿠키가 없습니다. name과 value가 있는 JSON도, cookies.txt 형식의 줄도 아닙니다",
    ),
    # ---- state on the command line ---------------------------------------------------
    "cli.state": Text(
        "Look at what scripts remember between their runs, and change it.",
        "스크립트가 실행 사이에 기억하는 상태를 보고 바꿉니다.",
    ),
    "cli.state.list": Text(
        "Show what a script remembers, by key.", "스크립트의 상태를 키 순서로 보여 줍니다."
    ),
    "cli.state.get": Text(
        "Show one thing that a script remembers, as JSON.",
        "스크립트의 상태 값 하나를 JSON으로 보여 줍니다.",
    ),
    "cli.state.set": Text(
        "Let a script remember a value: JSON, as an argument or from standard input.",
        "스크립트의 상태 값을 설정합니다. 값은 JSON이며 인수나 표준 입력으로 받습니다.",
    ),
    "cli.state.remove": Text(
        "Let a script forget one thing, or with --all everything.",
        "스크립트의 상태 값 하나를 삭제합니다. --all이면 모두 삭제합니다.",
    ),
    "cli.state.keys": Text(
        "Show how many keys of items (ctx.emit) are known of earlier runs, or which task brought one.",
        "이전 실행이 남긴 항목 키(ctx.emit)의 수를 보여 주거나, 키 하나를 어느 작업이 가져왔는지 보여 줍니다.",
    ),
    "cli.state.forget": Text(
        "Forget one key of an item, or with --all every key, so that the next run brings the items again.",
        "항목 키 하나를, --all이면 모든 키를 지워 다음 실행이 항목을 다시 가져오게 합니다.",
    ),
    "cli.option.keys_all": Text("Every key.", "모든 키."),
    "cli.state.keys_known": Text(
        "{count} keys of {script} are known.", "{script}의 항목 키 {count}개를 알고 있습니다."
    ),
    "cli.state.key_known": Text(
        "{name} came with task {task_id}, and is known until {until}.",
        "{name}은(는) 작업 {task_id}에서 가져왔으며 {until}까지 기억합니다.",
    ),
    "cli.state.forgotten": Text(
        "{count} keys of {script} are forgotten.", "{script}의 항목 키 {count}개를 지웠습니다."
    ),
    "cli.option.state_prefix": Text("Only keys that begin so.", "이렇게 시작하는 키만."),
    "cli.option.state_text": Text(
        "The value is text, not JSON.", "값을 JSON이 아니라 텍스트로 봅니다."
    ),
    "cli.option.state_all": Text("Everything that it remembers.", "기억하는 것 모두."),
    "cli.column.state_key": Text("key", "키"),
    "cli.column.bytes": Text("bytes", "바이트"),
    "cli.state.none": Text("{script} remembers nothing.", "{script}의 상태가 비어 있습니다."),
    "cli.state.more": Text("There are more: --cursor {cursor}", "더 있습니다: --cursor {cursor}"),
    "cli.state.kept": Text(
        "{script} remembers {name}.", "{script}의 상태 {name}을(를) 보관했습니다."
    ),
    "cli.state.removed": Text(
        "{script} has forgotten {count} of what it remembered.",
        "{script}의 상태 값 {count}개를 삭제했습니다.",
    ),
    "cli.state.one_or_all": Text(
        "Name one key, or give --all.", "키 하나를 지정하거나 --all을 쓰십시오."
    ),
    "cli.state.not_json": Text(
        "{given} is not JSON. Put text in quotation marks of its own, or give --text.",
        '{given}은(는) JSON이 아닙니다. 텍스트는 JSON처럼 "..."로 감싸거나 --text를 쓰십시오.',
    ),
}
