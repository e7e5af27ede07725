"""Words of log events: the keys are `event.` and the event's constant name."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

EVENTS: Final[dict[str, Text]] = {
    "event.gateway_ready": Text(
        "The gateway answers at {http} and workers dial {link}.",
        "게이트웨이가 {http}에서 응답하며 워커는 {link}(으)로 접속합니다.",
    ),
    "event.gateway_stopping": Text(
        "The gateway takes no new task and waits up to {grace_s:g} s for {running_count} running ones.",
        "게이트웨이가 새 작업을 받지 않고, 실행 중인 작업 {running_count}개를 최대 {grace_s:g}초 기다립니다.",
    ),
    "event.storage_fault": Text(
        "The database cannot be written and nothing new is taken ({code}): {reason}. It is tried again every second.",
        "데이터베이스에 쓸 수 없어 새 작업을 받지 않습니다({code}): {reason}. 1초마다 다시 시도합니다.",
    ),
    "event.storage_back": Text(
        "The database can be written again, and new tasks are taken.",
        "데이터베이스에 다시 쓸 수 있어 새 작업을 받습니다.",
    ),
    "event.tasks_restored": Text(
        "Tasks taken up from before the restart: {queued_count} waiting, {running_count} perhaps running, {ended_count} ended because nobody waits for them, {damaged_count} damaged. It took {seconds:.1f} s.",
        "재시작 전의 작업을 이어받았습니다. 대기 {queued_count}개, 실행 중일 수 있음 {running_count}개, 기다리는 쪽이 없어 끝냄 {ended_count}개, 손상 {damaged_count}개. {seconds:.1f}초 걸렸습니다.",
    ),
    "event.tasks_adopted": Text(
        "Tasks taken over from a gateway that is gone: {queued_count} waiting, {running_count} perhaps running, {ended_count} ended because nobody waits for them, {damaged_count} damaged. It took {seconds:.1f} s.",
        "사라진 게이트웨이의 작업을 넘겨받았습니다. 대기 {queued_count}개, 실행 중일 수 있음 {running_count}개, 기다리는 쪽이 없어 끝냄 {ended_count}개, 손상 {damaged_count}개. {seconds:.1f}초 걸렸습니다.",
    ),
    "event.gateway_expired": Text(
        "Gateway {gateway_id} is gone: its lease in the database has ended, and its tasks are taken over.",
        "게이트웨이 {gateway_id}이(가) 사라졌습니다. 데이터베이스의 임대가 끝나 그 작업을 넘겨받습니다.",
    ),
    "event.lease_lost": Text(
        "This gateway ({gateway_id}) has lost its lease in the database: it drops its tasks, which others take over, and begins anew.",
        "이 게이트웨이({gateway_id})가 데이터베이스의 임대를 잃었습니다. 다른 게이트웨이가 넘겨받도록 작업을 내려놓고 새로 시작합니다.",
    ),
    "event.sharing_broken": Text(
        "Working with the other gateways failed inside of zscrape and is tried again; the log line has the traceback.",
        "다른 게이트웨이와 함께 일하는 중에 zscrape 내부 오류가 발생해 다시 시도합니다. 로그에 트레이스백이 있습니다.",
    ),
    "event.lease_broken": Text(
        "Keeping the lease failed inside of zscrape; the log line has the traceback.",
        "임대를 갱신하는 중에 zscrape 내부 오류가 발생했습니다. 로그에 트레이스백이 있습니다.",
    ),
    "event.gateway_stopped": Text("The gateway has stopped.", "게이트웨이가 멈췄습니다."),
    "event.webhook_failed": Text(
        "{host} could not be told of the end of task {task_id} (tries: {tries}): {reason}",
        "작업 {task_id}의 종료를 {host}에 알리지 못했습니다(시도: {tries}회): {reason}",
    ),
    "event.webhook_broken": Text(
        "Telling a webhook failed inside of zscrape; the log line has the traceback.",
        "웹훅을 알리는 중에 zscrape 내부 오류가 발생했습니다. 로그에 트레이스백이 있습니다.",
    ),
    "event.repository_stale": Text(
        "Repository {repository} cannot be read; what is known of it is used: {reason}",
        "저장소 {repository}을(를) 읽을 수 없어 알고 있는 내용을 사용합니다: {reason}",
    ),
    "event.repository_back": Text(
        "Repository {repository} can be read again.",
        "저장소 {repository}을(를) 다시 읽을 수 있습니다.",
    ),
    "event.versions_ignored": Text(
        "Repository {repository} has {count} names that are no versions (SemVer) and are ignored: {names}",
        "저장소 {repository}에서 버전(SemVer)이 아닌 이름 {count}개를 무시합니다: {names}",
    ),
    "event.channel_changed": Text(
        "Channel {channel} of {script_name} stands for {version} now (before: {previous}).",
        "{script_name}의 채널 {channel}이(가) 이제 {version}을(를) 가리킵니다(이전: {previous}).",
    ),
    "event.fetch_failed": Text(
        "Script {script_name} could not be had from repository {repository}; the gateway is asked: {reason}",
        "저장소 {repository}에서 스크립트 {script_name}을(를) 가져오지 못해 게이트웨이에 요청합니다: {reason}",
    ),
    "event.prefetch_failed": Text(
        "Script {script_name} could not be made ready ahead of time: {reason}",
        "스크립트 {script_name}을(를) 미리 준비하지 못했습니다: {reason}",
    ),
    "event.listing_unreadable": Text(
        "What was kept of repository {repository} in {path} cannot be read and is fetched anew: {reason}",
        "{path}에 보관된 저장소 {repository}의 목록을 읽을 수 없어 다시 가져옵니다: {reason}",
    ),
    "event.listing_unwritable": Text(
        "What is known of repository {repository} cannot be kept in {path}: {reason}",
        "저장소 {repository}의 목록을 {path}에 보관할 수 없습니다: {reason}",
    ),
    "event.worker_stopping": Text(
        "The worker takes nothing new and ends what it runs; a second signal ends it at once.",
        "워커가 새 작업을 받지 않고 실행 중인 작업을 마무리합니다. 신호를 한 번 더 보내면 즉시 끝납니다.",
    ),
    "event.worker_stopped": Text(
        "Worker {worker_id} has stopped: {reason}.", "워커 {worker_id}이(가) 멈췄습니다: {reason}."
    ),
    "event.worker_rejected": Text(
        "The gateway does not take this worker: {reason} {detail}. Use the same version of zscrape on both sides.",
        "게이트웨이가 이 워커를 받지 않습니다: {reason} {detail}. 양쪽에 같은 버전의 zscrape를 쓰십시오.",
    ),
    "event.gateway_joined": Text(
        "Joined gateway {gateway_id}.",
        "게이트웨이 {gateway_id}에 합류했습니다.",
    ),
    "event.gateway_lost": Text(
        "The gateway has been silent for {silent_s:.1f} s; dialling again. What runs goes on.",
        "게이트웨이가 {silent_s:.1f}초 동안 응답이 없어 다시 접속합니다. 실행 중인 작업은 계속됩니다.",
    ),
    "event.attempt_fenced": Text(
        "Attempt {attempt} of task {task_id} outlived its lock's lease and was ended.",
        "작업 {task_id}의 시도 {attempt}이(가) 잠금 임대 시간을 넘겨 끝냈습니다.",
    ),
    "event.environment_built": Text(
        "environment built in {seconds:.1f} s",
        "실행 환경을 {seconds:.1f}초 만에 만들었습니다",
    ),
    "event.environment_failed": Text(
        "An environment could not be made: {reason}",
        "실행 환경을 만들지 못했습니다: {reason}",
    ),
    "event.environment_unfinished": Text(
        "Environment {digest} works but could not be compiled: {reason}",
        "실행 환경 {digest}은(는) 쓸 수 있지만 컴파일하지 못했습니다: {reason}",
    ),
    "event.worker_joined": Text(
        "Worker {worker_id} has joined.", "워커 {worker_id}이(가) 합류했습니다."
    ),
    "event.worker_suspected": Text(
        "The connection of worker {worker_id} broke; it gets nothing new until it is back.",
        "워커 {worker_id}의 연결이 끊겼습니다. 돌아올 때까지 새 작업을 보내지 않습니다.",
    ),
    "event.worker_lost": Text(
        "Worker {worker_id} is gone ({reason}) with {attempt_count} running attempts.",
        "워커 {worker_id}이(가) 사라졌습니다({reason}). 실행 중이던 시도: {attempt_count}개.",
    ),
    "event.message_ignored": Text(
        "A {kind} message changed nothing: {reason}. Like it and not told since the last line: {suppressed_count}.",
        "{kind} 메시지를 무시했습니다: {reason}. 지난 기록 뒤로 생략한 같은 메시지: {suppressed_count}개.",
    ),
    "event.worker_data_invalid": Text(
        "Worker {worker_id} sent what is not JSON ({kind}) for task {task_id}; it was not kept: {reason}.",
        "워커 {worker_id}이(가) 작업 {task_id}에 대해 JSON이 아닌 내용({kind})을 보내 보관하지 않았습니다: {reason}.",
    ),
    "event.task_retried": Text(
        "Task {task_id} will be tried again in {delay_s:.1f} s: attempt {attempt} ended with {code}.",
        "작업 {task_id}을(를) {delay_s:.1f}초 뒤에 다시 시도합니다. 시도 {attempt}이(가) {code}(으)로 끝났습니다.",
    ),
    "event.task_finished": Text(
        "Task {task_id} ended after attempt {attempt}: {code}.",
        "작업 {task_id}이(가) 시도 {attempt} 뒤에 끝났습니다: {code}.",
    ),
}
