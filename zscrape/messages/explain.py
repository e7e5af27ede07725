"""Words of `explain`: why a task waits, or where it is."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

EXPLAIN: Final[dict[str, Text]] = {
    "explain.no_worker": Text(
        "No worker is connected. Start one: zscrape worker",
        "연결된 워커가 없습니다. 워커를 시작하십시오: zscrape worker",
    ),
    "explain.no_matching_worker": Text(
        "No connected worker has what this script requires: {missing}. Workers connected: {worker_count}.",
        "이 스크립트가 요구하는 조건을 갖춘 워커가 없습니다: {missing}. 연결된 워커: {worker_count}개.",
    ),
    "explain.cannot_run": Text(
        "Every connected worker that fits has said that it cannot run {script_name} {version}.",
        "조건에 맞는 모든 워커가 {script_name} {version}을(를) 실행할 수 없다고 알렸습니다.",
    ),
    "explain.slots_busy": Text(
        "All {slot_count} slots of the {worker_count} workers that fit are busy; {ahead_count} tasks are ahead.",
        "조건에 맞는 워커 {worker_count}개의 슬롯 {slot_count}개가 모두 사용 중입니다. 앞선 작업: {ahead_count}개.",
    ),
    "explain.browsers_busy": Text(
        "All {browser_slot_count} browser slots of the {worker_count} workers that fit are busy; {ahead_count} tasks are ahead. More at once: worker.browser_slots, or another worker with Chromium.",
        "조건에 맞는 워커 {worker_count}개의 브라우저 슬롯 {browser_slot_count}개가 모두 사용 중입니다. 앞선 작업: {ahead_count}개. 더 늘리려면 worker.browser_slots를 올리거나 Chromium이 있는 워커를 추가하십시오.",
    ),
    "explain.lock_held": Text(
        "The lock {key} is held by task {holder}; {ahead_count} tasks are ahead in its line.",
        "잠금 {key}을(를) 작업 {holder}이(가) 쥐고 있습니다. 대기 줄의 앞선 작업: {ahead_count}개.",
    ),
    "explain.retry_later": Text(
        "Attempt {attempt} ended with {code}; the next one starts in {delay_s:.1f} s.",
        "시도 {attempt}이(가) {code}(으)로 끝났습니다. {delay_s:.1f}초 뒤에 다시 시도합니다.",
    ),
    "explain.lease": Text(
        "Worker {worker_id} was lost while it ran attempt {attempt}; the lock's lease ends in {delay_s:.1f} s.",
        "시도 {attempt}을(를) 실행하던 워커 {worker_id}을(를) 잃었습니다. 잠금 임대가 {delay_s:.1f}초 뒤에 끝납니다.",
    ),
    "explain.assigned": Text(
        "Attempt {attempt} was sent to worker {worker_id}, which is preparing it.",
        "시도 {attempt}을(를) 워커 {worker_id}에 보냈고 워커가 준비하고 있습니다.",
    ),
    "explain.running": Text(
        "Attempt {attempt} runs on worker {worker_id}.",
        "시도 {attempt}이(가) 워커 {worker_id}에서 실행되고 있습니다.",
    ),
    "explain.site_wait": Text(
        "The script waits for the budget of {site} since {waited_s:.1f} s; {ahead_count} other tasks come before it.",
        "스크립트가 {site} 사이트 예산을 {waited_s:.1f}초째 기다리고 있습니다. 먼저 차례가 오는 작업은 {ahead_count}개입니다.",
    ),
    "explain.person": Text(
        "It waits until a person answers hand-off {handoff} (attempt {attempt}, worker {worker_id}): zscrape handoffs show {handoff}",
        "사람 확인 요청 {handoff}의 답을 기다립니다(시도 {attempt}, 워커 {worker_id}): zscrape handoffs show {handoff}",
    ),
    "explain.elsewhere": Text(
        "Another gateway looks after the task ({status}).",
        "다른 게이트웨이가 이 작업을 맡고 있습니다({status}).",
    ),
    "explain.finished": Text(
        "The task has ended: {status}.",
        "작업이 끝났습니다: {status}.",
    ),
}
