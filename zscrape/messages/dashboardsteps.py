"""What a person can do about each way in which a task fails, as the dashboard says it."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

DASHBOARD_STEPS: Final[dict[str, Text]] = {
    "ui.next.script_error": Text(
        "Read the last line of the traceback: it says where the script stopped. Mend the script, or press Run again with changes.",
        "역추적의 마지막 줄에서 스크립트가 멈춘 위치를 확인하십시오. 스크립트를 고치거나 '값을 바꿔 다시 실행'을 누르십시오.",
    ),
    "ui.next.params_invalid": Text(
        "Press Run again with changes and correct the fields that are named above.",
        "'값을 바꿔 다시 실행'을 누르고 위에 적힌 값을 고치십시오.",
    ),
    "ui.next.script_not_found": Text(
        "Look under Scripts for the right name, or look at the repositories now.",
        "스크립트 페이지에서 이름을 확인하거나 저장소를 다시 확인하십시오.",
    ),
    "ui.next.version_not_found": Text(
        "Open the script and choose a version that there is.",
        "스크립트를 열어 있는 버전을 고르십시오.",
    ),
    "ui.next.integrity_error": Text(
        "The script's files are not those of its digest. Look at the repositories now and retry; if it stays, publish the version again.",
        "스크립트 파일이 다이제스트와 다릅니다. 저장소를 다시 확인하고 재실행하십시오. 계속되면 버전을 다시 게시하십시오.",
    ),
    "ui.next.signature_invalid": Text(
        "Sign the script with a trusted key: zscrape scripts sign.",
        "신뢰하는 키로 스크립트에 서명하십시오: zscrape scripts sign.",
    ),
    "ui.next.environment_error": Text(
        "Check the requirements in the message above; try them with zscrape scripts check.",
        "위 메시지의 의존성을 확인하십시오. zscrape scripts check로 시험할 수 있습니다.",
    ),
    "ui.next.entry_point_invalid": Text(
        "Correct entry_point in metadata.json, or give main.py a function run.",
        "metadata.json의 entry_point를 고치거나 main.py에 run 함수를 만드십시오.",
    ),
    "ui.next.timeout": Text(
        "See in the log how far it came. Run again with a longer time limit, or with fewer pages.",
        "로그에서 어디까지 진행했는지 확인하십시오. 시간 제한을 늘리거나 페이지를 줄여 다시 실행하십시오.",
    ),
    "ui.next.cancelled": Text(
        "Somebody ended it. Press Retry to run it again.",
        "누군가 작업을 끝냈습니다. 다시 실행하려면 '다시 실행'을 누르십시오.",
    ),
    "ui.next.memory_limit": Text(
        "Raise memory_limit in metadata.json, or yield items instead of gathering them.",
        "metadata.json의 memory_limit을 늘리거나 항목을 모으지 말고 yield로 내보내십시오.",
    ),
    "ui.next.cpu_limit": Text(
        "Raise limits.cpu_s in metadata.json, or look for a loop without an end.",
        "metadata.json의 limits.cpu_s를 늘리거나 끝나지 않는 반복이 있는지 확인하십시오.",
    ),
    "ui.next.output_limit": Text(
        "The script writes too much: log less, or raise limits.output_size.",
        "스크립트 출력이 너무 많습니다. 로그를 줄이거나 limits.output_size를 늘리십시오.",
    ),
    "ui.next.result_invalid": Text(
        "Return and yield only what JSON can hold: texts, numbers, lists, objects.",
        "JSON으로 나타낼 수 있는 값(텍스트, 숫자, 목록, 객체)만 반환하십시오.",
    ),
    "ui.next.process_limit": Text(
        "Raise limits.processes in metadata.json, or start fewer processes.",
        "metadata.json의 limits.processes를 늘리거나 프로세스를 적게 시작하십시오.",
    ),
    "ui.next.crashed": Text(
        "The process itself ended, often in a compiled library. Retry; if it stays, pin another version of that library.",
        "프로세스 자체가 종료되었습니다. 컴파일된 라이브러리가 원인인 경우가 많습니다. 다시 실행하고, 계속되면 라이브러리 버전을 바꾸십시오.",
    ),
    "ui.next.worker_lost": Text(
        "The worker went away while it ran. Look at Workers, then retry.",
        "실행 중에 워커가 사라졌습니다. 워커 페이지를 확인하고 다시 실행하십시오.",
    ),
    "ui.next.no_matching_worker": Text(
        "Start a worker with the tags and programs that the script asks for, then retry.",
        "스크립트가 요구하는 태그와 프로그램을 갖춘 워커를 시작하고 다시 실행하십시오.",
    ),
    "ui.next.queue_full": Text(
        "Wait until the queue is shorter, or add workers; then retry.",
        "대기열이 줄어들기를 기다리거나 워커를 늘린 뒤 다시 실행하십시오.",
    ),
    "ui.next.expired": Text(
        "No worker took it in time. Add workers, or give it a longer time limit.",
        "제때 맡은 워커가 없습니다. 워커를 늘리거나 시간 제한을 늘리십시오.",
    ),
    "ui.next.lock_held": Text(
        "Another task holds its lock: see Locks. Wait for it, or break the lock.",
        "다른 작업이 잠금을 보유하고 있습니다. 잠금 페이지를 확인하고 기다리거나 해제하십시오.",
    ),
    "ui.next.skipped_due_to_lock": Text(
        "The task before still held the lock. Schedule it less often, or choose another overlap.",
        "앞선 작업이 잠금을 보유하고 있었습니다. 일정 간격을 늘리거나 겹침 처리를 바꾸십시오.",
    ),
    "ui.next.rate_limited": Text(
        "Retry later, or give the key a higher rate.",
        "나중에 다시 실행하거나 키의 속도 제한을 늘리십시오.",
    ),
    "ui.next.retry_exhausted": Text(
        "Look at the last error in the log, mend its cause, then retry.",
        "로그에서 마지막 오류를 확인하고 원인을 고친 뒤 다시 실행하십시오.",
    ),
    "ui.next.blocked": Text(
        "The site refuses us. Ask more slowly, use another session or proxy, then retry.",
        "사이트가 접근을 거부합니다. 더 천천히 요청하거나 다른 세션 또는 프록시로 다시 실행하십시오.",
    ),
    "ui.next.captcha_required": Text(
        "The site wants to see a person. Let the script use ctx.captcha, or retry later.",
        "사이트가 사람 확인을 요구합니다. 스크립트에서 ctx.captcha를 쓰거나 나중에 다시 실행하십시오.",
    ),
    "ui.next.robots_disallowed": Text(
        "The site's robots.txt does not allow this address. Choose another.",
        "사이트의 robots.txt가 이 주소를 허용하지 않습니다. 다른 주소를 고르십시오.",
    ),
    "ui.next.login_expired": Text(
        "The account is signed out there. Renew its session, then retry.",
        "사이트에서 로그아웃되었습니다. 세션을 갱신하고 다시 실행하십시오.",
    ),
    "ui.next.empty_result": Text(
        "The page was read but nothing was found: most often the site has changed. Check the selectors, then run again with changes.",
        "페이지는 읽었지만 찾은 것이 없습니다. 사이트가 바뀐 경우가 많습니다. 선택자를 확인하고 값을 바꿔 다시 실행하십시오.",
    ),
    "ui.next.network_denied": Text(
        "The script may not reach that address. Check the address, or set network in metadata.json and network_allow on the worker.",
        "스크립트가 그 주소에 접근할 수 없습니다. 주소를 확인하거나 metadata.json의 network와 워커의 network_allow를 설정하십시오.",
    ),
    "ui.next.secret_denied": Text(
        "Grant the secret to this script, and name it under secrets in metadata.json.",
        "이 스크립트에 비밀 값을 허용하고 metadata.json의 secrets에 이름을 적으십시오.",
    ),
    "ui.next.internal": Text(
        "This is a fault of ours. The gateway's log has more under this id; retry meanwhile.",
        "내부 오류입니다. 게이트웨이 로그에서 이 ID를 찾아보고, 우선 다시 실행하십시오.",
    ),
}
