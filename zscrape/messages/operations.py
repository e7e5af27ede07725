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
}
