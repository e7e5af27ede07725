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
