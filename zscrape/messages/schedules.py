"""Words about schedules and locks: of the API, the command line and the log."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

SCHEDULES: Final[dict[str, Text]] = {
    # ---- errors ----------------------------------------------------------------------
    "schedule_exists": Text(
        "There is a schedule named {name} already. Change it, or give the new one another name.",
        "이름이 {name}인 일정이 이미 있습니다. 그 일정을 바꾸거나 새 일정에 다른 이름을 지정하십시오.",
    ),
    "schedule_changed": Text(
        "The schedule {name} was changed by somebody else at the same moment. Look at it, then try again.",
        "일정 {name}을(를) 같은 순간에 다른 쪽에서 바꿨습니다. 내용을 확인하고 다시 시도하십시오.",
    ),
    # ---- bodies ----------------------------------------------------------------------
    "http.cron_or_interval": Text(
        "{pointer}: give either `cron` or `interval`.",
        "{pointer}: `cron`과 `interval` 가운데 하나만 지정하십시오.",
    ),
    "http.cron_count": Text(
        "{pointer}: not a cron expression. It has five fields (minute hour day month weekday), or six with seconds first: 0 3 * * MON-FRI",
        "{pointer}: cron 식이 아닙니다. 다섯 필드(분 시 일 월 요일), 또는 초를 앞에 둔 여섯 필드로 쓰십시오: 0 3 * * MON-FRI",
    ),
    "http.cron_field": Text(
        "{pointer}: the field {field} of the cron expression cannot be used.",
        "{pointer}: cron 식의 {field} 필드를 쓸 수 없습니다.",
    ),
    "http.cron_macro": Text(
        "{pointer}: the known short forms are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually.",
        "{pointer}: 쓸 수 있는 줄임 표기는 @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually입니다.",
    ),
    "http.cron_length": Text(
        "{pointer}: the cron expression is too long.", "{pointer}: cron 식이 너무 깁니다."
    ),
    "http.cron_never": Text(
        "{pointer}: the cron expression is due at no moment ever.",
        "{pointer}: 이 cron 식에 해당하는 시각이 없습니다.",
    ),
    "http.interval_form": Text(
        "{pointer}: {given} is no interval. Give seconds, or a text such as 90s, 5m, 1h30m or 2d.",
        "{pointer}: {given}은(는) 간격이 아닙니다. 초 단위 숫자나 90s, 5m, 1h30m, 2d와 같은 값을 쓰십시오.",
    ),
    "http.hours_window": Text(
        "{pointer}: {given} are no hours of a day. Write them as 09:00-18:00, or 22:00-06:00 over night.",
        "{pointer}: {given}은(는) 하루의 시간대가 아닙니다. 09:00-18:00, 밤을 넘기면 22:00-06:00처럼 쓰십시오.",
    ),
    "http.zone_unknown": Text(
        "{pointer}: there is no time zone {given}. Use a name such as Europe/Berlin, Asia/Seoul or UTC.",
        "{pointer}: {given}은(는) 없는 시간대입니다. Europe/Berlin, Asia/Seoul, UTC와 같은 이름을 쓰십시오.",
    ),
    "http.zone_unknown.nearest": Text(
        "{pointer}: there is no time zone {given}. Did you mean {nearest}?",
        "{pointer}: {given}은(는) 없는 시간대입니다. 혹시 {nearest}입니까?",
    ),
    "http.end_before_start": Text(
        "{pointer}: the end comes before the start.", "{pointer}: 끝이 시작보다 앞섭니다."
    ),
    "http.never_due": Text(
        "{pointer}: with its start, end and hours it is never due again.",
        "{pointer}: 시작, 끝, 허용 시간대를 따르면 실행할 시각이 더는 없습니다.",
    ),
    "http.jitter_too_long": Text(
        "{pointer}: the jitter must be shorter than the time between two moments, {gap_s:g} s.",
        "{pointer}: 지터는 두 실행 시각의 간격인 {gap_s:g}초보다 짧아야 합니다.",
    ),
    "http.max_instances": Text(
        "{pointer}: only 1 is understood, and means `overlap`: skip. For others give `overlap` alone.",
        "{pointer}: 1만 쓸 수 있으며 `overlap`: skip과 같습니다. 다른 동작은 `overlap`으로만 지정하십시오.",
    ),
    "http.lock_parameter": Text(
        "{pointer}: the key asks for the parameter {name}, which is not given. Known: {known}.",
        "{pointer}: 키에 쓴 매개변수 {name}이(가) 없습니다. 있는 매개변수: {known}.",
    ),
    "http.lock_key_length": Text(
        "{pointer}: with these parameters the key is longer than {limit} characters.",
        "{pointer}: 이 매개변수로 만든 키가 {limit}자를 넘습니다.",
    ),
    # ---- what became of a due moment -------------------------------------------------
    "schedule.gateway_lost": Text(
        "The gateway ended before it could make the task, and the misfire window has passed.",
        "작업을 만들기 전에 게이트웨이가 끝났고 misfire 허용 시간이 지났습니다.",
    ),
    "schedule.missed_many": Text(
        "This moment and those after it, up to {until_at}, were missed; there were too many to list.",
        "이 시각부터 {until_at} 전까지의 시각을 놓쳤습니다. 너무 많아 하나씩 적지 않습니다.",
    ),
    # ---- locks -----------------------------------------------------------------------
    "cancelled.lock_broken": Text(
        "The task was ended because somebody has broken its lock {key}.",
        "누군가 잠금 {key}을(를) 강제로 풀어 작업이 끝났습니다.",
    ),
    "event.lock_broken": Text(
        "{client} has broken the lock {key}; its holder, task {holder}, was ended.",
        "{client}이(가) 잠금 {key}을(를) 풀었습니다. 쥐고 있던 작업 {holder}을(를) 끝냈습니다.",
    ),
    # ---- log -------------------------------------------------------------------------
    "event.schedule_skipped": Text(
        "A due moment of schedule {schedule_id} was skipped: the lock {key} is held by task {holder}.",
        "일정 {schedule_id}의 실행 시각을 건너뛰었습니다. 작업 {holder}이(가) 잠금 {key}을(를) 쥐고 있습니다.",
    ),
    "event.schedule_not_started": Text(
        "A due moment of schedule {schedule_id} made no task: {code}. See its occurrences.",
        "일정 {schedule_id}의 실행 시각에 작업을 만들지 못했습니다: {code}. 발생 기록을 확인하십시오.",
    ),
    "event.schedule_not_fired": Text(
        "Firing the schedule {name} failed inside of zscrape; the log line has the traceback.",
        "일정 {name}을(를) 실행하는 중에 zscrape 내부 오류가 발생했습니다. 로그에 트레이스백이 있습니다.",
    ),
    "event.schedule_paused": Text(
        "The schedule {name} was paused after {failure_count} failures in a row. Resume it: zscrape schedules resume {name}",
        "일정 {name}이(가) {failure_count}번 잇달아 실패하여 일시 중지했습니다. 다시 시작하기: zscrape schedules resume {name}",
    ),
    "event.schedule_damaged": Text(
        "The schedule {name} cannot be read and does not fire ({reason}). Remove it and add it again.",
        "일정 {name}을(를) 읽을 수 없어 실행하지 않습니다({reason}). 지우고 다시 추가하십시오.",
    ),
    "event.schedules_held_up": Text(
        "No schedule can fire: the database cannot be used ({code}): {reason}. It is tried again every second.",
        "데이터베이스를 쓸 수 없어({code}) 일정을 실행하지 못합니다: {reason}. 1초마다 다시 시도합니다.",
    ),
    "event.schedules_go_on": Text("Schedules fire again.", "일정을 다시 실행합니다."),
    "event.scheduler_failed": Text(
        "The scheduler failed inside of zscrape and goes on; the log line has the traceback.",
        "일정 실행기에서 zscrape 내부 오류가 발생했으나 계속합니다. 로그에 트레이스백이 있습니다.",
    ),
    "event.clock_jumped": Text(
        "The machine's clock was set by {seconds:g} s. What was due meanwhile follows the misfire policies.",
        "컴퓨터의 시계가 {seconds:g}초 바뀌었습니다. 그 사이의 실행 시각은 misfire 정책을 따릅니다.",
    ),
}
