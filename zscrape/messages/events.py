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
    "event.blobs_fault": Text(
        "Large files cannot be kept at {place} ({code}); until that mends they are kept in the database: {reason}",
        "{place}에 큰 파일을 보관할 수 없어({code}) 나아질 때까지 데이터베이스에 보관합니다: {reason}",
    ),
    "event.blobs_back": Text(
        "Large files are kept at {place} again.",
        "{place}에 큰 파일을 다시 보관합니다.",
    ),
    "event.tasks_restored": Text(
        "Tasks taken up from before the restart: {queued_count} waiting, {running_count} perhaps running, {ended_count} ended because nobody waits for them, {damaged_count} damaged. It took {seconds:.1f} s.",
        "재시작 전의 작업을 이어받았습니다. 대기 {queued_count}개, 실행 중일 수 있음 {running_count}개, 기다리는 쪽이 없어 끝냄 {ended_count}개, 손상 {damaged_count}개. {seconds:.1f}초 걸렸습니다.",
    ),
    "event.keys_guessed": Text(
        "{address} presents wrong keys and has to wait {wait_s:g} s ({held_count} more like this).",
        "{address}에서 잘못된 키가 계속 들어와 {wait_s:g}초 동안 막습니다(같은 일 {held_count}건 더 있음).",
    ),
    "event.audit_lost": Text(
        "The audit could not be kept ({reason}): {actor} did {action} to {target}, {result}.",
        "감사 기록을 남기지 못했습니다({reason}): {actor}이(가) {target}에 {action}, 결과 {result}.",
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
    "event.pulse_unwritten": Text(
        "The worker's sign of life cannot be written to {path}: {reason}. `zscrape health` will take it for hung.",
        "워커의 생존 표시를 {path}에 쓸 수 없습니다: {reason}. `zscrape health`는 워커가 멈춘 것으로 판단합니다.",
    ),
    "event.systemd_unreachable": Text(
        "systemd cannot be told how this service is: {reason}. With WatchdogSec= it will be started anew.",
        "이 서비스의 상태를 systemd에 알릴 수 없습니다: {reason}. WatchdogSec=이 설정되어 있으면 다시 시작됩니다.",
    ),
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
    "event.spare_lost": Text(
        "Process {process} of the worker has ended while it made ready for a task; another takes its place.",
        "작업을 준비하던 워커의 프로세스 {process}이(가) 끝났습니다. 다른 프로세스가 대신합니다.",
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
    "event.start_kept": Text(
        "The code that only the start has run stays in memory: {reason}",
        "시작할 때만 쓴 코드를 메모리에 그대로 둡니다: {reason}",
    ),
    "event.worker_stopped": Text(
        "Worker {worker_id} has stopped: {reason}.", "워커 {worker_id}이(가) 멈췄습니다: {reason}."
    ),
    "event.worker_rejected": Text(
        "The gateway does not take this worker: {reason} {detail}. Use the same version of zscrape on both sides.",
        "게이트웨이가 이 워커를 받지 않습니다: {reason} {detail}. 양쪽에 같은 버전의 zscrape를 쓰십시오.",
    ),
    "event.worker_revoked": Text(
        "The gateway has revoked this worker, or removed it. To let it join again, on the gateway: zscrape workers remove {worker_id}, then zscrape token create",
        "게이트웨이가 이 워커를 취소했거나 제거했습니다. 다시 합류시키려면 게이트웨이에서 zscrape workers remove {worker_id} 다음에 zscrape token create 를 실행하십시오",
    ),
    "event.worker_key_refused": Text(
        "The gateway does not know this worker's key. It was removed there, or the gateway is a new one: join again by a token of zscrape token create",
        "게이트웨이가 이 워커의 키를 알지 못합니다. 제거되었거나 새로 만든 게이트웨이입니다. zscrape token create 로 만든 토큰으로 다시 합류하십시오",
    ),
    "event.worker_token_refused": Text(
        "The join token does not hold: it was revoked or used up, has expired, or is another gateway's. Make another on the gateway: zscrape token create",
        "합류 토큰이 유효하지 않습니다. 취소되었거나 다 썼거나 만료되었거나 다른 게이트웨이의 토큰입니다. 게이트웨이에서 새로 만드십시오: zscrape token create",
    ),
    "event.worker_identity_taken": Text(
        "Another key is known for the worker id {worker_id}. On the gateway: zscrape workers remove {worker_id}; or remove the id's file in the folder `workers` of this home for a new id.",
        "워커 ID {worker_id}에는 다른 키가 등록되어 있습니다. 게이트웨이에서 zscrape workers remove {worker_id} 를 실행하거나, 이 홈의 `workers` 폴더에서 ID 파일을 지워 새 ID를 받으십시오.",
    ),
    "event.gateway_silent": Text(
        "No answer from {link}, or it does not prove itself by the expected key; dialling on. If its key was changed, a new token is needed: zscrape token create",
        "{link}에서 응답이 없거나 기대한 키로 자신을 증명하지 못합니다. 계속 접속을 시도합니다. 게이트웨이의 키가 바뀌었다면 새 토큰이 필요합니다: zscrape token create",
    ),
    "event.keys_unwritable": Text(
        "What this worker knows of its gateways cannot be kept in {path}: {reason}",
        "이 워커가 아는 게이트웨이 키를 {path}에 보관할 수 없습니다: {reason}",
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
    "event.supervisor_died": Text(
        "The network supervisor of scripts ended (status {status}) and is started again; connections that it was making are lost.",
        "스크립트의 네트워크 감독 프로세스가 종료되어(상태 {status}) 다시 시작합니다. 처리 중이던 연결은 끊어집니다.",
    ),
    "event.supervisor_failed": Text(
        "The network supervisor of scripts cannot be started; their connections wait until it can: {reason}",
        "스크립트의 네트워크 감독 프로세스를 시작할 수 없어 시작될 때까지 연결이 대기합니다: {reason}",
    ),
    "event.worker_removed": Text(
        "Worker {worker_id} was removed: its key is forgotten and its connection cut.",
        "워커 {worker_id}을(를) 제거했습니다. 키를 지우고 연결을 끊었습니다.",
    ),
    "event.worker_key_revoked": Text(
        "The key of worker {worker_id} was revoked and its connection cut.",
        "워커 {worker_id}의 키를 취소하고 연결을 끊었습니다.",
    ),
    "event.link_key_announced": Text(
        "The link takes another key in {overlap_s:.0f} s; connected workers learn it now. Make new tokens for others.",
        "{overlap_s:.0f}초 뒤에 링크의 키를 바꿉니다. 연결된 워커에는 지금 알립니다. 다른 워커에는 새 토큰을 만들어 주십시오.",
    ),
    "event.link_key_changed": Text(
        "The link's key has changed; tokens made before the change was announced do not hold any more.",
        "링크의 키를 바꿨습니다. 변경을 알리기 전에 만든 토큰은 더는 쓸 수 없습니다.",
    ),
    "event.link_key_unwritable": Text(
        "The link's keys cannot be kept in the home folder: {reason}",
        "링크의 키를 홈 폴더에 보관할 수 없습니다: {reason}",
    ),
    "event.worker_joined": Text(
        "Worker {worker_id} has joined.", "워커 {worker_id}이(가) 합류했습니다."
    ),
    "event.traces_unavailable": Text(
        "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, but what makes them is not installed ({reason}). Install it with: pip install 'zscrape[otel]', or set OTEL_SDK_DISABLED=true.",
        "OTEL_EXPORTER_OTLP_ENDPOINT가 추적을 요청하지만 필요한 패키지가 없습니다({reason}). pip install 'zscrape[otel]'로 설치하거나 OTEL_SDK_DISABLED=true로 끄십시오.",
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
    "event.attempt_begun": Text(
        "Attempt {attempt} of task {task_id} ({script_name}) begins for the call {trace_id}.",
        "작업 {task_id}({script_name})의 시도 {attempt}을(를) 시작합니다. 호출: {trace_id}.",
    ),
    "event.task_finished": Text(
        "Task {task_id} ended after attempt {attempt}: {code}.",
        "작업 {task_id}이(가) 시도 {attempt} 뒤에 끝났습니다: {code}.",
    ),
}
