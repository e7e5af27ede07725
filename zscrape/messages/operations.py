"""Words of the operational verbs: their shared options, and what a run comes to."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

OPERATIONS: Final[dict[str, Text]] = {
    # ---- the standard ----------------------------------------------------------------
    "cli.option.limit_targets": Text("How many targets at most.", "처리할 대상의 최대 개수."),
    "cli.option.fail_fast": Text(
        "Begin no further target after the first failure.",
        "첫 실패 뒤에는 다음 대상을 시작하지 않습니다.",
    ),
    "cli.option.json_output": Text(
        "Write the summary to this file, as JSON.", "실행 요약을 이 파일에 JSON으로 씁니다."
    ),
    "cli.option.junit_output": Text(
        "Write a JUnit XML report to this file.", "JUnit XML 보고서를 이 파일에 씁니다."
    ),
    "cli.option.timeout_run": Text(
        "Seconds for the whole run; what was not begun by then stays undone.",
        "전체 실행에 쓸 시간(초). 그때까지 시작하지 않은 대상은 처리하지 않습니다.",
    ),
    "cli.option.max_failed": Text(
        "Gate: more failed targets than this end with exit code 1.",
        "품질 게이트: 실패한 대상이 이보다 많으면 종료 코드 1로 끝납니다.",
    ),
    "cli.option.max_retry_ratio": Text(
        "Gate: a larger share of targets with more than one try ends with exit code 1, in per cent.",
        "품질 게이트: 재시도한 대상의 비율(%)이 이보다 크면 종료 코드 1로 끝납니다.",
    ),
    "cli.option.alert_webhook": Text(
        "POST a note to this address when a gate is not passed or the run fails.",
        "게이트를 통과하지 못하거나 실행이 실패하면 이 주소로 알림을 POST합니다.",
    ),
    # ---- what a run comes to ---------------------------------------------------------
    "cli.summary": Text(
        "Run {run_id}: {succeeded_count} of {count} succeeded, {failed_count} failed, {skipped_count} skipped, in {seconds} s.",
        "실행 {run_id}: 대상 {count}개 중 성공 {succeeded_count}개, 실패 {failed_count}개, 건너뜀 {skipped_count}개({seconds}초).",
    ),
    "summary.late": Text(
        "The time limit of {limit_s:g} s has passed; targets that were not begun stay undone.",
        "제한 시간 {limit_s:g}초가 지났습니다. 시작하지 않은 대상은 처리하지 않았습니다.",
    ),
    "summary.limited": Text(
        "{limit} of {count} targets were taken (--limit).",
        "대상 {count}개 중 {limit}개만 처리했습니다(--limit).",
    ),
    "summary.interrupted": Text("The run was interrupted.", "실행이 중단되었습니다."),
    "summary.done_before": Text("done before", "이미 완료됨"),
    "summary.given_twice": Text("given twice", "입력에 두 번 있음"),
    "summary.dry_run": Text("dry run", "모의 실행"),
    "summary.there_already": Text("there already", "이미 있음"),
    "summary.breach": Text(
        "Gate {gate}: {value} is more than {limit}.",
        "게이트 {gate}: {value}이(가) 한도 {limit}을(를) 넘었습니다.",
    ),
    "summary.alert": Text(
        "zscrape {script}: run {run_id} needs a look. {failed_count} of {count} targets failed. {reasons}",
        "zscrape {script}: 실행 {run_id}을(를) 확인하십시오. 대상 {count}개 중 {failed_count}개가 실패했습니다. {reasons}",
    ),
    "summary.alert_failed": Text(
        "The alert could not be delivered: {reason}.", "알림을 보내지 못했습니다: {reason}."
    ),
    # ---- batch -----------------------------------------------------------------------
    "cli.batch": Text(
        "Run one task for each target of a file.\nExamples: zscrape batch price_watch targets.jsonl; zscrape batch price_watch shops.csv -p url={address} --output prices.xlsx; zscrape batch --resume 20260210T143001Z-8f1c",
        "파일에 있는 대상마다 작업을 하나씩 실행합니다.\n예: zscrape batch price_watch targets.jsonl, zscrape batch price_watch shops.csv -p url={address} --output prices.xlsx, zscrape batch --resume 20260210T143001Z-8f1c",
    ),
    "cli.option.batch_param": Text(
        "Parameter key=value, {field} standing for a field of the target; or @file.json. May be given again.",
        "매개변수 key=value. {field}는 대상의 필드로 바뀝니다. @file.json도 쓸 수 있습니다. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.format_targets": Text(
        "What TARGETS is: jsonl, csv or json; without it the ending or the first character says.",
        "TARGETS의 형식: jsonl, csv, json. 지정하지 않으면 확장자나 첫 글자로 판단합니다.",
    ),
    "cli.option.concurrency": Text(
        "How many tasks may be under way at once.", "동시에 진행할 작업의 최대 개수."
    ),
    "cli.option.pace": Text(
        "How fast tasks may begin: 5/s, 30/m, 1000/h.", "작업을 시작하는 속도: 5/s, 30/m, 1000/h."
    ),
    "cli.option.resume": Text(
        "Take up this run again: what has not succeeded yet is run, what has is left alone.",
        "이 실행을 이어서 합니다. 아직 성공하지 못한 대상만 실행합니다.",
    ),
    "cli.option.group": Text(
        "Only targets of this group; may be given again, or several with commas.",
        "이 그룹의 대상만 처리합니다. 여러 번 또는 쉼표로 여러 개를 지정할 수 있습니다.",
    ),
    "cli.option.group_by": Text(
        "The field that names a target's group.", "대상의 그룹이 적힌 필드."
    ),
    "cli.option.name_by": Text(
        "The field that names a target in reports; without it name, id or url.",
        "보고서에서 대상의 이름으로 쓸 필드. 지정하지 않으면 name, id, url을 씁니다.",
    ),
    "cli.option.batch_output": Text(
        "Collect what the tasks bring in this file: .jsonl, .csv, .xlsx or .parquet.",
        "작업이 가져온 것을 이 파일에 모읍니다: .jsonl, .csv, .xlsx, .parquet.",
    ),
    "cli.option.task_timeout": Text(
        "Seconds for each task, waiting included.",
        "작업 하나에 쓸 시간(초). 대기 시간도 포함합니다.",
    ),
    "cli.batch.no_targets": Text("There are no targets in it.", "대상이 하나도 없습니다."),
    "cli.batch.no_array": Text(
        "Expected an array of targets, or an object with `targets`.",
        "대상의 배열이거나 `targets`가 있는 객체여야 합니다.",
    ),
    "cli.batch.columns": Text(
        "Expected {count} columns, as in the first line.",
        "첫 줄과 같이 열이 {count}개여야 합니다.",
    ),
    "cli.batch.no_field": Text(
        "there is no field {name} (it has: {fields}); say where it comes from: -p {name}={{field}}",
        "필드 {name}이(가) 없습니다(있는 필드: {fields}). 어디에서 가져올지 지정하십시오: -p {name}={{field}}",
    ),
    "cli.batch.no_group": Text(
        "No target has the group {groups}. There are: {known}",
        "그룹이 {groups}인 대상이 없습니다. 있는 그룹: {known}",
    ),
    "cli.batch.no_run": Text(
        "There is no run {run_id} that can be taken up in {folder}.",
        "{folder}에 이어서 할 수 있는 실행 {run_id}이(가) 없습니다.",
    ),
    "cli.batch.other_input": Text(
        "Run {run_id} was begun with another script or other targets. Leave SCRIPT and TARGETS out to take it up as it was.",
        "실행 {run_id}은(는) 다른 스크립트나 다른 대상으로 시작했습니다. 그대로 이어서 하려면 SCRIPT와 TARGETS를 빼십시오.",
    ),
    "cli.batch.no_parquet": Text(
        "Parquet needs pyarrow: install zscrape[parquet].",
        "Parquet 형식에는 pyarrow가 필요합니다. zscrape[parquet]을 설치하십시오.",
    ),
    "cli.batch.not_cancelled": Text(
        "{count} tasks could not be cancelled and may go on: {reason}",
        "작업 {count}개를 취소하지 못해 계속될 수 있습니다: {reason}",
    ),
    "cli.batch.dry": Text(
        "{count} tasks of {script} would be run.", "{script} 작업 {count}개를 실행하게 됩니다."
    ),
    "cli.batch.written": Text("Written: {path} ({count} rows)", "저장했습니다: {path}({count}행)"),
    "cli.batch.resume": Text(
        "What is left can be taken up: zscrape batch --resume {run_id}",
        "남은 대상은 이어서 할 수 있습니다: zscrape batch --resume {run_id}",
    ),
    "cli.batch.progress": Text(
        "{flying} under way, {failed} failed", "진행 중 {flying}개, 실패 {failed}개"
    ),
    "cli.usage.batch": Text(
        "Give SCRIPT and TARGETS, or --resume RUN_ID.",
        "SCRIPT와 TARGETS를 주거나 --resume RUN_ID를 지정하십시오.",
    ),
    "cli.usage.resume": Text(
        "{option} belongs to the tasks of a run and cannot be changed by --resume.",
        "{option}은(는) 실행의 작업에 속하므로 --resume으로 바꿀 수 없습니다.",
    ),
    "cli.usage.pace": Text(
        "--pace {given}: expected a rate such as 5/s, 30/m or 1000/h.",
        "--pace {given}: 5/s, 30/m, 1000/h 같은 속도여야 합니다.",
    ),
    "cli.more": Text("... and {count} more.", "... 외 {count}개."),
    "cli.column.group": Text("group", "그룹"),
    "cli.column.parameters": Text("parameters", "매개변수"),
    # ---- dead letters ----------------------------------------------------------------
    "cli.option.rounds": Text(
        "How many rounds: what fails again is done again in the next one. More than one waits.",
        "라운드 수. 다시 실패한 것은 다음 라운드에서 다시 실행합니다. 2 이상이면 끝날 때까지 기다립니다.",
    ),
    "cli.option.wait_retried": Text(
        "Wait for the new tasks; a target has succeeded when its task has.",
        "새 작업이 끝날 때까지 기다립니다. 작업이 성공해야 대상도 성공한 것으로 봅니다.",
    ),
    "cli.option.group_letters": Text(
        "Only dead letters of this group of a batch; may be given again, or several with commas.",
        "batch의 이 그룹에 속한 데드 레터만. 여러 번 또는 쉼표로 여러 개를 지정할 수 있습니다.",
    ),
    "cli.deadletters.pending": Text(
        "{count} of the new tasks have not ended yet.",
        "새 작업 중 {count}개가 아직 끝나지 않았습니다.",
    ),
    # ---- smoke -----------------------------------------------------------------------
    "cli.smoke": Text(
        "Check a running installation, case by case; anything but 0 should stop a deployment.",
        "실행 중인 설치를 항목별로 점검합니다. 종료 코드가 0이 아니면 배포를 멈추십시오.",
    ),
    "cli.option.case": Text(
        "Only this case; may be given again.", "이 항목만 점검합니다. 여러 번 지정할 수 있습니다."
    ),
    "cli.option.probe": Text(
        "A deployed copy of the probe to run (zscrape seed makes one).",
        "실행할 점검용 스크립트의 이름(zscrape seed로 만들 수 있습니다).",
    ),
    "cli.option.probe_folder": Text(
        "A folder that the gateway reads scripts from; a probe is put there and removed again.",
        "게이트웨이가 스크립트를 읽는 폴더. 점검용 스크립트를 넣었다가 지웁니다.",
    ),
    "cli.option.keep_test_data": Text(
        "Leave what the cases have made, to be looked at.",
        "점검하며 만든 것을 지우지 않고 남겨 둡니다.",
    ),
    "cli.smoke.no_folder": Text(
        "no folder of scripts is known on this machine",
        "이 컴퓨터에서 스크립트 폴더를 찾지 못했습니다",
    ),
    "cli.smoke.not_seen": Text(
        "the gateway does not see scripts in {folder} ({reason})",
        "게이트웨이가 {folder}의 스크립트를 보지 못합니다({reason})",
    ),
    "cli.smoke.absent": Text(
        "This installation has no {part}.", "이 설치에는 {part}이(가) 없습니다."
    ),
    "cli.smoke.kept": Text(
        "Test data was kept: {script}", "점검에 쓴 데이터를 남겨 두었습니다: {script}"
    ),
    "cli.smoke.health": Text("health and readiness", "상태와 준비 여부"),
    "cli.smoke.authentication": Text("keys are asked for", "인증"),
    "cli.smoke.scopes": Text("keys can do what they may, no more", "API 키의 권한 범위"),
    "cli.smoke.workers": Text("a worker is there", "워커 연결"),
    "cli.smoke.repositories": Text("a script of each repository", "저장소별 스크립트"),
    "cli.smoke.run": Text("a script runs", "스크립트 실행"),
    "cli.smoke.routing": Text("tasks reach every worker", "모든 워커로 작업 배정"),
    "cli.smoke.events": Text("a task's events are streamed", "작업 이벤트 스트림"),
    "cli.smoke.limit_time": Text("the time limit holds", "시간 제한"),
    "cli.smoke.limit_memory": Text("the memory limit holds", "메모리 제한"),
    "cli.smoke.schedule": Text("a schedule fires", "일정 실행"),
    "cli.smoke.metrics": Text("figures for Prometheus", "Prometheus 지표"),
    "cli.smoke.cleanup": Text("cleaning up", "정리"),
    # ---- seed ------------------------------------------------------------------------
    "cli.seed": Text(
        "Make test data: scripts, tasks, dead letters, a paused schedule; the same call again adds nothing.",
        "테스트 데이터를 만듭니다: 스크립트, 작업, 데드 레터, 일시 중지된 일정. 다시 실행해도 늘어나지 않습니다.",
    ),
    "cli.option.profile": Text(
        "How much: minimal, or full with failures, dead letters and a schedule.",
        "데이터의 양: minimal, 또는 실패와 데드 레터와 일정까지 있는 full.",
    ),
    "cli.option.prefix": Text(
        "Every name begins with it; --cleanup removes what does.",
        "모든 이름의 접두어. --cleanup은 이 접두어가 붙은 것을 지웁니다.",
    ),
    "cli.option.seed_count": Text("Tasks of each script.", "스크립트마다 만들 작업의 수."),
    "cli.option.cleanup": Text(
        "Remove what was made; tasks stay in the history until its time is over.",
        "만든 것을 지웁니다. 작업은 보존 기간이 끝날 때까지 이력에 남습니다.",
    ),
    "cli.option.seed_folder": Text(
        "A folder that the gateway reads scripts from.", "게이트웨이가 스크립트를 읽는 폴더."
    ),
    "cli.usage.prefix": Text(
        "--prefix {given}: expected 3 to 31 of a-z, 0-9, _ and -, the first a letter or a digit.",
        "--prefix {given}: a-z, 0-9, _, -로 된 3~31자이고 첫 글자는 영문자나 숫자여야 합니다.",
    ),
    "cli.seed.no_folder": Text(
        "No folder of scripts is known on this machine. Name the one that the gateway reads.",
        "이 컴퓨터에서 스크립트 폴더를 찾지 못했습니다. 게이트웨이가 읽는 폴더를 지정하십시오.",
    ),
    "cli.seed.foreign": Text(
        "It is there and was not made by zscrape seed. Choose another --prefix.",
        "이미 있으며 zscrape seed가 만든 것이 아닙니다. 다른 --prefix를 지정하십시오.",
    ),
    "cli.seed.succeeded": Text("done", "완료"),
    "cli.seed.skipped": Text("skipped", "건너뜀"),
    "cli.seed.failed": Text("failed", "실패"),
}
