"""Words of the command line."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text
from zscrape.messages.doctor import DOCTOR
from zscrape.messages.options import OPTIONS
from zscrape.messages.publishing import PUBLISHING
from zscrape.messages.services import SERVICES

CLI: Final[dict[str, Text]] = {
    **OPTIONS,
    **DOCTOR,
    **PUBLISHING,
    **SERVICES,
    # ---- frame -----------------------------------------------------------------------
    "cli.usage": Text("Usage:", "사용법:"),
    "cli.options": Text("Options", "옵션"),
    "cli.verbs": Text("Verbs", "명령"),
    "cli.help": Text("Show this and leave.", "이 도움말을 보여 주고 끝냅니다."),
    "cli.error": Text("error:", "오류:"),
    "cli.interrupted": Text("Interrupted.", "중단되었습니다."),
    "cli.internal": Text(
        "zscrape itself failed: {kind}: {reason}. Please report it with what follows.",
        "zscrape 내부 오류입니다: {kind}: {reason}. 아래 내용과 함께 알려 주십시오.",
    ),
    "cli.usage.hint": Text("Help: {command} --help", "도움말: {command} --help"),
    "cli.usage.no_verb": Text("There is no verb {name}.", "{name} 명령이 없습니다."),
    "cli.usage.no_verb.nearest": Text(
        "There is no verb {name}. Did you mean {nearest}?",
        "{name} 명령이 없습니다. 혹시 {nearest}입니까?",
    ),
    "cli.usage.no_option": Text("There is no option {option}.", "{option} 옵션이 없습니다."),
    "cli.usage.no_option.nearest": Text(
        "There is no option {option}. Did you mean {nearest}?",
        "{option} 옵션이 없습니다. 혹시 {nearest}입니까?",
    ),
    "cli.usage.missing": Text("{name} is missing.", "{name}이(가) 빠졌습니다."),
    "cli.usage.bad": Text("{name}: {reason}", "{name}: {reason}"),
    "cli.usage.parameter": Text(
        "-p {given}: expected key=value, or @file.json.",
        "-p {given}: key=value 또는 @file.json 형식이어야 합니다.",
    ),
    "cli.usage.parameter_file": Text(
        "-p @{name} cannot be read: {reason}",
        "-p @{name} 파일을 읽을 수 없습니다: {reason}",
    ),
    "cli.usage.parameter_object": Text(
        "-p @{name}: the file must hold one JSON object.",
        "-p @{name}: 파일에는 JSON 객체 하나가 있어야 합니다.",
    ),
    "cli.usage.detach": Text(
        "--detach does not wait, so it goes with neither --follow nor --output.",
        "--detach는 기다리지 않으므로 --follow, --output과 함께 쓸 수 없습니다.",
    ),
    "cli.usage.detach_path": Text(
        "A path runs here and cannot be detached; give the name of a script on the cluster.",
        "경로는 이 컴퓨터에서 실행되므로 --detach를 쓸 수 없습니다. 클러스터의 스크립트 이름을 지정하십시오.",
    ),
    "cli.usage.max_age_path": Text(
        "A path always runs: --max-age is for the name of a script on the cluster.",
        "경로는 항상 새로 실행됩니다. --max-age는 클러스터의 스크립트 이름에만 쓸 수 있습니다.",
    ),
    "cli.usage.since": Text(
        "--since {given}: expected a span (30s, 15m, 2h, 7d) or a moment (2026-02-10T14:30:00Z).",
        "--since {given}: 기간(30s, 15m, 2h, 7d) 또는 시각(2026-02-10T14:30:00Z)이어야 합니다.",
    ),
    # ---- verbs -----------------------------------------------------------------------
    "cli.zscrape": Text(
        "Run versioned scraping scripts on a cluster without a broker.\nStart with: zscrape demo",
        "브로커 없는 클러스터에서 버전 관리되는 스크래핑 스크립트를 실행합니다.\n먼저 해 보십시오: zscrape demo",
    ),
    "cli.demo": Text(
        "See it work: a gateway, a worker and a small site, offline.",
        "동작을 직접 봅니다. 게이트웨이, 워커, 작은 사이트를 오프라인으로 실행합니다.",
    ),
    "cli.up": Text(
        "Start a gateway and one worker in this terminal.",
        "이 터미널에서 게이트웨이와 워커 하나를 시작합니다.",
    ),
    "cli.gateway": Text("Start a gateway.", "게이트웨이를 시작합니다."),
    "cli.worker": Text(
        "Start a worker that joins a gateway.", "게이트웨이에 합류하는 워커를 시작합니다."
    ),
    "cli.run": Text(
        "Run a script: a path here, a name on the cluster.\nExamples: zscrape run ./price_watch -p url=https://example.com; zscrape run price_watch@^1.2 -p @targets.json",
        "스크립트를 실행합니다. 경로는 이 컴퓨터에서, 이름은 클러스터에서 실행합니다.\n예: zscrape run ./price_watch -p url=https://example.com, zscrape run price_watch@^1.2 -p @targets.json",
    ),
    "cli.tasks": Text("Look at tasks and end them.", "작업을 살펴보고 끝냅니다."),
    "cli.tasks.list": Text(
        "Show the history, newest first.", "작업 이력을 최신순으로 보여 줍니다."
    ),
    "cli.tasks.show": Text(
        "Show one task: what was asked, how it went, what it brought.",
        "작업 하나의 요청, 경과, 결과를 보여 줍니다.",
    ),
    "cli.tasks.logs": Text("Show what a task has logged.", "작업이 남긴 로그를 보여 줍니다."),
    "cli.tasks.cancel": Text(
        "End tasks, gracefully and then by force.",
        "작업을 끝냅니다. 먼저 정상 종료를 요청하고 그다음 강제로 끝냅니다.",
    ),
    "cli.tasks.explain": Text(
        "Tell why a task waits, or where it ran and why.",
        "작업이 기다리는 까닭이나 실행된 곳을 알려 줍니다.",
    ),
    "cli.scripts": Text(
        "List, make, check and publish scripts.", "스크립트를 나열하고 만들고 검사하고 게시합니다."
    ),
    "cli.scripts.list": Text(
        "Show the scripts that the gateway knows.", "게이트웨이가 아는 스크립트를 보여 줍니다."
    ),
    "cli.scripts.new": Text("Make the folder of a new script.", "새 스크립트 폴더를 만듭니다."),
    "cli.scripts.refresh": Text(
        "Have the gateway look at its repositories now.",
        "게이트웨이가 저장소를 지금 다시 확인하게 합니다.",
    ),
    "cli.scripts.prefetch": Text(
        "Have the workers get a script ready: NAME[@VERSION].",
        "워커가 스크립트를 미리 준비하게 합니다: NAME[@VERSION].",
    ),
    "cli.scripts.promote": Text(
        "Let a channel (default: stable) stand for a version: NAME@VERSION.",
        "채널(기본값: stable)이 지정한 버전을 가리키게 합니다: NAME@VERSION.",
    ),
    "cli.scripts.rollback": Text(
        "Let a channel (default: stable) stand for the version before.",
        "채널(기본값: stable)을 이전 버전으로 되돌립니다.",
    ),
    "cli.scripts.check": Text(
        "Check scripts without running them.",
        "스크립트를 실행하지 않고 검사합니다.",
    ),
    "cli.workers": Text(
        "Look at workers and drain them.", "워커를 살펴보고 작업 배정을 멈추거나 재개합니다."
    ),
    "cli.workers.list": Text(
        "Show the workers and how busy they are.", "워커와 부하를 보여 줍니다."
    ),
    "cli.workers.drain": Text(
        "Give a worker nothing new; what it runs goes on.",
        "워커에 새 작업을 보내지 않습니다. 실행 중인 작업은 계속됩니다.",
    ),
    "cli.workers.resume": Text(
        "Give a drained worker work again.", "멈춘 워커에 다시 작업을 보냅니다."
    ),
    "cli.workers.remove": Text(
        "Forget a worker's key and cut its connection; a token may let it join again.",
        "워커의 키를 지우고 연결을 끊습니다. 토큰이 있으면 다시 합류할 수 있습니다.",
    ),
    "cli.workers.revoke": Text(
        "Refuse a worker's key for ever and cut its connection.",
        "워커의 키를 영구히 거부하고 연결을 끊습니다.",
    ),
    "cli.token": Text(
        "Let workers join, and change the key of the link.",
        "워커를 합류시키고 링크의 키를 바꿉니다.",
    ),
    "cli.token.create": Text(
        "Print the line that starts a worker on another machine.",
        "다른 컴퓨터에서 워커를 시작할 명령을 출력합니다.",
    ),
    "cli.token.list": Text("Show the join tokens.", "합류 토큰을 보여 줍니다."),
    "cli.token.revoke": Text(
        "Let nobody join by a token any more.", "토큰으로 더는 합류할 수 없게 합니다."
    ),
    "cli.token.rotate-key": Text(
        "Give the link another key, after an overlap in which workers learn it.",
        "링크의 키를 바꿉니다. 그 전에 워커가 새 키를 알 수 있는 기간을 둡니다.",
    ),
    "cli.token.prepare": Text(
        "Write the secrets of a cluster before it starts: link secret, admin key, join token.\nFor containers: ZSCRAPE_LINK_SECRET_FILE and ZSCRAPE_API_KEY_FILE for gateways, ZSCRAPE_JOIN_FILE for workers. What is there stays; the token is made anew.\nExample: zscrape token prepare secrets --address tcp://gateway:5555",
        "클러스터를 시작하기 전에 필요한 비밀 값을 파일로 만듭니다: 링크 비밀 값, 관리자 키, 합류 토큰.\n컨테이너용입니다. 게이트웨이에는 ZSCRAPE_LINK_SECRET_FILE과 ZSCRAPE_API_KEY_FILE, 워커에는 ZSCRAPE_JOIN_FILE을 지정합니다. 이미 있는 값은 그대로 두고 토큰만 새로 만듭니다.\n예: zscrape token prepare secrets --address tcp://gateway:5555",
    ),
    "cli.token.prepared": Text(
        "In {folder}: written {made}; kept {kept}. Keep the folder to yourself, and out of version control.",
        "{folder}: 작성 {made}, 유지 {kept}. 이 폴더는 다른 사람에게 공개하지 말고 버전 관리에도 넣지 마십시오.",
    ),
    "cli.health": Text(
        "Is what runs from this home folder alive? Exit code 0 or 1; for health checks of containers.\nA gateway is asked at its address; a worker's loop leaves a sign of life every few seconds. --ready asks for more.\nExamples: zscrape health; zscrape health --ready; zscrape health --url http://gateway:8000",
        "이 홈 폴더에서 실행 중인 게이트웨이와 워커가 살아 있는지 확인합니다. 종료 코드는 0 또는 1이며, 컨테이너 상태 확인에 씁니다.\n게이트웨이에는 주소로 물어보고, 워커는 몇 초마다 남기는 생존 표시를 봅니다. --ready는 더 엄격하게 확인합니다.\n예: zscrape health, zscrape health --ready, zscrape health --url http://gateway:8000",
    ),
    "cli.health.nothing": Text(
        "Nothing runs from {home}: no gateway has been started there, and no worker.",
        "{home}에서 실행 중인 것이 없습니다. 게이트웨이도 워커도 시작되지 않았습니다.",
    ),
    "cli.health.late": Text(
        "its loop has not been heard of for {silent_s:.0f} s",
        "{silent_s:.0f}초 동안 루프의 소식이 없습니다",
    ),
    "cli.health.joined": Text(
        "joined {joined_count} of {gateway_count} gateways",
        "게이트웨이 {gateway_count}개 중 {joined_count}개에 합류함",
    ),
    "cli.doctor": Text(
        "Check this machine, this home folder and the gateway.",
        "이 컴퓨터, 홈 폴더, 게이트웨이를 점검합니다.",
    ),
    "cli.backup": Text(
        "Copy the gateway's database into a file, also while the gateway runs.",
        "게이트웨이의 데이터베이스를 파일로 복사합니다. 게이트웨이가 실행 중이어도 됩니다.",
    ),
    "cli.backup.done": Text(
        "{path}: {size_mb:.1f} MB, {count} tasks.", "{path}: {size_mb:.1f} MB, 작업 {count}개."
    ),
    "cli.backup.blobs": Text(
        "Large files copied with it: {count}, {size_mb:.1f} MB.",
        "함께 복사한 큰 파일: {count}개, {size_mb:.1f} MB.",
    ),
    "cli.backup.blobs_absent": Text(
        "Large files that are not where they were put, or are damaged: {count}. Their tasks are kept without them.",
        "보관한 자리에 없거나 손상된 큰 파일: {count}개. 해당 작업은 그 파일 없이 보관합니다.",
    ),
    "cli.backup.blobs_bucket": Text(
        "Large files that stay in the bucket {bucket}: {count}. Back it up by its own means.",
        "버킷 {bucket}에 그대로 있는 큰 파일: {count}개. 버킷은 자체 방법으로 백업하십시오.",
    ),
    "cli.backup.server": Text(
        "the tasks are in a PostgreSQL database, which has its own tools for this: pg_dump and pg_restore.",
        "작업이 PostgreSQL 데이터베이스에 있으므로 그 도구인 pg_dump와 pg_restore를 쓰십시오.",
    ),
    "cli.restore": Text(
        "Put a backup in the place of the gateway's database; the gateway must not be running.\nTasks that have ended since the backup was made and were waiting in it run again.",
        "백업을 게이트웨이의 데이터베이스 자리에 놓습니다. 게이트웨이가 멈춰 있어야 합니다.\n백업할 때 대기 중이던 작업은 그 뒤에 끝났더라도 다시 실행됩니다.",
    ),
    "cli.restore.done": Text(
        "{path} is the backup now: {count} tasks.",
        "{path}이(가) 백업 내용으로 바뀌었습니다. 작업 {count}개.",
    ),
    "cli.restore.replaced": Text(
        "What stood there is kept: {path}", "이전 파일은 보관했습니다: {path}"
    ),
    # ---- states ----------------------------------------------------------------------
    "cli.state.queued": Text("queued", "대기 중"),
    "cli.state.assigned": Text("assigned", "배정됨"),
    "cli.state.running": Text("running", "실행 중"),
    "cli.state.waiting": Text("waiting for a person", "사람 확인 대기"),
    "cli.state.completed": Text("completed", "완료"),
    "cli.state.failed": Text("failed", "실패"),
    "cli.state.timed_out": Text("timed out", "시간 초과"),
    "cli.state.cancelled": Text("cancelled", "취소됨"),
    # ---- what verbs say --------------------------------------------------------------
    "cli.items": Text("{count} items", "항목 {count}개"),
    "cli.run.completed": Text(
        "{script} completed in {seconds:.2f} s on {worker}, items: {item_count}",
        "{script} 완료: {worker}에서 {seconds:.2f}초, 항목 {item_count}개",
    ),
    "cli.run.ended": Text("{script} ended: {status} ({code})", "{script} 종료: {status} ({code})"),
    "cli.run.look": Text(
        "More: zscrape tasks show {request_id}; zscrape tasks logs {request_id}",
        "자세히: zscrape tasks show {request_id}, zscrape tasks logs {request_id}",
    ),
    "cli.run.waits": Text(
        "It waits for a person. Answer: zscrape handoffs answer {id}",
        "사람 확인을 기다립니다. 답하기: zscrape handoffs answer {id}",
    ),
    "cli.run.reused": Text(
        "An earlier answer serves, {age_s:.0f} s old: task {request_id}.",
        "{age_s:.0f}초 전의 결과를 그대로 씁니다: 작업 {request_id}.",
    ),
    "cli.run.detached": Text(
        "Queued. Follow it: zscrape tasks logs --follow {request_id}",
        "대기열에 넣었습니다. 지켜보기: zscrape tasks logs --follow {request_id}",
    ),
    "cli.run.cancelled": Text(
        "Task {request_id} was cancelled.", "작업 {request_id}을(를) 취소했습니다."
    ),
    "cli.run.not_cancelled": Text(
        "Task {request_id} was not cancelled: {reason}",
        "작업 {request_id}을(를) 취소하지 못했습니다: {reason}",
    ),
    "cli.run.written": Text("Written: {path}", "저장했습니다: {path}"),
    "cli.run.artifacts": Text(
        "Files saved: {names}. Write them with --artifacts FOLDER.",
        "저장된 파일: {names}. --artifacts 폴더 로 받을 수 있습니다.",
    ),
    "cli.output.no_table": Text(
        "CSV needs a list of objects, and the data is none; use .json",
        "CSV에는 객체의 목록이 필요합니다. 이 데이터는 .json으로 저장하십시오",
    ),
    "cli.output.bad_name": Text("is no file name", "파일 이름이 아닙니다"),
    "cli.tasks.none": Text(
        "No tasks. Run one: zscrape run NAME", "작업이 없습니다. 실행하기: zscrape run 이름"
    ),
    "cli.tasks.more": Text("More: --cursor {cursor}", "더 보기: --cursor {cursor}"),
    "cli.tasks.cancelled": Text("{request_id}: {status}", "{request_id}: {status}"),
    "cli.scripts.refreshed": Text("{name}: changed", "{name}: 바뀌었습니다"),
    "cli.scripts.unchanged": Text("{name}: nothing new", "{name}: 바뀐 것이 없습니다"),
    "cli.scripts.refresh_failed": Text(
        "{name} cannot be read: {reason}", "{name}을(를) 읽을 수 없습니다: {reason}"
    ),
    "cli.scripts.prefetching": Text(
        "{name} {version} is being made ready on: {workers}",
        "{name} {version}을(를) 다음 워커에서 준비합니다: {workers}",
    ),
    "cli.scripts.no_workers": Text(
        "No worker could run {name} {version} now. See them: zscrape workers list",
        "지금 {name} {version}을(를) 실행할 수 있는 워커가 없습니다. 확인: zscrape workers list",
    ),
    "cli.scripts.channel": Text(
        "{name}@{channel} is {version} now (before: {previous})",
        "{name}@{channel}은(는) 이제 {version}입니다(이전: {previous})",
    ),
    "cli.scripts.none": Text(
        "No scripts yet. Make one in the gateway's scripts folder: zscrape scripts new FOLDER/NAME",
        "아직 스크립트가 없습니다. 게이트웨이의 스크립트 폴더에 만드십시오: zscrape scripts new 폴더/이름",
    ),
    "cli.scripts.unusable": Text(
        "{name} cannot be used: {reason}", "{name}을(를) 쓸 수 없습니다: {reason}"
    ),
    "cli.scripts.written": Text("written: {path}", "만들었습니다: {path}"),
    "cli.scripts.next": Text(
        "Try it: zscrape run {folder} --follow",
        "실행해 보십시오: zscrape run {folder} --follow",
    ),
    "cli.scripts.name": Text(
        "{name} cannot be a script's name: use a-z, 0-9, _ and -, at most 64, a letter or digit first",
        "{name}은(는) 스크립트 이름이 될 수 없습니다. a-z, 0-9, _, -를 64자까지 쓰고 영문자나 숫자로 시작하십시오",
    ),
    "cli.scripts.occupied": Text(
        "exists and is not an empty folder", "이미 있으며 빈 폴더가 아닙니다"
    ),
    "cli.workers.none": Text(
        "No worker is connected. For the line that starts one: zscrape token create",
        "연결된 워커가 없습니다. 시작할 명령을 얻으려면: zscrape token create",
    ),
    "cli.workers.removed": Text(
        "Worker {worker_id} is cut off and forgotten. A token that still holds lets it join again: zscrape token list",
        "워커 {worker_id}의 연결을 끊고 키를 지웠습니다. 유효한 토큰이 있으면 다시 합류할 수 있습니다: zscrape token list",
    ),
    "cli.workers.revoked": Text(
        "Worker {worker_id} is cut off, and its key is refused from now on.",
        "워커 {worker_id}의 연결을 끊었습니다. 앞으로 그 키를 거부합니다.",
    ),
    "cli.token.created": Text(
        "Paste this line on the machine that is to work. It is shown only now; `zscrape token revoke {token_id}` takes it back.",
        "작업할 컴퓨터에서 이 명령을 실행하십시오. 지금만 보여 줍니다. 취소하려면 `zscrape token revoke {token_id}` 를 실행하십시오.",
    ),
    "cli.token.local": Text(
        "Only workers of this machine can dial {address}. For others start the gateway with --link tcp://ADDRESS:PORT, or give --address.",
        "{address}에는 이 컴퓨터의 워커만 접속할 수 있습니다. 다른 컴퓨터의 워커가 접속하려면 게이트웨이를 --link tcp://주소:포트 로 시작하거나 --address를 지정하십시오.",
    ),
    "cli.token.none": Text("No token was made.", "만든 토큰이 없습니다."),
    "cli.token.revoked": Text(
        "Nobody joins by token {token_id} any more. Workers that have joined stay: zscrape workers list",
        "이제 토큰 {token_id}(으)로 합류할 수 없습니다. 이미 합류한 워커는 그대로 있습니다: zscrape workers list",
    ),
    "cli.token.rotated": Text(
        "The link takes its new key at {at}. Connected workers learn it now; tokens made before do not hold after that.",
        "{at}에 링크의 키를 바꿉니다. 연결된 워커는 지금 새 키를 알게 됩니다. 전에 만든 토큰은 그 뒤에 쓸 수 없습니다.",
    ),
    "cli.usage.token_span": Text(
        "{given} is not a span of time such as 30m, 12h, 7d or 2w.",
        "{given}은(는) 30m, 12h, 7d, 2w 같은 기간이 아닙니다.",
    ),
    "cli.workers.draining": Text(
        "Worker {worker_id} takes nothing new; what it runs goes on.",
        "워커 {worker_id}이(가) 새 작업을 받지 않습니다. 실행 중인 작업은 계속됩니다.",
    ),
    "cli.workers.resumed": Text(
        "Worker {worker_id} takes work again.", "워커 {worker_id}이(가) 다시 작업을 받습니다."
    ),
    "cli.gateway.ready": Text(
        "API key: {key_path}. Workers of this machine join with: zscrape worker --join {link}, of others with the line of: zscrape token create. Stop with Ctrl-C.",
        "API 키: {key_path}. 이 컴퓨터의 워커 합류: zscrape worker --join {link}. 다른 컴퓨터의 워커: zscrape token create 가 출력하는 명령. 종료: Ctrl-C.",
    ),
    "cli.up.scripts": Text("Scripts: {folder}", "스크립트 폴더: {folder}"),
    "cli.up.worker": Text(
        "Worker {worker_id} has joined with {slots} slots.",
        "워커 {worker_id}이(가) 슬롯 {slots}개로 합류했습니다.",
    ),
    "cli.up.open": Text(
        "Open the dashboard in a browser (this link works once, for ten minutes; another: zscrape dashboard):\n{url}",
        "브라우저에서 대시보드를 여십시오(한 번, 10분 동안 유효한 링크. 새 링크: zscrape dashboard).\n{url}",
    ),
    "cli.up.next": Text(
        "In another terminal: zscrape scripts list; zscrape run NAME. Stop with Ctrl-C.",
        "다른 터미널에서: zscrape scripts list, zscrape run 이름. 종료: Ctrl-C.",
    ),
    "cli.up.worker_ended": Text(
        "The worker has ended, so the gateway was stopped too. Its log above says why.",
        "워커가 끝나 게이트웨이도 멈췄습니다. 까닭은 위의 로그에 있습니다.",
    ),
    "cli.worker.dialling": Text("Dialling {link} ...", "{link}에 접속합니다 ..."),
}
