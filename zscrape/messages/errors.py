"""Words of outcome codes and errors. A failure says what happened, which limit or input, and the next step."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

ERRORS: Final[dict[str, Text]] = {
    # ---- outcomes --------------------------------------------------------------------
    "ok": Text("The script ended as it should.", "스크립트가 정상적으로 끝났습니다."),
    "script_error": Text(
        "The script raised {error_type}: {error_message}",
        "스크립트에서 {error_type} 예외가 발생했습니다: {error_message}",
    ),
    "params_invalid": Text(
        "The parameters do not fit the schema of {script_name}: see `problems`. The gateway shows the schema at /v1/scripts/{script_name}/schema.",
        "매개변수가 {script_name}의 스키마에 맞지 않습니다. `problems`를 확인하십시오. 스키마는 게이트웨이의 /v1/scripts/{script_name}/schema 에서 볼 수 있습니다.",
    ),
    "script_not_found": Text(
        "No repository has a script named {name}. List them: zscrape scripts list",
        "이름이 {name}인 스크립트가 어느 저장소에도 없습니다. 목록 보기: zscrape scripts list",
    ),
    "script_not_found.nearest": Text(
        "No repository has a script named {name}. Did you mean {nearest}?",
        "이름이 {name}인 스크립트가 어느 저장소에도 없습니다. 혹시 {nearest}입니까?",
    ),
    "version_not_found": Text(
        "{name} has no version that fits {requested}. It has: {available}",
        "{name}에는 {requested}에 맞는 버전이 없습니다. 있는 버전: {available}",
    ),
    "version_invalid": Text(
        "{requested} is not a version, a range (^1.2, ~1.2, 1.x, >=1.2,<2), a channel or a sha256: digest.",
        "{requested}은(는) 버전, 범위(^1.2, ~1.2, 1.x, >=1.2,<2), 채널, sha256: 다이제스트 중 어느 것도 아닙니다.",
    ),
    "integrity_error": Text(
        "The bytes of {name} do not match its digest (expected {expected}, got {actual}); nothing was run. Publish or sign the version again.",
        "{name}의 내용이 다이제스트와 다릅니다(기대 {expected}, 실제 {actual}). 아무것도 실행하지 않았습니다. 그 버전을 다시 게시하거나 서명하십시오.",
    ),
    "signature_invalid": Text(
        "The signature of {name} is missing or not by a trusted key. Sign it: zscrape scripts sign",
        "{name}의 서명이 없거나 신뢰하는 키의 서명이 아닙니다. 서명하기: zscrape scripts sign",
    ),
    "signature_invalid.unsigned": Text(
        "{name} {version} is not signed, and only signed scripts run here. Sign it: zscrape scripts sign",
        "{name} {version}에 서명이 없습니다. 여기서는 서명된 스크립트만 실행합니다. 서명하기: zscrape scripts sign",
    ),
    "signature_invalid.unknown_key": Text(
        "{name} {version} is signed with the key {key_id}, which is not trusted here. Add its public key to `trusted_keys`.",
        "{name} {version}은(는) 여기서 신뢰하지 않는 키 {key_id}(으)로 서명되었습니다. 공개 키를 `trusted_keys`에 추가하십시오.",
    ),
    "signature_invalid.forged": Text(
        "The signature of {name} {version} does not fit: metadata.json was changed after the key {key_id} signed it. Nothing was run. Sign it again: zscrape scripts sign",
        "{name} {version}의 서명이 맞지 않습니다. 키 {key_id}(으)로 서명한 뒤 metadata.json이 바뀌었습니다. 아무것도 실행하지 않았습니다. 다시 서명하기: zscrape scripts sign",
    ),
    "signature_invalid.no_checksums": Text(
        "{name} {version} is signed without `checksums`, so its files are not covered. Sign it again: zscrape scripts sign",
        "{name} {version}은(는) `checksums` 없이 서명되어 파일이 보호되지 않습니다. 다시 서명하기: zscrape scripts sign",
    ),
    "signature_invalid.version": Text(
        "{name} is offered as {version}, but was signed as another version, and only what was signed runs here. Publish it under the version in its metadata.json.",
        "{name}이(가) {version}(으)로 제공되지만 다른 버전으로 서명되었습니다. 여기서는 서명된 그대로만 실행합니다. metadata.json에 적힌 버전으로 게시하십시오.",
    ),
    "version_exists": Text(
        "{name} {version} is already in {repository}. Versions are never replaced: raise the version in metadata.json.",
        "{name} {version}이(가) 이미 {repository}에 있습니다. 버전은 바꿔 넣지 않으므로 metadata.json의 버전을 올리십시오.",
    ),
    "publish_failed": Text(
        "{name} {version} could not be written to {repository}: {reason}",
        "{name} {version}을(를) {repository}에 쓰지 못했습니다: {reason}",
    ),
    "publish_failed.layout": Text(
        "{repository} has {name} in a single folder with its own metadata.json ({reason}), so nothing can stand beside it. Move that folder to {name}/VERSION/ to keep versions side by side, or publish elsewhere with --to.",
        "{repository}에는 {name}이(가) 자체 metadata.json을 가진 단일 폴더({reason})로 있어 다른 버전을 함께 둘 수 없습니다. 그 폴더를 {name}/버전/ 으로 옮기거나 --to로 다른 곳에 게시하십시오.",
    ),
    "publish_failed.http": Text(
        "{repository} is an HTTP repository, which is only read. Make an archive with --to {name}-{version}.tar.gz, and serve it at {reason}",
        "{repository}은(는) 읽기만 하는 HTTP 저장소입니다. --to {name}-{version}.tar.gz 로 압축 파일을 만들어 {reason} 에서 제공하십시오.",
    ),
    "environment_error": Text(
        "The script's environment could not be made: {reason}",
        "스크립트의 실행 환경을 만들지 못했습니다: {reason}",
    ),
    "entry_point_invalid": Text(
        "The entry point {entry_point} of {name} cannot be used: {reason}",
        "{name}의 진입점 {entry_point}을(를) 쓸 수 없습니다: {reason}",
    ),
    "timeout": Text(
        "The time limit of {limit_s:g} s has passed and the attempt was ended. Raise `timeout`, or make the script do less.",
        "제한 시간 {limit_s:g}초가 지나 시도를 끝냈습니다. `timeout`을 늘리거나 스크립트가 하는 일을 줄이십시오.",
    ),
    "cancelled": Text("The task was cancelled.", "작업이 취소되었습니다."),
    "memory_limit": Text(
        "The script needed more memory than its limit of {limit_bytes} bytes; at its peak it held {peak_bytes} bytes. Raise `memory_limit`, or keep less in memory.",
        "스크립트에 제한 {limit_bytes}바이트보다 많은 메모리가 필요했습니다. 가장 많이 썼을 때는 {peak_bytes}바이트였습니다. `memory_limit`을 늘리거나 메모리를 덜 쓰십시오.",
    ),
    "cpu_limit": Text(
        "The script used up its {limit_s:g} s of processor time. Raise `limits.cpu_s`, or look for an endless loop.",
        "스크립트가 프로세서 시간 {limit_s:g}초를 모두 썼습니다. `limits.cpu_s`를 늘리거나 무한 루프가 있는지 보십시오.",
    ),
    "output_limit": Text(
        "The script's items are larger than the limit of {limit_bytes} bytes. Raise `limits.result_size`, or yield less.",
        "스크립트가 내보낸 항목이 제한 {limit_bytes}바이트보다 큽니다. `limits.result_size`를 늘리거나 덜 내보내십시오.",
    ),
    "output_limit.folder_size": Text(
        "The script's private folder takes {size_bytes} bytes of the disk, more than its limit of {limit_bytes}. Raise `limits.folder_size`, or remove files that are no longer needed.",
        "스크립트의 개인 폴더가 디스크에서 {size_bytes}바이트를 차지해 제한 {limit_bytes}바이트를 넘었습니다. `limits.folder_size`를 늘리거나 필요 없는 파일을 지우십시오.",
    ),
    "output_limit.folder_files": Text(
        "The script's private folder holds more than {limit_count} files and folders. Raise `limits.folder_files`, or remove what is no longer needed.",
        "스크립트의 개인 폴더에 있는 파일과 폴더가 제한 {limit_count}개를 넘었습니다. `limits.folder_files`를 늘리거나 필요 없는 것을 지우십시오.",
    ),
    "output_limit.items": Text(
        "The script yielded more than {limit_count} items. Raise `limits.items`, or yield fewer.",
        "스크립트가 항목을 제한 {limit_count}개보다 많이 내보냈습니다. `limits.items`를 늘리거나 덜 내보내십시오.",
    ),
    "result_invalid": Text(
        "What the script returned cannot be kept: {reason}",
        "스크립트의 반환값을 보관할 수 없습니다: {reason}",
    ),
    "process_limit": Text(
        "The script may have {limit_count} processes and threads, and wanted more. Raise `limits.processes`, or start fewer; each thread also needs 8 MiB of `memory_limit` for its stack.",
        "스크립트는 프로세스와 스레드를 합해 {limit_count}개까지 쓸 수 있는데 더 시작하려 했습니다. `limits.processes`를 늘리거나 덜 시작하십시오. 스레드에는 스택으로 `memory_limit`이 8MiB씩 더 필요합니다.",
    ),
    "crashed": Text(
        "The script's process ended without an answer: {reason}",
        "스크립트의 프로세스가 응답 없이 끝났습니다: {reason}",
    ),
    "worker_lost": Text(
        "Worker {worker_id} was lost while it ran attempt {attempt}; workers lost by this task: {lost_count}.",
        "워커 {worker_id}이(가) 시도 {attempt}을(를) 실행하다가 사라졌습니다. 이 작업이 잃은 워커: {lost_count}개.",
    ),
    "no_matching_worker": Text(
        "No connected worker can run this: {missing}. Start one with these tags or programs, or change `requires`.",
        "이 작업을 실행할 수 있는 워커가 연결되어 있지 않습니다: {missing}. 해당 태그나 프로그램을 갖춘 워커를 시작하거나 `requires`를 바꾸십시오.",
    ),
    "queue_full": Text(
        "The queue holds {limit_count} tasks and takes no more now. Try again later, or add workers.",
        "대기열이 작업 {limit_count}개로 가득 찼습니다. 나중에 다시 시도하거나 워커를 늘리십시오.",
    ),
    "client_queue_full.key": Text(
        "This key may have {limit_count} tasks that have not ended, and has them. Try again when some have, or use a key with a higher limit.",
        "이 키의 끝나지 않은 작업이 한도인 {limit_count}개에 이르렀습니다. 일부가 끝난 뒤 다시 시도하거나 한도가 더 높은 키를 사용하십시오.",
    ),
    "client_queue_full": Text(
        "This client has {limit_count} tasks that have not ended and may not have more. Try again when some have, or raise queue.client_limit_count.",
        "이 클라이언트의 끝나지 않은 작업이 한도인 {limit_count}개에 이르렀습니다. 일부가 끝난 뒤 다시 시도하거나 queue.client_limit_count를 늘리십시오.",
    ),
    "expired": Text(
        "The task waited {limit_s:g} s for a slot and got none. Add workers, or raise `schedule_timeout`.",
        "작업이 슬롯을 {limit_s:g}초 동안 기다렸지만 얻지 못했습니다. 워커를 늘리거나 `schedule_timeout`을 늘리십시오.",
    ),
    "lock_held": Text(
        "The lock {key} has been held for {age_s:.1f} s by task {holder}. Wait for it, or ask with `overlap`.",
        "잠금 {key}을(를) 작업 {holder}이(가) {age_s:.1f}초 동안 쥐고 있습니다. 기다리거나 `overlap`을 지정하십시오.",
    ),
    "lock_held.run": Text(
        "The run lock {key} is held by run {run_id} (process {holder_pid}) since {since}. Nothing was started: wait until that run has ended.",
        "실행 잠금 {key}을(를) 실행 {run_id}(프로세스 {holder_pid})이(가) {since}부터 쥐고 있습니다. 아무것도 시작하지 않았습니다. 그 실행이 끝날 때까지 기다리십시오.",
    ),
    "skipped_due_to_lock": Text(
        "Skipped: the lock {key} is held by task {holder}.",
        "건너뜀: 잠금 {key}을(를) 작업 {holder}이(가) 쥐고 있습니다.",
    ),
    "rate_limited": Text(
        "The site finds the script too fast: {error_message}",
        "사이트가 요청이 너무 잦다고 합니다: {error_message}",
    ),
    "retry_exhausted": Text(
        "All {try_count} tries failed; the last one ended with {last_code}.",
        "시도 {try_count}번이 모두 실패했습니다. 마지막 시도는 {last_code}(으)로 끝났습니다.",
    ),
    "blocked": Text(
        "The site refused to serve the script: {error_message}",
        "사이트가 스크립트를 막았습니다: {error_message}",
    ),
    "captcha_required": Text(
        "The site asks for a captcha: {error_message}",
        "사이트가 캡차를 요구합니다: {error_message}",
    ),
    "robots_disallowed": Text(
        "robots.txt forbids this: {error_message}", "robots.txt가 금지합니다: {error_message}"
    ),
    "login_expired": Text(
        "The site asks for a login again: {error_message}",
        "사이트가 다시 로그인을 요구합니다: {error_message}",
    ),
    "empty_result": Text(
        "The script found nothing: {error_message}",
        "스크립트가 아무것도 찾지 못했습니다: {error_message}",
    ),
    "empty_result.few": Text(
        "The script found {item_count} items; its manifest expects {min_item_count} or more. Look at the page: it may have changed. `expect` in metadata.json sets the number.",
        "스크립트가 항목을 {item_count}개 찾았으나 매니페스트는 {min_item_count}개 이상을 요구합니다. 페이지가 바뀌었는지 확인하십시오. 기준은 metadata.json의 `expect`에서 정합니다.",
    ),
    "empty_result.missing": Text(
        "Too many of the {item_count} items lack a value: {missing}. Look at the page: it may have changed. `expect` in metadata.json sets how many may.",
        "항목 {item_count}개 가운데 값이 빠진 항목이 너무 많습니다: {missing}. 페이지가 바뀌었는지 확인하십시오. 허용 비율은 metadata.json의 `expect`에서 정합니다.",
    ),
    "network_denied": Text(
        "The network policy forbids this: {error_message}. A worker opens addresses by its setting network_allow; a script asks for more by network in its manifest.",
        "네트워크 정책이 금지합니다: {error_message}. 워커에서는 network_allow 설정으로 주소를 허용하고, 스크립트에서는 매니페스트의 network로 범위를 넓힐 수 있습니다.",
    ),
    "internal": Text(
        "zscrape itself failed. The request id is in its log: look there, and report it.",
        "zscrape 내부 오류입니다. 로그에서 요청 ID를 찾아보고 알려 주십시오.",
    ),
    # ---- errors of calls -------------------------------------------------------------
    "malformed_json": Text("The body is not JSON: {reason}", "본문이 JSON이 아닙니다: {reason}"),
    "invalid_request": Text("{pointer}: {reason}", "{pointer}: {reason}"),
    "body_too_large": Text(
        "The body is longer than {limit_bytes} bytes.",
        "본문이 {limit_bytes}바이트보다 깁니다.",
    ),
    "body_timeout": Text(
        "The body did not arrive within {limit_s:g} s. Send it again; on a slow line raise gateway.body_timeout_s.",
        "본문이 {limit_s:g}초 안에 다 도착하지 않았습니다. 다시 보내십시오. 회선이 느리면 gateway.body_timeout_s를 늘리십시오.",
    ),
    "unauthorized": Text(
        "A known API key is required: Authorization: Bearer KEY. The first one is in client.toml in the gateway's home folder.",
        "유효한 API 키가 필요합니다: Authorization: Bearer KEY. 첫 키는 게이트웨이 홈 폴더의 client.toml에 있습니다.",
    ),
    "key_expired": Text(
        "This API key expired at {expired_at}. Ask an administrator for a new one: zscrape keys create",
        "이 API 키는 {expired_at}에 만료되었습니다. 관리자에게 새 키를 요청하십시오: zscrape keys create",
    ),
    "key_revoked": Text(
        "This API key was revoked. Ask an administrator for a new one: zscrape keys create",
        "이 API 키는 폐기되었습니다. 관리자에게 새 키를 요청하십시오: zscrape keys create",
    ),
    "token_invalid": Text(
        "This token is not accepted ({reason}). Get a new one from your sign-in; the gateway's settings jwt_issuer, jwt_audience and its key say which are.",
        "이 토큰을 받을 수 없습니다({reason}). 로그인 시스템에서 새 토큰을 받으십시오. 받는 토큰은 게이트웨이 설정의 jwt_issuer, jwt_audience와 키가 정합니다.",
    ),
    "locked_out": Text(
        "Too many wrong keys came from this address. Try again in {retry_after_s} s, with the right one.",
        "이 주소에서 잘못된 키가 너무 많이 들어왔습니다. {retry_after_s}초 뒤에 올바른 키로 다시 시도하십시오.",
    ),
    "login_invalid": Text(
        "This link has been used or is too old. Get a new one: zscrape dashboard",
        "이미 쓰였거나 기한이 지난 링크입니다. 새 링크 받기: zscrape dashboard",
    ),
    "cross_site": Text(
        "A call that changes something came from {origin}, which is no page of this gateway. Programs send a key instead of a cookie, or X-Requested-With.",
        "이 게이트웨이의 페이지가 아닌 {origin}에서 변경 요청이 왔습니다. 프로그램에서는 쿠키 대신 키를 보내거나 X-Requested-With를 더하십시오.",
    ),
    "forbidden": Text(
        "This key may not do that: it lacks the scope `{scope}`. A key with it is made by: zscrape keys create --scope {scope}",
        "이 키로는 할 수 없습니다. `{scope}` 권한이 없습니다. 권한이 있는 키 만들기: zscrape keys create --scope {scope}",
    ),
    "script_forbidden": Text(
        "This key may not use {name}; it is for: {allowed}. Ask for a key for that script: zscrape keys create --script {name}",
        "이 키로는 {name}을(를) 쓸 수 없습니다. 허용된 스크립트: {allowed}. 그 스크립트용 키 만들기: zscrape keys create --script {name}",
    ),
    "group_forbidden": Text(
        "This key may not have tasks of the group {name}; it is for: {allowed}. Ask for a key for that group: zscrape keys create --group {name}",
        "이 키로는 {name} 그룹의 작업을 다룰 수 없습니다. 허용된 그룹: {allowed}. 그 그룹용 키 만들기: zscrape keys create --group {name}",
    ),
    "group_forbidden.shared": Text(
        "What {name} keeps between its runs is shared by all groups, and this key is only for: {allowed}. Use a key without groups.",
        "{name}이(가) 실행 사이에 보관하는 데이터는 모든 그룹이 함께 쓰지만, 이 키는 다음 그룹에만 쓸 수 있습니다: {allowed}. 그룹을 지정하지 않은 키를 사용하십시오.",
    ),
    "group_forbidden.none": Text(
        "This key is for tasks of groups: {allowed}. Say which one in `metadata.group` of the task.",
        "이 키는 다음 그룹의 작업에만 쓸 수 있습니다: {allowed}. 작업의 `metadata.group`에 그룹을 지정하십시오.",
    ),
    "not_found": Text("There is no {kind} {name}.", "{kind} {name}이(가) 없습니다."),
    "method_not_allowed": Text(
        "{method} is not served at {path}.", "{path}에서는 {method}을(를) 지원하지 않습니다."
    ),
    "unavailable": Text("The cluster cannot take this now.", "지금은 클러스터가 받을 수 없습니다."),
    "too_many_connections": Text(
        "The gateway has {limit_count} connections already. Close idle ones, try again in a moment, or raise gateway.connection_limit.",
        "게이트웨이에 연결이 이미 {limit_count}개 있습니다. 쓰지 않는 연결을 닫고 잠시 뒤에 다시 시도하거나 gateway.connection_limit을 늘리십시오.",
    ),
    "draining": Text(
        "The gateway is shutting down and takes no new task. Try again in a moment.",
        "게이트웨이가 종료 중이라 새 작업을 받지 않습니다. 잠시 뒤에 다시 시도하십시오.",
    ),
    "manifest_invalid": Text(
        "metadata.json of {name} cannot be used. See `problems`, and: zscrape scripts check",
        "{name}의 metadata.json을 쓸 수 없습니다. `problems`를 보고 zscrape scripts check 를 실행하십시오.",
    ),
    "repository_unavailable": Text(
        "The repository {repository} cannot be read: {reason}",
        "저장소 {repository}을(를) 읽을 수 없습니다: {reason}",
    ),
    "wire_invalid": Text(
        "A message on the link cannot be read: {reason}",
        "링크의 메시지를 읽을 수 없습니다: {reason}",
    ),
    "config_invalid": Text("{source}: {reason}", "{source}: {reason}"),
    # ---- storage ---------------------------------------------------------------------
    "storage_full": Text(
        "The disk of the gateway's home folder is full, so nothing new is taken: {reason}. Free some space; the gateway goes on by itself.",
        "게이트웨이 홈 폴더의 디스크가 가득 차서 새 작업을 받지 않습니다: {reason}. 공간을 비우면 저절로 이어집니다.",
    ),
    "storage_read_only": Text(
        "The gateway's home folder cannot be written to, so nothing new is taken: {reason}. Make it writable; the gateway goes on by itself.",
        "게이트웨이 홈 폴더에 쓸 수 없어서 새 작업을 받지 않습니다: {reason}. 쓸 수 있게 되면 저절로 이어집니다.",
    ),
    "storage_locked": Text(
        "Another program keeps the gateway's database locked, so nothing new is taken: {reason}. End it; the gateway goes on by itself.",
        "다른 프로그램이 게이트웨이의 데이터베이스를 잠그고 있어서 새 작업을 받지 않습니다: {reason}. 그 프로그램을 끝내면 저절로 이어집니다.",
    ),
    "storage_unavailable": Text(
        "The database server cannot be reached, so nothing new is taken: {reason}. Look at the server and at gateway.database_url; the gateway goes on by itself once the server answers.",
        "데이터베이스 서버에 연결할 수 없어서 새 작업을 받지 않습니다: {reason}. 서버와 gateway.database_url을 확인하십시오. 서버가 응답하면 저절로 이어집니다.",
    ),
    "lease_lost": Text(
        "This gateway was not heard for too long, so others on its database take over its tasks: {reason}. It begins anew by itself; try again in a moment.",
        "이 게이트웨이의 신호가 너무 오래 끊겨 같은 데이터베이스의 다른 게이트웨이가 작업을 넘겨받습니다: {reason}. 저절로 새로 시작하므로 잠시 뒤에 다시 시도하십시오.",
    ),
    "storage_failed": Text(
        "The gateway's database cannot be written, so nothing new is taken: {reason}. Look at the disk; writing is tried again every second.",
        "게이트웨이의 데이터베이스에 쓸 수 없어서 새 작업을 받지 않습니다: {reason}. 디스크를 확인하십시오. 쓰기는 1초마다 다시 시도합니다.",
    ),
    "home_in_use": Text(
        "The home folder {source} is in use by another gateway: {reason}. Stop that one, or choose another folder by --home.",
        "홈 폴더 {source}을(를) 다른 게이트웨이가 쓰고 있습니다: {reason}. 그 게이트웨이를 멈추거나 --home으로 다른 폴더를 정하십시오.",
    ),
    "storage_corrupt": Text(
        "The database {source} is damaged: {reason}. It was left as it is. Put a backup in its place (zscrape restore FILE), or save what can be read: sqlite3 {source} .recover | sqlite3 recovered.db",
        "데이터베이스 {source}이(가) 손상되었습니다: {reason}. 파일은 그대로 두었습니다. 백업으로 되돌리거나(zscrape restore FILE) 읽을 수 있는 내용을 건지십시오: sqlite3 {source} .recover | sqlite3 recovered.db",
    ),
    "storage_newer": Text(
        "The database {source} was made by a newer zscrape: {reason}. Install that version again, or put a backup of this one in its place: zscrape restore FILE",
        "데이터베이스 {source}은(는) 더 새로운 zscrape가 만들었습니다: {reason}. 그 버전을 다시 설치하거나 이 버전의 백업으로 되돌리십시오: zscrape restore FILE",
    ),
    "postgres_missing": Text(
        "{source} names a PostgreSQL database, and its driver is not installed: {reason}. Install it: pip install 'zscrape[postgres]'",
        "{source}이(가) PostgreSQL 데이터베이스를 가리키지만 드라이버가 설치되어 있지 않습니다: {reason}. 설치하십시오: pip install 'zscrape[postgres]'",
    ),
    "postgres_encoding": Text(
        "The PostgreSQL database of {source} has the encoding {reason}, which cannot hold every text that scripts return. Make one that can, and name it there: CREATE DATABASE zscrape ENCODING 'UTF8' TEMPLATE template0",
        "{source}의 PostgreSQL 데이터베이스 인코딩이 {reason}(이)라 스크립트가 돌려주는 모든 글자를 담을 수 없습니다. UTF8 데이터베이스를 새로 만들어 지정하십시오: CREATE DATABASE zscrape ENCODING 'UTF8' TEMPLATE template0",
    ),
    "worker_not_started": Text(
        "The worker did not start: it has no process to run scripts in: {reason}. Where the machine was only busy or short of memory, start it again; if it stays like this, zscrape doctor tells more.",
        "워커가 시작되지 않았습니다. 스크립트를 실행할 프로세스를 준비하지 못했습니다: {reason}. 머신이 잠시 바쁘거나 메모리가 부족했다면 다시 시작하십시오. 계속되면 zscrape doctor로 자세한 원인을 확인하십시오.",
    ),
    "task_damaged": Text(
        "What was kept of task {task_id} is damaged; it was not run. Ask for it again.",
        "작업 {task_id}에 대해 보관한 내용이 손상되어 실행하지 않았습니다. 다시 요청하십시오.",
    ),
    "blob_missing": Text(
        "This file of the task ({key}) is no longer where it was kept; something other than the gateway has removed it. Restore it from a backup, or ask for the task again.",
        "작업의 이 파일({key})이 보관한 자리에 없습니다. 게이트웨이가 아닌 다른 것이 지웠습니다. 백업에서 되돌리거나 작업을 다시 요청하십시오.",
    ),
    "blob_damaged": Text(
        "This file of the task ({key}) is damaged: its content is not what was kept. Restore it from a backup, or ask for the task again.",
        "작업의 이 파일({key})이 손상되어 보관한 내용과 다릅니다. 백업에서 되돌리거나 작업을 다시 요청하십시오.",
    ),
    "blob_unavailable": Text(
        "Large files are kept at {place}, which cannot be used now: {reason}. Check that it can be reached, then ask again.",
        "큰 파일을 보관하는 {place}을(를) 지금 쓸 수 없습니다: {reason}. 연결할 수 있는지 확인한 뒤 다시 요청하십시오.",
    ),
    "gateway_lost": Text(
        "The gateway stopped while the task was under way, and nobody waits for its answer any more. Ask for it again.",
        "작업을 처리하던 중에 게이트웨이가 멈췄고, 이제 답을 기다리는 쪽이 없습니다. 다시 요청하십시오.",
    ),
}
