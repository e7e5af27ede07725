"""Words of the command line about many tasks: retries, dead letters, cancels, exports."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

TASKS: Final[dict[str, Text]] = {
    # ---- verbs -----------------------------------------------------------------------
    "cli.tasks.retry": Text(
        "Do ended tasks again: new tasks, the same pin and parameters.",
        "끝난 작업을 다시 실행합니다. 고정 버전과 매개변수가 같은 새 작업이 됩니다.",
    ),
    "cli.tasks.export": Text(
        "Write the history to a file or to standard output, errors in full.",
        "작업 이력을 오류 전문과 함께 파일이나 표준 출력에 씁니다.",
    ),
    "cli.deadletters": Text(
        "Look at tasks whose tries are used up, retry or drop them.",
        "재시도를 모두 소진한 작업을 살펴보고 다시 실행하거나 목록에서 뺍니다.",
    ),
    "cli.deadletters.list": Text(
        "Show the dead letters, newest first.", "데드 레터를 최신순으로 보여 줍니다."
    ),
    "cli.deadletters.retry": Text(
        "Do dead letters again: new tasks, the same pin and parameters.",
        "데드 레터를 다시 실행합니다. 고정 버전과 매개변수가 같은 새 작업이 됩니다.",
    ),
    "cli.deadletters.drop": Text(
        "Take tasks from the dead letters; they stay in the history.",
        "작업을 데드 레터에서 뺍니다. 이력에는 그대로 남습니다.",
    ),
    # ---- options ---------------------------------------------------------------------
    "cli.option.reason": Text("Only dead letters with this reason.", "이 사유의 데드 레터만."),
    "cli.option.export_format": Text(
        "jsonl or csv; without it the file's ending says, else jsonl.",
        "jsonl 또는 csv. 지정하지 않으면 파일 확장자를 따르고, 없으면 jsonl입니다.",
    ),
    "cli.option.export_output": Text("Write to this file.", "이 파일에 씁니다."),
    "cli.option.export_limit": Text(
        "How many at most; all without it.", "최대 개수. 지정하지 않으면 모두 씁니다."
    ),
    "cli.option.export_data": Text(
        "What the tasks brought, too.", "작업이 가져온 데이터도 함께 씁니다."
    ),
    "cli.option.all_letters": Text("All dead letters.", "모든 데드 레터."),
    "cli.option.all_live": Text("All tasks that have not ended.", "아직 끝나지 않은 모든 작업."),
    "cli.option.limit_changed": Text(
        "How many at most; the newest first.", "최대 개수. 최신 것부터 처리합니다."
    ),
    # ---- answers ---------------------------------------------------------------------
    "cli.usage.nothing_selected": Text(
        "Nothing is selected: give ids, a filter, or --all.",
        "선택된 것이 없습니다. ID나 필터를 주거나 --all을 지정하십시오.",
    ),
    "cli.usage.ids_or_filter": Text(
        "Give either ids or filters, not both.", "ID와 필터 가운데 하나만 지정하십시오."
    ),
    "cli.tasks.retried": Text("{request_id}: {retried_as}", "{request_id}: {retried_as}"),
    "cli.tasks.cancelled_count": Text("Cancelled: {count}", "취소한 작업: {count}개"),
    "cli.export.done": Text("Written: {path}", "저장했습니다: {path}"),
    "cli.deadletters.none": Text(
        "No dead letters. What failed without retries: zscrape tasks list --status failed",
        "데드 레터가 없습니다. 재시도 없이 실패한 작업 보기: zscrape tasks list --status failed",
    ),
    "cli.deadletters.retried": Text(
        "Retried: {count}, failed: {failed_count}",
        "다시 실행: {count}개, 실패: {failed_count}개",
    ),
    "cli.deadletters.dropped": Text(
        "Dropped: {count}, failed: {failed_count}", "목록에서 뺌: {count}개, 실패: {failed_count}개"
    ),
    "cli.deadletters.dry.retried": Text(
        "{count} would be retried.", "{count}개를 다시 실행하게 됩니다."
    ),
    "cli.deadletters.dry.dropped": Text(
        "{count} would be dropped.", "{count}개를 목록에서 빼게 됩니다."
    ),
    # ---- columns and facts -----------------------------------------------------------
    "cli.column.reason": Text("reason", "사유"),
    "cli.column.retries": Text("retries", "재시도"),
    "cli.fact.retry_count": Text("retries", "재시도"),
    "cli.fact.dropped_reason": Text("dead letter", "데드 레터"),
    "cli.fact.retry_of": Text("retry of", "원래 작업"),
    "cli.fact.retried_as": Text("retried as", "다시 실행한 작업"),
}
