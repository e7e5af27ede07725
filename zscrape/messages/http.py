"""Words of what is wrong with an HTTP call."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

HTTP: Final[dict[str, Text]] = {
    "idempotency_conflict": Text(
        "The Idempotency-Key {key} came before with another body, for task {holder}. Use a new key for a new call.",
        "Idempotency-Key {key}은(는) 다른 본문으로 작업 {holder}에 이미 쓰였습니다. 새 호출에는 새 키를 쓰십시오.",
    ),
    "task_running": Text(
        "Task {task_id} has not ended ({status}), so it cannot be retried. Cancel it first, or wait: /v1/tasks/{task_id}?wait=30",
        "작업 {task_id}이(가) 아직 끝나지 않아({status}) 다시 실행할 수 없습니다. 먼저 취소하거나 기다리십시오: /v1/tasks/{task_id}?wait=30",
    ),
    "table_too_large": Text(
        "A spreadsheet holds 1,048,575 rows of 16,384 columns, not {row_count} rows of {column_count}. Ask for part by `offset`, `limit` and `fields`, or for format=csv.",
        "스프레드시트는 1,048,575행, 16,384열까지 담을 수 있습니다. 요청한 표는 {row_count}행, {column_count}열입니다. `offset`, `limit`, `fields`로 일부만 요청하거나 format=csv를 쓰십시오.",
    ),
    "http.link_address": Text(
        "{pointer}: {given} is not an address that workers can dial; expected: tcp://host:port",
        "{pointer}: {given}은(는) 워커가 접속할 수 있는 주소가 아닙니다. 기대하는 값: tcp://호스트:포트",
    ),
    "http.webhook_address": Text(
        "{pointer}: a webhook's address must be http:// or https:// with a host, without credentials.",
        "{pointer}: 웹훅 주소는 호스트가 있는 http:// 또는 https:// 여야 하며 인증 정보를 포함할 수 없습니다.",
    ),
    "http.nothing_selected": Text(
        "Nothing is selected. Give `ids`, a filter ({known}), or `all`: true.",
        "선택된 것이 없습니다. `ids`나 필터({known})를 주거나 `all`: true를 지정하십시오.",
    ),
    "http.ids_or_filter": Text(
        "Give either `ids` or a filter, not both.",
        "`ids`와 필터 가운데 하나만 지정하십시오.",
    ),
    "http.body": Text("the body", "본문"),
    # ---- bodies ----------------------------------------------------------------------
    "http.json_not_utf8": Text("The body is not UTF-8.", "본문이 UTF-8이 아닙니다."),
    "http.json_incomplete": Text(
        "The body is not JSON: it ends too early, or has half of a surrogate pair.",
        "본문이 JSON이 아닙니다. 중간에 끊겼거나 서로게이트 쌍의 반쪽만 있습니다.",
    ),
    "http.json_at_byte": Text(
        "The body is not JSON: it cannot be read from byte {byte} on. (NaN and Infinity are not JSON.)",
        "본문이 JSON이 아닙니다. 바이트 {byte}부터 읽을 수 없습니다. (NaN과 Infinity는 JSON이 아닙니다.)",
    ),
    "http.json_nested": Text(
        "The body is not JSON, or nests far too deeply.",
        "본문이 JSON이 아니거나 지나치게 깊이 중첩되어 있습니다.",
    ),
    "http.json_unreadable": Text(
        "The body is not JSON that can be read: {reason}",
        "본문을 JSON으로 읽을 수 없습니다: {reason}",
    ),
    "http.too_deep": Text(
        "The body nests more than {limit} levels.",
        "본문이 {limit}단계보다 깊이 중첩되어 있습니다.",
    ),
    "http.unknown_field": Text(
        "{pointer}: there is no field {name}.", "{pointer}: {name} 필드는 없습니다."
    ),
    "http.unknown_field.nearest": Text(
        "{pointer}: there is no field {name}. Did you mean {nearest}?",
        "{pointer}: {name} 필드는 없습니다. 혹시 {nearest}입니까?",
    ),
    "http.missing_field": Text(
        "{pointer}: {name} is required.", "{pointer}: {name}이(가) 필요합니다."
    ),
    "http.wrong_type": Text(
        "{pointer}: must be of type {expected}, not {actual}.",
        "{pointer}: {actual}이(가) 아니라 {expected} 형식이어야 합니다.",
    ),
    "http.out_of_range": Text(
        "{pointer}: out of range; it must be {bound}.",
        "{pointer}: 범위를 벗어났습니다. {bound}이어야 합니다.",
    ),
    "http.whole_number_too_large": Text(
        "{pointer}: a whole number has more than 64 bits; write it as a text.",
        "{pointer}: 64비트를 넘는 정수가 있습니다. 문자열로 적어 주십시오.",
    ),
    "http.wrong_length": Text(
        "{pointer}: its length must be {bound}.",
        "{pointer}: 길이가 {bound}이어야 합니다.",
    ),
    "http.channel_name": Text(
        "{given} cannot be a channel: lower-case letters, digits, _ and -, at most 32, starting with a letter, and not a version or `latest`.",
        "{given}은(는) 채널 이름으로 쓸 수 없습니다. 영문 소문자로 시작하는 영문 소문자, 숫자, _, - 32자 이내여야 하며 버전이나 `latest`는 안 됩니다.",
    ),
    "http.version_or_rollback": Text(
        "Give either `version` (a version, a range, a channel) or `rollback`: true.",
        "`version`(버전, 범위, 채널)과 `rollback`: true 가운데 하나만 지정하십시오.",
    ),
    "http.wrong_form": Text(
        "{pointer}: control characters are not allowed here.",
        "{pointer}: 여기에는 제어 문자를 쓸 수 없습니다.",
    ),
    "http.not_one_of": Text(
        "{pointer}: {given} is none of the known values.",
        "{pointer}: {given}은(는) 알려진 값이 아닙니다.",
    ),
    "http.not_one_of.known": Text(
        "{pointer}: {given} is none of: {known}.",
        "{pointer}: {given}은(는) 다음 중 하나가 아닙니다: {known}.",
    ),
    "http.number_too_large": Text(
        "{pointer}: the number is too large; it must be finite.",
        "{pointer}: 수가 너무 큽니다. 유한한 수여야 합니다.",
    ),
    "http.batch_count": Text(
        "A call takes 1 to {limit} tasks, not {count}.",
        "한 번에 작업 1~{limit}개를 받습니다. 받은 수: {count}개.",
    ),
    "http.never_retried": Text(
        "{pointer}: these ends are never tried again: {codes}.",
        "{pointer}: 다음 결과는 다시 시도하지 않습니다: {codes}.",
    ),
    "http.overlap_without_lock": Text(
        "{pointer}: overlap says what to do about a lock; give a lock_key, or declare a lock in the script's metadata.json.",
        "{pointer}: overlap은 잠금이 있을 때의 동작입니다. lock_key를 주거나 스크립트의 metadata.json에 잠금을 선언하십시오.",
    ),
    # ---- keys ------------------------------------------------------------------------
    "http.no_scopes": Text(
        "{pointer}: name at least one scope: {known}.",
        "{pointer}: 권한을 하나 이상 지정하십시오: {known}.",
    ),
    "http.script_pattern": Text(
        "{pointer}: {given} is no name of a script: lower-case letters, digits, _ and -, and `*` for any part.",
        "{pointer}: {given}은(는) 스크립트 이름이 될 수 없습니다. 영문 소문자, 숫자, _, -와 임의의 부분을 뜻하는 `*`만 쓸 수 있습니다.",
    ),
    "http.admin_with_scripts": Text(
        "{pointer}: `admin` opens every door, so it cannot be narrowed to scripts. Leave out `scripts`, or give `run` or `read` instead.",
        "{pointer}: `admin`은 모든 권한이므로 스크립트로 제한할 수 없습니다. `scripts`를 빼거나 `run` 또는 `read`를 지정하십시오.",
    ),
    "http.admin_with_groups": Text(
        "{pointer}: `admin` opens every door, so it cannot be narrowed to groups. Leave out `groups`, or give `run` or `read` instead.",
        "{pointer}: `admin`은 모든 권한이므로 그룹으로 제한할 수 없습니다. `groups`를 빼거나 `run` 또는 `read`를 지정하십시오.",
    ),
    "http.rate": Text(
        "{pointer}: {given} is no rate such as 10/s, 600/m or 5000/h.",
        "{pointer}: {given}은(는) 10/s, 600/m, 5000/h와 같은 속도가 아닙니다.",
    ),
    "http.first_key": Text(
        "{pointer}: the first key cannot be revoked. Change ZSCRAPE_API_KEY, or remove client.toml from the gateway's home folder, and start the gateway again.",
        "{pointer}: 첫 키는 폐기할 수 없습니다. ZSCRAPE_API_KEY를 바꾸거나 게이트웨이 홈 폴더의 client.toml을 지우고 게이트웨이를 다시 시작하십시오.",
    ),
    # ---- queries and headers ---------------------------------------------------------
    "http.unknown_query": Text(
        "{pointer}: there is no query parameter {name}.",
        "{pointer}: {name} 쿼리 매개변수는 없습니다.",
    ),
    "http.unknown_query.nearest": Text(
        "{pointer}: there is no query parameter {name}. Did you mean {nearest}?",
        "{pointer}: {name} 쿼리 매개변수는 없습니다. 혹시 {nearest}입니까?",
    ),
    "http.given_twice": Text(
        "{pointer}: {name} is given twice.", "{pointer}: {name}이(가) 두 번 있습니다."
    ),
    "http.not_whole": Text(
        "{pointer}: {given} is not a whole number of 0 or more.",
        "{pointer}: {given}은(는) 0 이상의 정수가 아닙니다.",
    ),
    "http.not_seconds": Text(
        "{pointer}: {given} is not a number of seconds of 0 or more.",
        "{pointer}: {given}은(는) 0 이상의 초가 아닙니다.",
    ),
    "http.not_moment": Text(
        "{pointer}: {given} is not a moment in ISO 8601, such as 2026-02-10T14:30:00Z.",
        "{pointer}: {given}은(는) 2026-02-10T14:30:00Z와 같은 ISO 8601 시각이 아닙니다.",
    ),
    "http.not_switch": Text(
        "{pointer}: {given} is neither 0 nor 1.", "{pointer}: {given}은(는) 0도 1도 아닙니다."
    ),
    "http.not_cursor": Text(
        "{pointer}: {given} is not a cursor. Take `next_cursor` of the page before, as it is.",
        "{pointer}: {given}은(는) 커서가 아닙니다. 앞 페이지의 `next_cursor`를 그대로 쓰십시오.",
    ),
    "http.idempotency_key": Text(
        "{pointer}: must be 1 to {limit} visible ASCII characters.",
        "{pointer}: 보이는 ASCII 문자 1~{limit}자여야 합니다.",
    ),
    "http.idempotency_of_many": Text(
        "{pointer}: is for calls of one task; in a batch each task has its own `idempotency_key`.",
        "{pointer}: 작업 하나를 호출할 때만 쓸 수 있습니다. 일괄 호출에서는 작업마다 `idempotency_key`를 지정하십시오.",
    ),
}
