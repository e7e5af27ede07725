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
    "event.question_failed": Text(
        "A question of a running script could not be answered",
        "실행 중인 스크립트의 요청에 답하지 못했습니다",
    ),
}
