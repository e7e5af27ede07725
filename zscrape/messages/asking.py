"""Words for running scripts that ask the gateway."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

ASKING: Final[dict[str, Text]] = {
    "asked.unsupported": Text(
        "This gateway does not answer {kind}; it may be older than the worker.",
        "이 게이트웨이는 {kind} 요청에 답하지 않습니다. 워커보다 오래된 버전일 수 있습니다.",
    ),
    "asked.local": Text(
        "There is no gateway here to answer {kind}. Run the script by its name on the cluster.",
        "여기에는 {kind} 요청에 답할 게이트웨이가 없습니다. 클러스터에서 이름으로 실행하십시오.",
    ),
    "asked.internal": Text(
        "The gateway failed to answer; its log says why.",
        "게이트웨이가 답하지 못했습니다. 원인은 게이트웨이 로그에 있습니다.",
    ),
    "handoff_closed": Text(
        "The question {id} is closed ({status}): it can be answered no more.",
        "확인 요청 {id}은(는) 이미 닫혀({status}) 더 이상 답할 수 없습니다.",
    ),
    "handoff_invalid": Text(
        "This is no question to a person: {reason}",
        "사람에게 물을 수 있는 요청이 아닙니다: {reason}",
    ),
    "handoff_expired": Text(
        "Nobody has answered within {limit_s:g} s.", "{limit_s:g}초 안에 아무도 답하지 않았습니다."
    ),
    "handoff_dismissed": Text(
        "The question was dismissed without an answer.", "확인 요청이 답 없이 닫혔습니다."
    ),
    "too_many_handoffs": Text(
        "An attempt may ask people {limit_count} times, and this one has.",
        "한 시도는 사람에게 {limit_count}번까지 물을 수 있는데 이미 그만큼 물었습니다.",
    ),
    "http.answer_unknown": Text(
        "{pointer}: {name} was not asked for. Asked for: {known}.",
        "{pointer}: {name}은(는) 묻지 않은 항목입니다. 물은 항목: {known}.",
    ),
    "http.answer_missing": Text(
        "{pointer}: an answer is needed here.", "{pointer}: 답이 필요합니다."
    ),
    "http.answer_choice": Text(
        "{pointer}: choose one of: {known}.", "{pointer}: 다음 중에서 고르십시오: {known}."
    ),
    "event.question_failed": Text(
        "A question of a running script could not be answered",
        "실행 중인 스크립트의 요청에 답하지 못했습니다",
    ),
}
