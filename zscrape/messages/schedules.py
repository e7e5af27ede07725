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
    "schedule_damaged": Text(
        "What was kept of the schedule {name} is damaged, so it does not fire. Remove it and add it again.",
        "일정 {name}의 저장 내용이 손상되어 실행하지 않습니다. 지우고 다시 추가하십시오.",
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
    # ---- command line ----------------------------------------------------------------
    "cli.schedules": Text(
        "Run scripts at their times: add, look at, pause and trigger schedules.",
        "스크립트를 정한 시각에 실행합니다. 일정을 추가하고 살펴보고 멈추고 바로 실행합니다.",
    ),
    "cli.schedules.add": Text(
        "Add a schedule: NAME SCRIPT[@VERSION]; its next ten moments are shown first.",
        "일정을 추가합니다: NAME SCRIPT[@VERSION]. 먼저 다음 실행 시각 열 개를 보여 줍니다.",
    ),
    "cli.schedules.list": Text(
        "Show the schedules and when each is due next.",
        "일정과 각각의 다음 실행 시각을 보여 줍니다.",
    ),
    "cli.schedules.show": Text(
        "Show one schedule and its next ten moments.",
        "일정 하나와 다음 실행 시각 열 개를 보여 줍니다.",
    ),
    "cli.schedules.pause": Text(
        "Let due moments pass until it is resumed.",
        "다시 시작할 때까지 실행 시각을 그냥 지나가게 합니다.",
    ),
    "cli.schedules.resume": Text(
        "Go on with the next moment.", "다음 실행 시각부터 다시 실행합니다."
    ),
    "cli.schedules.trigger": Text(
        "Run it now, by the same lock; write the task's id.",
        "같은 잠금으로 지금 실행하고 작업 ID를 씁니다.",
    ),
    "cli.schedules.remove": Text(
        "Forget a schedule and what became of its moments.",
        "일정과 그 발생 기록을 지웁니다.",
    ),
    "cli.schedules.occurrences": Text(
        "Show what became of each due moment.", "실행 시각마다 어떻게 되었는지 보여 줍니다."
    ),
    "cli.schedules.keep": Text("Keep the schedule {name}?", "일정 {name}을(를) 저장하시겠습니까?"),
    "cli.schedules.added": Text("Added the schedule {name}.", "일정 {name}을(를) 추가했습니다."),
    "cli.schedules.removed": Text("Removed the schedule {name}.", "일정 {name}을(를) 지웠습니다."),
    "cli.schedules.now_paused": Text(
        "The schedule {name} is paused.", "일정 {name}을(를) 일시 중지했습니다."
    ),
    "cli.schedules.now_active": Text(
        "The schedule {name} goes on; it is due next at {next}.",
        "일정 {name}을(를) 다시 시작했습니다. 다음 실행 시각: {next}.",
    ),
    "cli.schedules.none": Text(
        "There are no schedules. Add one: zscrape schedules add NAME SCRIPT --cron '0 3 * * *'",
        "일정이 없습니다. 추가하기: zscrape schedules add NAME SCRIPT --cron '0 3 * * *'",
    ),
    "cli.schedules.no_occurrences": Text("Nothing was due yet.", "아직 실행할 시각이 없었습니다."),
    "cli.schedules.active": Text("active", "동작 중"),
    "cli.schedules.paused": Text("paused", "일시 중지"),
    "cli.schedules.paused_failures": Text("paused after failures", "실패로 일시 중지"),
    "cli.schedules.damaged": Text("damaged", "손상됨"),
    "cli.schedules.weekdays": Text("Mon Tue Wed Thu Fri Sat Sun", "월 화 수 목 금 토 일"),
    "cli.locks": Text(
        "See who holds which lock, and break one.", "누가 어떤 잠금을 쥐고 있는지 보고 풉니다."
    ),
    "cli.locks.list": Text(
        "Show who holds which key, and for how long.",
        "누가 어떤 키를 얼마나 쥐고 있는지 보여 줍니다.",
    ),
    "cli.locks.break": Text(
        "End the task that holds a key, so that another may have it.",
        "키를 쥔 작업을 끝내 다른 작업이 쓸 수 있게 합니다.",
    ),
    "cli.locks.none": Text("Nobody holds a lock.", "쥐고 있는 잠금이 없습니다."),
    "cli.locks.broken": Text(
        "The lock {name} is free; task {holder} was ended.",
        "잠금 {name}이(가) 풀렸습니다. 작업 {holder}을(를) 끝냈습니다.",
    ),
    "cli.locks.breaking": Text(
        "Task {holder} was told to end; the lock {name} is free as soon as its attempt is over.",
        "작업 {holder}에 종료를 알렸습니다. 그 시도가 끝나는 대로 잠금 {name}이(가) 풀립니다.",
    ),
    "cli.option.cron": Text(
        "Cron expression: five fields, six with seconds first, or @daily and the like.",
        "cron 식: 다섯 필드, 초를 앞에 둔 여섯 필드, 또는 @daily와 같은 줄임 표기.",
    ),
    "cli.option.every": Text(
        "Interval in seconds, or as 90s, 5m, 1h30m, 2d.",
        "초 단위 간격, 또는 90s, 5m, 1h30m, 2d와 같은 값.",
    ),
    "cli.option.zone": Text(
        "Time zone of its clocks, such as Asia/Seoul; UTC without it.",
        "시각을 따지는 시간대(예: Asia/Seoul). 지정하지 않으면 UTC입니다.",
    ),
    "cli.option.jitter": Text(
        "Up to so many seconds later, another time for each moment.",
        "최대 이 초만큼 늦춥니다. 시각마다 다르게 정해집니다.",
    ),
    "cli.option.hours": Text(
        "Only within these hours, such as 09:00-18:00; may be given again.",
        "이 시간대 안에서만 실행합니다(예: 09:00-18:00). 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.start": Text("Not before this moment.", "이 시각 전에는 실행하지 않습니다."),
    "cli.option.end": Text("Not after this moment.", "이 시각 뒤에는 실행하지 않습니다."),
    "cli.option.overlap": Text(
        "What to do while the last task still holds the lock; skip without it.",
        "앞 작업이 아직 잠금을 쥐고 있을 때의 동작. 지정하지 않으면 skip입니다.",
    ),
    "cli.option.misfire": Text(
        "What to do about moments that were missed; run_last without it.",
        "놓친 시각의 처리 방법. 지정하지 않으면 run_last입니다.",
    ),
    "cli.option.misfire_window": Text(
        "How many seconds old a missed moment may be that is made up for.",
        "놓친 시각을 나중에 실행할 수 있는 최대 시간(초).",
    ),
    "cli.option.pause_on_failure": Text(
        "Pause it after so many failures in a row.", "이 횟수만큼 잇달아 실패하면 일시 중지합니다."
    ),
    "cli.option.paused": Text("Add it paused.", "일시 중지된 상태로 추가합니다."),
    "cli.option.priority": Text(
        "Priority of its tasks, -100 to 100; higher comes first.",
        "작업의 우선순위, -100에서 100. 높을수록 먼저 실행합니다.",
    ),
    "cli.option.task_tag": Text(
        "Tag that a worker must have; may be given again.",
        "워커에 있어야 하는 태그. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.lock_key": Text(
        "Key of its lock, with {{parameter}} placeholders; one of its own without it.",
        "잠금의 키. {{매개변수}} 자리 표시자를 쓸 수 있습니다. 지정하지 않으면 일정 자신의 키를 씁니다.",
    ),
    "cli.option.yes": Text("Do not ask.", "묻지 않습니다."),
    "cli.option.dry_run_schedule": Text(
        "Show the next ten moments and keep nothing.",
        "다음 실행 시각 열 개만 보여 주고 저장하지 않습니다.",
    ),
    "cli.option.script_schedules": Text("Only schedules of this script.", "이 스크립트의 일정만."),
    "cli.option.occurrence_status": Text("Only moments of which this became.", "이렇게 된 시각만."),
    "cli.option.lock_prefix": Text("Only keys that begin like this.", "이렇게 시작하는 키만."),
    "cli.option.force_lock": Text(
        "Free the key at once, although the attempt may still run for a moment.",
        "시도가 잠시 더 실행될 수 있어도 키를 바로 풉니다.",
    ),
    "cli.column.next": Text("next", "다음 실행"),
    "cli.column.weekday": Text("day", "요일"),
    "cli.column.when": Text("when", "주기"),
    "cli.column.zone": Text("zone", "시간대"),
    "cli.column.due": Text("due", "예정 시각"),
    "cli.column.holder": Text("holder", "보유 작업"),
    "cli.column.waiting": Text("waiting", "대기"),
    "cli.fact.id": Text("id", "ID"),
    "cli.fact.cron": Text("cron", "cron 식"),
    "cli.fact.interval": Text("every (s)", "간격(초)"),
    "cli.fact.timezone": Text("zone", "시간대"),
    "cli.fact.jitter": Text("jitter (s)", "지터(초)"),
    "cli.fact.hours": Text("hours", "허용 시간대"),
    "cli.fact.start": Text("start", "시작"),
    "cli.fact.end": Text("end", "끝"),
    "cli.fact.overlap": Text("overlap", "겹침 처리"),
    "cli.fact.misfire": Text("misfire", "놓친 시각"),
    "cli.fact.misfire_window": Text("misfire window (s)", "놓친 시각 허용(초)"),
    "cli.fact.pause_on_failure": Text("pause on failures", "실패 시 중지"),
    "cli.fact.failure_count": Text("failures in a row", "연속 실패"),
    "cli.fact.paused": Text("paused", "일시 중지"),
    "cli.fact.pause_reason": Text("paused because of", "중지 사유"),
    "cli.fact.updated_at": Text("changed", "변경"),
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
        "What was kept of the schedule {name} is damaged, so it does not fire. Remove it and add it again.",
        "일정 {name}의 저장 내용이 손상되어 실행하지 않습니다. 지우고 다시 추가하십시오.",
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
