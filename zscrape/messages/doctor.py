"""Words of settings at fault, and of `doctor`."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

DOCTOR: Final[dict[str, Text]] = {
    # ---- settings at fault -----------------------------------------------------------
    "config_invalid.unknown": Text(
        "{source}: there is no setting {value}. Did you mean {expected}?",
        "{source}: {value} 설정이 없습니다. 혹시 {expected}입니까?",
    ),
    "config_invalid.value": Text(
        "{source}: {value} cannot be used; expected: {expected}",
        "{source}: {value}은(는) 쓸 수 없는 값입니다. 기대하는 값: {expected}",
    ),
    "config_invalid.file": Text(
        "The settings file {source} cannot be read: {reason}",
        "설정 파일 {source}을(를) 읽을 수 없습니다: {reason}",
    ),
    "config_invalid.toml": Text(
        "The settings file {source} is not TOML: {reason}",
        "설정 파일 {source}이(가) TOML이 아닙니다: {reason}",
    ),
    "config_invalid.duplicate": Text(
        "{source}: two repositories are named {value}. Give each a name of its own.",
        "{source}: 이름이 {value}인 저장소가 둘입니다. 저장소마다 다른 이름을 쓰십시오.",
    ),
    "config_invalid.repository_field": Text(
        "{source}: this type of repository has no {value}. Fields of {expected}",
        "{source}: 이 유형의 저장소에는 {value} 항목이 없습니다. 쓸 수 있는 항목은 {expected}입니다.",
    ),
    "config_invalid.repository_type": Text(
        "{source}: repositories of type {value} are not supported. Supported: {expected}",
        "{source}: {value} 유형의 저장소는 지원하지 않습니다. 지원하는 유형: {expected}",
    ),
    "config_invalid.unusable": Text(
        "{source} cannot be used: {reason}. Look at its owner and permissions, or choose another place by {expected}.",
        "{source}을(를) 쓸 수 없습니다: {reason}. 소유자와 권한을 확인하거나 {expected}(으)로 다른 곳을 정하십시오.",
    ),
    "config_invalid.jwt_incomplete": Text(
        "{source} is missing: tokens need jwt_issuer, jwt_audience, and jwt_secret or jwt_public_key. Set all of them, or none.",
        "{source}이(가) 없습니다. 토큰을 받으려면 jwt_issuer, jwt_audience와 jwt_secret 또는 jwt_public_key가 필요합니다. 모두 지정하거나 모두 빼십시오.",
    ),
    "config_invalid.jwt_secret_short": Text(
        "{source} is too short to be safe: {expected} bytes or more are needed. A new one: openssl rand -base64 48",
        "{source}이(가) 너무 짧아 안전하지 않습니다. {expected}바이트 이상이어야 합니다. 새로 만들기: openssl rand -base64 48",
    ),
    "config_invalid.open_bind": Text(
        "{source}: {value} can be reached from other machines, and HTTP is not encrypted. Use 127.0.0.1, or add --insecure on a network that you trust.",
        "{source}: {value}에는 다른 컴퓨터가 접속할 수 있는데 HTTP는 암호화되지 않습니다. 127.0.0.1을 쓰거나, 믿을 수 있는 네트워크라면 --insecure를 더하십시오.",
    ),
    "config_invalid.open_key": Text(
        "{source} holds a secret key and others can read it (mode {value}). Run: chmod 600 {source} - and make new keys if somebody may have.",
        "{source}에 비밀 키가 있는데 다른 사용자가 읽을 수 있습니다(모드 {value}). chmod 600 {source} 를 실행하고, 누가 읽었을 수 있다면 키를 새로 만드십시오.",
    ),
    "config_invalid.key_file": Text(
        "The key file {source} cannot be used: {reason}. Restore it from a backup, or remove it for new keys: workers then join again by a new token.",
        "키 파일 {source}을(를) 쓸 수 없습니다: {reason}. 백업에서 되돌리거나, 새 키를 만들려면 지우십시오. 그러면 워커는 새 토큰으로 다시 합류해야 합니다.",
    ),
    "config_invalid.no_token": Text(
        "{source}: there are no keys for {value} in {expected}. On the gateway's machine, `zscrape token create` prints the line to start this worker by. On the same machine, start the gateway first and give the worker the same --home.",
        "{source}: {expected}에 {value}의 키가 없습니다. 게이트웨이 컴퓨터에서 `zscrape token create`를 실행하면 이 워커를 시작할 명령이 나옵니다. 같은 컴퓨터라면 게이트웨이를 먼저 시작하고 워커에 같은 --home을 지정하십시오.",
    ),
    "config_invalid.secret_file": Text(
        "The secret of {source} cannot be read: {reason}. The file must hold the value and be readable for this process's user.",
        "{source}의 비밀 값을 읽을 수 없습니다: {reason}. 파일에 값이 들어 있어야 하고, 이 프로세스의 사용자가 읽을 수 있어야 합니다.",
    ),
    "config_invalid.secret_twice": Text(
        "{source} names a file, and {value} is given as well. Leave one of them out.",
        "{source}에 파일이 지정되어 있는데 {value}도 함께 지정되었습니다. 둘 중 하나만 지정하십시오.",
    ),
    "config_invalid.no_bucket": Text(
        "{source}: large files are to go to S3, but no bucket is named. Set {expected} (ZSCRAPE_BLOB_BUCKET).",
        "{source}: 큰 파일을 S3에 보관하도록 설정했지만 버킷 이름이 없습니다. {expected}(ZSCRAPE_BLOB_BUCKET)을 정하십시오.",
    ),
    "config_invalid.no_database": Text(
        "There is no database {source}. A gateway makes it at its first start; choose its folder by --home.",
        "데이터베이스 {source}이(가) 없습니다. 게이트웨이가 처음 시작할 때 만듭니다. --home으로 그 폴더를 정하십시오.",
    ),
    "config_invalid.backup_exists": Text(
        "{source} is there already and was not touched. Choose another name.",
        "{source}이(가) 이미 있어서 건드리지 않았습니다. 다른 이름을 정하십시오.",
    ),
    # ---- doctor ----------------------------------------------------------------------
    "doctor.broken": Text("Broken: {count}. Mend these first.", "고장 {count}건. 먼저 고치십시오."),
    "doctor.link_keys": Text(
        "the link is always encrypted; files of keys in {home}, for their owner only: {count}",
        "링크는 항상 암호화됩니다. {home}에 소유자만 읽을 수 있는 키 파일 {count}개",
    ),
    "doctor.link_keys.none": Text(
        "the link is always encrypted; no keys in {home} yet. A gateway makes its own at the first start; a worker elsewhere joins by the line of: zscrape token create",
        "링크는 항상 암호화됩니다. {home}에 아직 키가 없습니다. 게이트웨이는 처음 시작할 때 만들고, 다른 컴퓨터의 워커는 zscrape token create 가 출력하는 명령으로 합류합니다",
    ),
    "doctor.link_keys.open": Text(
        "{path} can be read by others (mode {mode}), so nothing that uses it starts. Run: chmod 600 {path}",
        "{path}을(를) 다른 사용자가 읽을 수 있어(모드 {mode}) 이 파일을 쓰는 프로세스가 시작되지 않습니다. 실행: chmod 600 {path}",
    ),
    "doctor.python": Text(
        "{implementation} {version}, zscrape {zscrape}",
        "{implementation} {version}, zscrape {zscrape}",
    ),
    "doctor.python.old": Text(
        "{implementation} {version} is too old for zscrape {zscrape}: install Python 3.11 or newer",
        "{implementation} {version}은(는) zscrape {zscrape}에 너무 오래되었습니다. Python 3.11 이상을 설치하십시오",
    ),
    "doctor.platform": Text(
        "{system} {machine}, CPUs: {cpu_count}",
        "{system} {machine}, CPU {cpu_count}개",
    ),
    "doctor.platform.other": Text(
        "{system} {machine}, CPUs: {cpu_count}; limits of scripts are enforced fully on Linux only",
        "{system} {machine}, CPU {cpu_count}개. 스크립트 제한은 리눅스에서만 온전히 적용됩니다",
    ),
    "doctor.uv": Text("uv {version} ({path})", "uv {version}({path})"),
    "doctor.uv.broken": Text(
        "scripts with requirements cannot run: {reason}",
        "요구 사항이 있는 스크립트를 실행할 수 없습니다: {reason}",
    ),
    "doctor.interpreters": Text(
        "scripts may ask for: {found}", "스크립트가 쓸 수 있는 것: {found}"
    ),
    "doctor.interpreters.none": Text(
        "none but zscrape's own",
        "zscrape 자신의 것뿐입니다",
    ),
    "doctor.open_files": Text("{count} open files allowed", "열 수 있는 파일 {count}개"),
    "doctor.open_files.few": Text(
        "only {count} open files allowed: raise it to {minimum} (ulimit -n {minimum})",
        "열 수 있는 파일이 {count}개뿐입니다. {minimum}개로 늘리십시오(ulimit -n {minimum})",
    ),
    "doctor.user": Text("user id {uid}, not root", "사용자 ID {uid}, root 아님"),
    "doctor.user.root": Text(
        "root; attempts run as users of their own where the layer user is in force",
        "root. user 계층이 적용되면 시도는 저마다 별도의 사용자로 실행됩니다",
    ),
    "doctor.programs": Text("found: {names}", "찾음: {names}"),
    "doctor.programs.none": Text(
        "none of the programs that scripts ask for is installed",
        "스크립트가 쓸 만한 프로그램이 설치되어 있지 않습니다",
    ),
    "doctor.home": Text("{path}, {free_mb} MB free", "{path}, 여유 {free_mb} MB"),
    "doctor.database": Text(
        "{path}, {size_mb:.1f} MB, schema {schema}, {count} tasks, checked just now",
        "{path}, {size_mb:.1f} MB, 스키마 {schema}, 작업 {count}개, 방금 점검함",
    ),
    "doctor.database.server": Text(
        "PostgreSQL answers, schema {schema}, {count} gateways on it",
        "PostgreSQL이 응답합니다. 스키마 {schema}, 게이트웨이 {count}개",
    ),
    "doctor.database.new": Text(
        "PostgreSQL answers; a gateway makes the tables at its first start",
        "PostgreSQL이 응답합니다. 게이트웨이가 처음 시작할 때 테이블을 만듭니다",
    ),
    "doctor.database.none": Text(
        "{path} does not exist yet; a gateway makes it at its first start",
        "{path}이(가) 아직 없습니다. 게이트웨이가 처음 시작할 때 만듭니다",
    ),
    "doctor.home.full": Text(
        "{path}: only {free_mb} MB free; make room",
        "{path}: 여유 공간이 {free_mb} MB뿐입니다. 공간을 확보하십시오",
    ),
    "doctor.home.unwritable": Text(
        "{path} cannot be written: {reason}. Choose another with --home",
        "{path}에 쓸 수 없습니다: {reason}. --home으로 다른 폴더를 지정하십시오",
    ),
    "doctor.client_file": Text("{path}, mode {mode}", "{path}, 권한 {mode}"),
    "doctor.client_file.open": Text(
        "{path} can be read by others (mode {mode}): chmod 600 it, and make a new key",
        "{path}을(를) 다른 사용자가 읽을 수 있습니다(권한 {mode}). chmod 600을 실행하고 키를 새로 만드십시오",
    ),
    "doctor.repository": Text("{path}", "{path}"),
    "doctor.repository.remote": Text(
        "{type} {where}: {count} scripts, {version_count} versions",
        "{type} {where}: 스크립트 {count}개, 버전 {version_count}개",
    ),
    "doctor.repository.unavailable": Text("cannot be read: {reason}", "읽을 수 없습니다: {reason}"),
    "doctor.repository.missing": Text(
        "{path} is not there yet",
        "{path} 폴더가 아직 없습니다",
    ),
    "doctor.environment.unknown": Text(
        "means nothing to zscrape; the nearest known name is {nearest}",
        "zscrape가 모르는 환경 변수입니다. 가장 비슷한 이름은 {nearest}입니다",
    ),
    "doctor.port": Text("{address} is free", "{address} 비어 있음"),
    "doctor.port.used": Text("{address} is in use", "{address} 사용 중"),
    "doctor.gateway": Text(
        "{url} answers (known from {source}), queued tasks: {queued_count}",
        "{url} 응답함(출처: {source}), 대기 작업 {queued_count}개",
    ),
    "doctor.workers": Text("{count} connected, slots: {slots}", "{count}개 연결됨, 슬롯 {slots}개"),
    "doctor.workers.none": Text(
        "none connected. Start one: zscrape worker",
        "연결된 워커가 없습니다. 시작하기: zscrape worker",
    ),
}
