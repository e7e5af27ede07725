"""Words of failure capsules and replays."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

CAPSULES: Final[dict[str, Text]] = {
    "capsule_unusable": Text(
        "This is no capsule that can be used: {reason}. Fetch one: zscrape tasks capsule REQUEST_ID",
        "쓸 수 있는 캡슐이 아닙니다: {reason}. 받기: zscrape tasks capsule 작업ID",
    ),
    "not_recorded": Text(
        "{method} {url} is not in the recording. Allow the network for what is missing with --live.",
        "{method} {url}은(는) 기록에 없습니다. 없는 것은 --live로 네트워크를 허용하십시오.",
    ),
    "cli.tasks.capsule": Text(
        "Write all that is known of a failed attempt to one archive.",
        "실패한 시도에 관해 남은 모든 것을 압축 파일 하나로 저장합니다.",
    ),
    "cli.option.capsule_output": Text(
        "Write it here; without it, to capsule-REQUEST_ID.zip.",
        "저장할 파일. 지정하지 않으면 capsule-작업ID.zip입니다.",
    ),
    "cli.option.capsule_attempt": Text(
        "Of this attempt; without it, of the last that failed.",
        "이 시도의 캡슐. 지정하지 않으면 마지막으로 실패한 시도입니다.",
    ),
    "cli.tasks.capsule_written": Text(
        "Written: {path}. Do it again here: zscrape run --replay {request_id}",
        "저장했습니다: {path}. 여기서 다시 실행하기: zscrape run --replay {request_id}",
    ),
    "cli.option.replay": Text(
        "Do a failed attempt again, here, on what sites answered then: a task's id, or a capsule's file.",
        "실패한 시도를 그때의 사이트 응답으로 이 컴퓨터에서 다시 실행합니다. 작업 ID 또는 캡슐 파일.",
    ),
    "cli.option.live": Text(
        "With --replay: ask the network for what was not recorded.",
        "--replay와 함께: 기록에 없는 것은 네트워크에 요청합니다.",
    ),
    "cli.usage.replay_name": Text(
        "--replay runs here: give a path to take an edited script, or no target.",
        "--replay는 이 컴퓨터에서 실행됩니다. 고친 스크립트를 쓰려면 경로를 주고, 아니면 대상을 빼십시오.",
    ),
    "cli.usage.replay_detach": Text(
        "--replay runs here and cannot be detached.",
        "--replay는 이 컴퓨터에서 실행되므로 --detach를 쓸 수 없습니다.",
    ),
    "cli.usage.live_alone": Text(
        "--live belongs to --replay.", "--live는 --replay와 함께 써야 합니다."
    ),
    "cli.run.replaying": Text(
        "Again: {script} of task {request_id}, recorded exchanges: {count}",
        "다시 실행: 작업 {request_id}의 {script}, 기록된 요청 {count}건",
    ),
    "cli.run.replay_other": Text(
        "This was another version of the script than then ({digest}).",
        "그때와 다른 버전의 스크립트입니다({digest}).",
    ),
    "cli.run.replay_blank": Text(
        "The capsule has these parameters blanked out; give them with -p: {names}",
        "캡슐에 가려진 매개변수가 있습니다. -p로 주십시오: {names}",
    ),
    "cli.run.replay_live": Text(
        "Requests that were not recorded went to the network: {count}",
        "기록에 없어 네트워크로 보낸 요청: {count}건",
    ),
}
