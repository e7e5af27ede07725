"""Words of the command line's options and of what it shows in tables."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

OPTIONS: Final[dict[str, Text]] = {
    # ---- options ---------------------------------------------------------------------
    "cli.option.json": Text(
        "JSON on standard output, and nothing else.", "표준 출력에 JSON만 씁니다."
    ),
    "cli.option.lang": Text("Language: ko or en.", "언어: ko 또는 en."),
    "cli.option.verbose": Text("Tell more.", "더 자세히 알려 줍니다."),
    "cli.option.version": Text("Show the version and leave.", "버전을 보여 주고 끝냅니다."),
    "cli.option.home": Text("Home folder (ZSCRAPE_HOME).", "홈 폴더(ZSCRAPE_HOME)."),
    "cli.option.config": Text("Settings file (ZSCRAPE_CONFIG).", "설정 파일(ZSCRAPE_CONFIG)."),
    "cli.option.url": Text(
        "Address of the gateway (ZSCRAPE_URL).", "게이트웨이 주소(ZSCRAPE_URL)."
    ),
    "cli.option.key": Text("API key (ZSCRAPE_API_KEY).", "API 키(ZSCRAPE_API_KEY)."),
    "cli.option.http": Text(
        "Address of the HTTP API, host:port; port 0 takes a free one.",
        "HTTP API 주소, host:port. 포트 0은 빈 포트를 씁니다.",
    ),
    "cli.option.link": Text(
        "Address that workers dial, tcp://host:port; port 0 takes a free one.",
        "워커가 접속하는 주소, tcp://host:port. 포트 0은 빈 포트를 씁니다.",
    ),
    "cli.option.scripts": Text(
        "Folder with scripts, each in a folder of its own; may be given again.",
        "스크립트가 각자의 폴더로 들어 있는 폴더. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.insecure": Text(
        "Answer HTTP beyond this machine although it is not encrypted.",
        "HTTP가 암호화되지 않았어도 이 컴퓨터 밖의 접속을 받습니다.",
    ),
    "cli.option.join": Text(
        "What `zscrape token create` prints, or the link's address of a gateway with the same home.",
        "`zscrape token create`가 출력한 토큰, 또는 홈이 같은 게이트웨이의 링크 주소.",
    ),
    "cli.option.token_name": Text("A name to know the token by.", "토큰을 구별할 이름."),
    "cli.option.prepare_address": Text(
        "Where workers will dial a gateway: tcp://host:port; again for each gateway.",
        "워커가 접속할 게이트웨이 주소(tcp://호스트:포트). 게이트웨이마다 반복합니다.",
    ),
    "cli.option.is_ready": Text(
        "Ask for more: the gateway takes tasks, the worker has joined a gateway.",
        "더 엄격하게 확인합니다: 게이트웨이가 작업을 받고, 워커가 게이트웨이에 합류해 있어야 합니다.",
    ),
    "cli.option.token_uses": Text(
        "How many workers may join by it; any number.",
        "합류할 수 있는 워커 수. 기본값은 제한 없음.",
    ),
    "cli.option.token_expires_in": Text(
        "How long it lets workers join: 30m, 12h, 7d, never; 1d.",
        "합류할 수 있는 기간: 30m, 12h, 7d, never. 기본값은 1d.",
    ),
    "cli.option.token_address": Text(
        "What workers are to dial, tcp://host:port; may be given again.",
        "워커가 접속할 주소, tcp://host:port. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.key_overlap": Text(
        "How long the old key still serves: 0s, 12h, 7d; 1d.",
        "이전 키를 계속 쓸 기간: 0s, 12h, 7d. 기본값은 1d.",
    ),
    "cli.option.slots": Text(
        "How many attempts may run at once; the number of CPUs.",
        "동시에 실행할 시도의 수. 기본값은 CPU 수입니다.",
    ),
    "cli.option.tag": Text(
        "Tag that scripts may require; may be given again.",
        "스크립트가 요구할 수 있는 태그. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.network": Text(
        "Which addresses scripts may reach at most: public, any or none.",
        "스크립트가 접속할 수 있는 주소의 범위: public, any, none.",
    ),
    "cli.option.network_allow": Text(
        "Network that public has besides, such as 10.20.0.0/16; may be given again.",
        "public에 더해 허용할 네트워크(예: 10.20.0.0/16). 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.param": Text(
        "Parameter key=value, or @file.json with many.",
        "매개변수 key=value, 또는 여러 개가 든 @file.json.",
    ),
    "cli.option.detach": Text(
        "Do not wait; write the task's id.", "기다리지 않고 작업 ID만 씁니다."
    ),
    "cli.option.follow": Text(
        "Show logs and items as they come.", "로그와 항목을 나오는 대로 보여 줍니다."
    ),
    "cli.option.follow_logs": Text(
        "Go on until the task ends.", "작업이 끝날 때까지 계속 보여 줍니다."
    ),
    "cli.option.timeout": Text(
        "Seconds for the whole task: waiting, preparing and running.",
        "대기, 준비, 실행을 합친 작업 전체의 제한 시간(초).",
    ),
    "cli.option.max_age": Text(
        "Take the answer of an equal task that ended at most so many seconds ago, if there is one.",
        "이 시간(초) 안에 끝난 같은 작업이 있으면 새로 실행하지 않고 그 결과를 씁니다.",
    ),
    "cli.option.output": Text(
        "Write the data to a file: .json, .jsonl or .csv.",
        "데이터를 파일에 씁니다: .json, .jsonl, .csv.",
    ),
    "cli.option.artifacts": Text(
        "Write the files that the script saved to this folder.",
        "스크립트가 저장한 파일을 이 폴더에 씁니다.",
    ),
    "cli.option.status": Text(
        "Only tasks in this state; may be given again.",
        "이 상태의 작업만. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.script": Text("Only tasks of this script.", "이 스크립트의 작업만."),
    "cli.option.origin": Text(
        "Only tasks that came this way: scrape, run, task, batch, retry, schedule.",
        "이 경로로 들어온 작업만: scrape, run, task, batch, retry, schedule.",
    ),
    "cli.option.since": Text(
        "Only tasks since a span ago (2h) or a moment.", "이 기간(2h) 또는 시각 이후의 작업만."
    ),
    "cli.option.limit": Text("How many to show.", "보여 줄 개수."),
    "cli.option.cursor": Text("Where the last page ended.", "앞 페이지가 끝난 자리."),
    "cli.option.author": Text("Author of the script.", "스크립트 작성자."),
    "cli.option.template": Text(
        "What it begins as: a page by HTTP, a page in a browser, a JSON API, or a whole site.",
        "시작 형태: HTTP 페이지, 브라우저 페이지, JSON API, 사이트 전체.",
    ),
    "cli.option.browser": Text(
        "Run the samples that need Chromium as well.", "Chromium이 필요한 예제도 실행합니다."
    ),
    "cli.option.keep": Text(
        "Leave everything running until Ctrl-C.", "Ctrl-C를 누를 때까지 계속 실행합니다."
    ),
    "cli.option.shows_settings": Text(
        "Show the settings in effect and where each came from.",
        "적용된 설정과 그 출처를 보여 줍니다.",
    ),
    # ---- columns and facts -----------------------------------------------------------
    "cli.column.id": Text("id", "ID"),
    "cli.column.status": Text("status", "상태"),
    "cli.column.script": Text("script", "스크립트"),
    "cli.column.version": Text("version", "버전"),
    "cli.column.items": Text("items", "항목"),
    "cli.column.attempts": Text("attempts", "시도"),
    "cli.column.seconds": Text("seconds", "초"),
    "cli.column.age": Text("age", "경과"),
    "cli.column.error": Text("error", "오류"),
    "cli.column.name": Text("name", "이름"),
    "cli.column.description": Text("description", "설명"),
    "cli.column.repository": Text("repository", "저장소"),
    "cli.column.uses": Text("uses", "사용"),
    "cli.column.slots": Text("slots", "슬롯"),
    "cli.column.tags": Text("tags", "태그"),
    "cli.column.load": Text("load", "부하"),
    "cli.column.host": Text("host", "호스트"),
    "cli.column.python": Text("python", "파이썬"),
    "cli.column.zscrape": Text("zscrape", "zscrape"),
    "cli.column.heard": Text("heard", "마지막 신호"),
    "cli.column.check": Text("check", "점검"),
    "cli.column.detail": Text("detail", "내용"),
    "cli.column.setting": Text("setting", "설정"),
    "cli.column.value": Text("value", "값"),
    "cli.column.source": Text("source", "출처"),
    "cli.column.environment": Text("environment", "환경 변수"),
    "cli.fact.request_id": Text("id", "ID"),
    "cli.fact.status": Text("status", "상태"),
    "cli.fact.script_name": Text("script", "스크립트"),
    "cli.fact.version": Text("version", "버전"),
    "cli.fact.digest": Text("digest", "다이제스트"),
    "cli.fact.parameters": Text("parameters", "매개변수"),
    "cli.fact.priority": Text("priority", "우선순위"),
    "cli.fact.tags": Text("tags", "태그"),
    "cli.fact.lock_key": Text("lock", "잠금"),
    "cli.fact.timeout": Text("timeout (s)", "제한 시간(초)"),
    "cli.fact.origin": Text("came by", "들어온 경로"),
    "cli.fact.client": Text("client", "클라이언트"),
    "cli.fact.worker_id": Text("worker", "워커"),
    "cli.fact.attempts": Text("attempts", "시도"),
    "cli.fact.item_count": Text("items", "항목"),
    "cli.fact.queue_time": Text("waited (s)", "대기(초)"),
    "cli.fact.execution_time": Text("ran (s)", "실행(초)"),
    "cli.fact.created_at": Text("created", "생성"),
    "cli.fact.started_at": Text("started", "시작"),
    "cli.fact.finished_at": Text("finished", "종료"),
    "cli.fact.next_retry_at": Text("next try", "다음 시도"),
    "cli.fact.last_error": Text("last error", "마지막 오류"),
    "cli.fact.last_error_message": Text("what it said", "오류 내용"),
    "cli.fact.progress": Text("progress", "진행"),
    "cli.fact.artifact": Text("artifact", "산출물"),
}
