"""Words of the command line about questions to people."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

HANDOFFS: Final[dict[str, Text]] = {
    "cli.handoffs": Text(
        "See what running scripts ask people, and answer.",
        "실행 중인 스크립트가 사람에게 묻는 것을 보고 답합니다.",
    ),
    "cli.handoffs.list": Text(
        "Show what people are asked, newest first.", "사람 확인 요청을 최신순으로 보여 줍니다."
    ),
    "cli.handoffs.show": Text("Show one question.", "확인 요청 하나를 보여 줍니다."),
    "cli.handoffs.answer": Text(
        "Answer a question; what is not given by -p is asked for on a terminal.",
        "확인 요청에 답합니다. -p로 주지 않은 항목은 터미널에서 묻습니다.",
    ),
    "cli.handoffs.dismiss": Text(
        "Close a question without an answer; the script is told so.",
        "확인 요청을 답 없이 닫고 스크립트에 알립니다.",
    ),
    "cli.option.handoff_status": Text(
        "Only questions in this state; all for any.", "이 상태의 요청만. all은 모두입니다."
    ),
    "cli.option.handoff_task": Text("Only questions of this task.", "이 작업의 요청만."),
    "cli.option.handoff_image": Text(
        "Write the picture to this folder.", "그림을 이 폴더에 저장합니다."
    ),
    "cli.option.handoff_field": Text(
        "A field's answer: name=value, or @file.json; may be repeated.",
        "항목의 답: 이름=값 또는 @파일.json. 여러 번 쓸 수 있습니다.",
    ),
    "cli.handoff.open": Text("open", "답 대기"),
    "cli.handoff.answered": Text("answered", "답함"),
    "cli.handoff.dismissed": Text("dismissed", "답 없이 닫음"),
    "cli.handoff.expired": Text("expired", "시간 초과"),
    "cli.handoff.gone": Text("no longer needed", "더 필요 없음"),
    "cli.column.question": Text("QUESTION", "질문"),
    "cli.handoffs.none": Text("Nobody is asked anything.", "사람에게 묻는 것이 없습니다."),
    "cli.handoffs.told": Text(
        "{id} ({status}), of {script}, task {request_id}, until {expires}",
        "{id} ({status}), 스크립트 {script}, 작업 {request_id}, 기한 {expires}",
    ),
    "cli.handoffs.optional": Text("optional", "선택"),
    "cli.handoffs.image": Text(
        "There is a picture, {name}. Write it: zscrape handoffs show {id} --image FOLDER",
        "그림 {name}이(가) 있습니다. 저장하기: zscrape handoffs show {id} --image 폴더",
    ),
    "cli.handoffs.no_image": Text("{id} has no picture.", "{id}에는 그림이 없습니다."),
    "cli.handoffs.answered": Text(
        "Answered: task {request_id} goes on.", "답했습니다. 작업 {request_id}이(가) 이어집니다."
    ),
    "cli.handoffs.dismissed": Text(
        "Closed without an answer: task {request_id} is told.",
        "답 없이 닫았습니다. 작업 {request_id}에 알립니다.",
    ),
}
