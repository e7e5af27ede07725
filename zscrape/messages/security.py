"""Words about secrets, limits of calls, and what is refused because it would be unsafe."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

SECURITY: Final[dict[str, Text]] = {
    # ---- secrets ---------------------------------------------------------------------
    "secret_denied": Text(
        "{script_name} asks for the secret {name}, which does not exist or is not granted to it. Set or grant it: zscrape secrets set {name} --script {script_name}",
        "{script_name}이(가) 요청한 비밀 값 {name}이(가) 없거나 이 스크립트에 허용되지 않았습니다. 설정하거나 허용하기: zscrape secrets set {name} --script {script_name}",
    ),
    "secret_denied.local": Text(
        "{script_name} asks for the secret {name}. For a run on this machine alone put it into the environment variable {variable}.",
        "{script_name}이(가) 비밀 값 {name}을(를) 요청합니다. 이 컴퓨터에서만 실행하려면 환경 변수 {variable}에 넣으십시오.",
    ),
    "secrets_sealed": Text(
        "Secrets cannot be opened with {path}: {reason}. Put back the key file that they were sealed with, or set them again.",
        "{path}(으)로는 비밀 값을 열 수 없습니다: {reason}. 암호화할 때 쓴 키 파일을 되돌려 놓거나 비밀 값을 다시 설정하십시오.",
    ),
    "config_invalid.readable": Text(
        "{source} can be read or changed by others (mode {value}), so what it holds is no secret. Run: chmod 600 {source}",
        "다른 사용자가 {source}을(를) 읽거나 바꿀 수 있습니다(권한 {value}). 내용이 비밀로 지켜지지 않습니다. 실행하십시오: chmod 600 {source}",
    ),
    "config_invalid.not_ours": Text(
        "{source} belongs to another user ({value}), who can read and change it. Run: chown {expected} {source}",
        "{source}의 소유자가 다른 사용자({value})이므로 그 사용자가 읽고 바꿀 수 있습니다. 실행하십시오: chown {expected} {source}",
    ),
    "config_invalid.weak_secret": Text(
        "{source}: {value} could be guessed; it needs at least {expected} characters that nobody would think of. Make one: openssl rand -base64 24",
        "{source}: {value}은(는) 추측하기 쉽습니다. 짐작할 수 없는 {expected}자 이상의 값이어야 합니다. 만들기: openssl rand -base64 24",
    ),
    "config_invalid.tls": Text(
        "{source}: the certificate and its key cannot be used together: {reason}. Give both tls_certificate and tls_key, PEM files that belong to each other.",
        "{source}: 인증서와 키를 함께 쓸 수 없습니다: {reason}. 서로 짝이 맞는 PEM 파일로 tls_certificate와 tls_key를 모두 지정하십시오.",
    ),
    "doctor.safety": Text(
        "nothing here would keep a gateway from starting",
        "게이트웨이의 시작을 막을 문제가 없습니다",
    ),
    "event.secrets_sealed": Text(
        "Secrets cannot be opened, and scripts that need them fail: {reason}",
        "비밀 값을 열 수 없어 이를 쓰는 스크립트가 실패합니다: {reason}",
    ),
    "event.secrets_masked": Text(
        "Secrets stood in {count} of the results, items or files of this attempt, and were blanked out.",
        "이 시도의 결과, 아이템 또는 파일 {count}개에 비밀 값이 들어 있어 가렸습니다.",
    ),
    "http.secret_name": Text(
        "A name is 1 to 64 letters, digits, dots, dashes or underscores, and begins with a letter.",
        "이름은 영문자로 시작하고 영문자, 숫자, 점, 대시, 밑줄로 된 1~64자여야 합니다.",
    ),
    "http.secret_script": Text(
        "This is neither the name of a script nor a pattern of names such as price_*.",
        "스크립트 이름도, price_* 같은 이름 패턴도 아닙니다.",
    ),
    "http.secret_value": Text(
        "A value has 4 to {limit} bytes: what is shorter cannot be kept out of logs.",
        "값은 4~{limit}바이트여야 합니다. 더 짧으면 로그에서 가릴 수 없습니다.",
    ),
    "http.secret_text": Text(
        "The value has a character that is no text (NUL or half a surrogate pair). Store it as base64.",
        "값에 텍스트가 아닌 문자(NUL 또는 짝이 없는 서로게이트)가 있습니다. base64로 저장하십시오.",
    ),
    "http.secret_new": Text(
        "There is no secret of this name yet: give its `value`.",
        "이 이름의 비밀 값이 아직 없습니다. `value`를 지정하십시오.",
    ),
    "http.secret_count": Text(
        "There are {limit} secrets already: remove one.",
        "비밀 값이 이미 {limit}개 있습니다. 하나를 삭제하십시오.",
    ),
    # ---- limits of calls -------------------------------------------------------------
    "rate_limited.client": Text(
        "This key may make {limit} calls a second. Try again in {wait_s} s; more is allowed by gateway.client_rate.",
        "이 키는 초당 {limit}번 호출할 수 있습니다. {wait_s}초 뒤에 다시 시도하십시오. 한도는 gateway.client_rate에서 늘립니다.",
    ),
    "rate_limited.script": Text(
        "This script may be asked for {limit} times a second. Try again in {wait_s} s; more is allowed by rate in [scripts.NAME].",
        "이 스크립트는 초당 {limit}번 요청할 수 있습니다. {wait_s}초 뒤에 다시 시도하십시오. 한도는 [scripts.NAME]의 rate에서 늘립니다.",
    ),
    # ---- around every call -----------------------------------------------------------
    "host_unknown": Text(
        "This gateway is not called {host}. Call it by its address, or add the name to gateway.hosts.",
        "이 게이트웨이의 이름은 {host}이(가) 아닙니다. 주소로 호출하거나 gateway.hosts에 이름을 추가하십시오.",
    ),
    "docs.intro": Text(
        "The HTTP API of this gateway. Whoever is signed in on the dashboard calls by that session; others press Authorize and give a key. For programs:",
        "이 게이트웨이의 HTTP API입니다. 대시보드에 로그인했다면 그 세션으로 호출하고, 아니라면 Authorize를 눌러 키를 입력하십시오. 프로그램용 문서:",
    ),
    "docs.dashboard": Text("dashboard", "대시보드"),
    # ---- the command line ------------------------------------------------------------
    "cli.secrets": Text(
        "Keep values that scripts need and nobody should see: passwords, tokens.",
        "암호, 토큰처럼 스크립트가 쓰되 보여서는 안 되는 값을 보관합니다.",
    ),
    "cli.secrets.set": Text(
        "Keep a secret, or grant it to further scripts. Its value comes from a prompt, from a file or from standard input, and never stands in the command.\n--script says who may read it and replaces what was granted before; a pattern such as price_* is allowed. A script must also name it under `secrets` in its metadata.json.",
        "비밀 값을 보관하거나 스크립트에 허용합니다. 값은 프롬프트, 파일 또는 표준 입력으로만 받으며 명령줄에는 적지 않습니다.\n--script는 읽을 수 있는 스크립트를 정하며 이전 허용 목록을 대신합니다. price_* 같은 패턴도 됩니다. 스크립트도 metadata.json의 `secrets`에 그 이름을 적어야 합니다.",
    ),
    "cli.secrets.list": Text(
        "Show the names of secrets and who may read them; never a value.",
        "비밀 값의 이름과 허용된 스크립트를 보여 줍니다. 값은 보여 주지 않습니다.",
    ),
    "cli.secrets.remove": Text(
        "Remove a secret. Attempts that run keep what they were given.",
        "비밀 값을 삭제합니다. 실행 중인 시도는 이미 받은 값을 그대로 씁니다.",
    ),
    "cli.option.secret_script": Text(
        "A script, or a pattern of names, that may read it; several times for several.",
        "이 값을 읽을 수 있는 스크립트 이름 또는 이름 패턴. 여러 번 지정할 수 있습니다.",
    ),
    "cli.option.secret_file": Text(
        "Take the value from this file; one line end at its end is left out.",
        "이 파일에서 값을 읽습니다. 끝의 줄바꿈 하나는 뺍니다.",
    ),
    "cli.option.grant_only": Text(
        "Keep the value as it is and change only who may read it.",
        "값은 그대로 두고 허용 대상만 바꿉니다.",
    ),
    "cli.secrets.prompt": Text("Value of {name}", "{name}의 값"),
    "cli.secrets.kept": Text(
        "{name} is kept; it may be read by: {scripts}",
        "{name}을(를) 보관했습니다. 허용된 스크립트: {scripts}",
    ),
    "cli.secrets.kept.nobody": Text(
        "{name} is kept, and no script may read it yet. Grant it: zscrape secrets set {name} --grant-only --script NAME",
        "{name}을(를) 보관했지만 아직 읽을 수 있는 스크립트가 없습니다. 허용하기: zscrape secrets set {name} --grant-only --script 이름",
    ),
    "cli.secrets.removed": Text("{name} is removed.", "{name}을(를) 삭제했습니다."),
    "cli.secrets.none": Text("There are no secrets.", "보관된 비밀 값이 없습니다."),
    "cli.secrets.not_text": Text(
        "The value is not UTF-8 text. Store it as base64 and decode it in the script.",
        "값이 UTF-8 텍스트가 아닙니다. base64로 저장하고 스크립트에서 풀어 쓰십시오.",
    ),
    "cli.secrets.file_and_grant": Text(
        "--from-file and --grant-only exclude each other.",
        "--from-file과 --grant-only는 함께 쓸 수 없습니다.",
    ),
    "cli.column.updated": Text("updated", "변경"),
    "cli.column.secret": Text("secret", "비밀 값"),
    "cli.backup.no_key": Text(
        "It holds secrets, sealed with {path}, which is not in it: keep a copy of that file in another safe place.",
        "백업에는 {path}(으)로 암호화된 비밀 값이 들어 있지만 그 키 파일은 들어 있지 않습니다. 키 파일의 사본을 다른 안전한 곳에 따로 보관하십시오.",
    ),
}
