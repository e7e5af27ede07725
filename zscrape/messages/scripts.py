"""Words of scripts: manifests, versions, repositories, schemas.

`problem.` keys are the reasons inside `problems` lists; the JSON pointer stands beside them.
"""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

SCRIPTS: Final[dict[str, Text]] = {
    "files_invalid": Text(
        "The files of {name} cannot be used. See `problems`, and: zscrape scripts check",
        "{name}의 파일을 쓸 수 없습니다. `problems`를 보고 zscrape scripts check 를 실행하십시오.",
    ),
    # ---- any JSON --------------------------------------------------------------------
    "problem.not_json": Text(
        "not a JSON document in UTF-8: {detail}", "UTF-8로 된 JSON 문서가 아닙니다: {detail}"
    ),
    "problem.type": Text(
        "expected {expected}, got {actual}", "{expected}이어야 하지만 {actual}입니다"
    ),
    "problem.required": Text("required, but missing", "필수 항목이 없습니다"),
    "problem.unknown": Text("unknown name", "알 수 없는 이름입니다"),
    "problem.unknown_nearest": Text(
        "unknown name; did you mean {nearest}?", "알 수 없는 이름입니다. 혹시 {nearest}입니까?"
    ),
    "problem.choice": Text(
        "{actual} is not one of: {expected}", "{actual}은(는) 다음 중 하나가 아닙니다: {expected}"
    ),
    "problem.range": Text(
        "{actual} is not between {minimum} and {maximum}",
        "{actual}은(는) {minimum}에서 {maximum} 사이가 아닙니다",
    ),
    "problem.minimum": Text(
        "{actual} is less than {expected}", "{actual}은(는) {expected}보다 작습니다"
    ),
    "problem.maximum": Text(
        "{actual} is more than {expected}", "{actual}은(는) {expected}보다 큽니다"
    ),
    "problem.length": Text("longer than {limit} characters", "{limit}자보다 깁니다"),
    "problem.empty": Text("empty", "비어 있습니다"),
    "problem.count": Text("more than {limit} entries", "항목이 {limit}개보다 많습니다"),
    "problem.size": Text("larger than {limit} bytes", "{limit}바이트보다 큽니다"),
    "problem.duplicate": Text("given twice: {actual}", "두 번 나옵니다: {actual}"),
    "problem.pattern": Text(
        "{actual} does not match {expected}", "{actual}은(는) {expected} 형식이 아닙니다"
    ),
    "problem.format": Text(
        "{actual} is not a valid {expected}", "{actual}은(는) 올바른 {expected} 형식이 아닙니다"
    ),
    "problem.schema": Text(
        "does not fit the schema ({rule}): {detail}", "스키마에 맞지 않습니다({rule}): {detail}"
    ),
    "problem.recursion": Text(
        "the schema refers to itself without end", "스키마가 끝없이 자신을 참조합니다"
    ),
    # ---- manifests -------------------------------------------------------------------
    "problem.name": Text(
        "{actual} is not a script name: lower-case letters, digits, _ and -, at most 64, starting with a letter or digit",
        "{actual}은(는) 스크립트 이름으로 쓸 수 없습니다. 영문 소문자나 숫자로 시작하고 영문 소문자, 숫자, _, -를 64자까지 쓸 수 있습니다",
    ),
    "problem.name_differs": Text(
        "{actual}, but its folder is {expected}", "{actual}이지만 폴더 이름은 {expected}입니다"
    ),
    "problem.version": Text(
        "{actual} is not a SemVer 2.0.0 version such as 1.4.2 or 2.0.0-beta.1",
        "{actual}은(는) 1.4.2나 2.0.0-beta.1 같은 SemVer 2.0.0 버전이 아닙니다",
    ),
    "problem.version_differs": Text(
        "{actual}, but its folder is {expected}", "{actual}이지만 폴더 이름은 {expected}입니다"
    ),
    "problem.repository_stale": Text(
        "repository {repository} cannot be read now; this is what was known of it",
        "지금은 저장소 {repository}을(를) 읽을 수 없어 전에 알던 내용을 보여 줍니다",
    ),
    "problem.moment": Text(
        "{actual} is not an ISO 8601 date and time such as 2026-01-31T09:00:00+09:00",
        "{actual}은(는) 2026-01-31T09:00:00+09:00 같은 ISO 8601 날짜와 시각이 아닙니다",
    ),
    "problem.python_version": Text(
        "{actual} is not a version range such as >=3.11",
        "{actual}은(는) >=3.11 같은 버전 범위가 아닙니다",
    ),
    "problem.entry_point": Text(
        "{actual} is not file.py or file.py:function inside the script's folder",
        "{actual}은(는) 스크립트 폴더 안의 file.py 또는 file.py:함수 형식이 아닙니다",
    ),
    "problem.bytes": Text(
        "{actual} is not a size such as 512MB or 64MiB",
        "{actual}은(는) 512MB나 64MiB 같은 크기가 아닙니다",
    ),
    "problem.rate": Text(
        "{actual} is not a rate such as 2/s or 30/min",
        "{actual}은(는) 2/s나 30/min 같은 속도가 아닙니다",
    ),
    "problem.site": Text(
        "{actual} is not the name of a site such as example.com",
        "{actual}은(는) example.com 같은 사이트 이름이 아닙니다",
    ),
    "problem.digest": Text(
        "{actual} is not sha256: and 64 hexadecimal digits",
        "{actual}은(는) sha256:과 16진수 64자리로 되어 있지 않습니다",
    ),
    "problem.signature": Text(
        "{actual} is not ed25519:, a key id of 16 hexadecimal digits, : and a signature in base64",
        "{actual}은(는) ed25519:, 16진수 16자리 키 ID, :, base64 서명으로 되어 있지 않습니다",
    ),
    "problem.signature_unknown": Text(
        "signed with the key {key_id}, which is not among `trusted_keys`; not verified",
        "`trusted_keys`에 없는 키 {key_id}(으)로 서명되어 확인하지 못했습니다",
    ),
    "problem.no_reuse_with_browser": Text(
        "has no effect: with the kit `browser` each attempt has a process of its own",
        "효과가 없습니다: 키트 `browser`를 쓰면 시도마다 별도의 프로세스에서 실행됩니다",
    ),
    "problem.unpublished": Text(
        "needed to publish, not to run", "게시하려면 필요합니다(실행에는 불필요)"
    ),
    "problem.pattern_length": Text(
        "longer than the {limit} characters that a `pattern` is applied to",
        "`pattern`을 적용할 수 있는 {limit}자보다 깁니다",
    ),
    "problem.name_length": Text(
        "has a name longer than the {limit} characters that `patternProperties` is applied to",
        "`patternProperties`를 적용할 수 있는 {limit}자보다 긴 이름이 있습니다",
    ),
    "problem.lock_key": Text(
        "make a lock key longer than {limit} characters; see `lock` in the script's metadata.json",
        "잠금 키가 {limit}자보다 길어집니다. 스크립트의 metadata.json에서 `lock`을 확인하십시오",
    ),
    "problem.lock_missing": Text(
        "have no {actual}, which the lock key {key} is made of; give it, or give it a default"
        " in the script",
        "잠금 키 {key}에 필요한 {actual}이(가) 없습니다. 값을 주거나 스크립트에서 기본값을 정하십시오",
    ),
    "problem.remote_ref": Text(
        "{actual} leaves the document; only references that start with # are followed",
        "{actual}은(는) 문서 밖을 가리킵니다. #으로 시작하는 참조만 쓸 수 있습니다",
    ),
    "problem.lock_field": Text(
        "{{{actual}}} is not a parameter of the script",
        "{{{actual}}}은(는) 스크립트의 매개변수가 아닙니다",
    ),
    "problem.template": Text(
        "{actual} is not a text with {{parameter}} placeholders",
        "{actual}은(는) {{매개변수}} 자리표시자를 쓴 글이 아닙니다",
    ),
    # ---- files -----------------------------------------------------------------------
    "problem.path": Text("not a usable path: {detail}", "쓸 수 없는 경로입니다: {detail}"),
    "problem.path_collision": Text(
        "cannot stand beside {other} on every file system",
        "{other}와(과) 함께 둘 수 없는 파일 시스템이 있습니다",
    ),
    "problem.link": Text("a link; copy the file instead", "링크입니다. 파일을 복사해 넣으십시오"),
    "problem.submodule": Text(
        "a Git submodule; copy its files instead", "Git 서브모듈입니다. 파일을 복사해 넣으십시오"
    ),
    "problem.lfs": Text(
        "a pointer of Git LFS, which is not supported; commit the file itself",
        "Git LFS 포인터는 지원하지 않습니다. 파일 자체를 커밋하십시오",
    ),
    "problem.special": Text("not a regular file", "일반 파일이 아닙니다"),
    "problem.unreadable": Text("cannot be read: {detail}", "읽을 수 없습니다: {detail}"),
    "problem.files_count": Text("more than {limit} files", "파일이 {limit}개보다 많습니다"),
    "problem.files_size": Text(
        "more than {limit} bytes in all", "모두 합쳐 {limit}바이트보다 큽니다"
    ),
    "problem.archive_format": Text(
        "neither a Python file nor a .tar.gz, .tar or .zip archive",
        "Python 파일도 .tar.gz, .tar, .zip 아카이브도 아닙니다",
    ),
    "problem.archive_ratio": Text(
        "an archive that grows to more than {limit} times its size",
        "압축을 풀면 {limit}배보다 커지는 아카이브입니다",
    ),
    "problem.archive_feature": Text(
        "{actual} in archives is not supported; pack the files anew as a plain .tar.gz or .zip",
        "아카이브의 {actual} 기능은 지원하지 않습니다. 일반 .tar.gz나 .zip으로 다시 묶으십시오",
    ),
    "problem.missing_file": Text(
        "no such file in the script's folder", "스크립트 폴더에 그런 파일이 없습니다"
    ),
    "problem.version_folder": Text(
        "has a metadata.json, but its name is not a SemVer 2.0.0 version",
        "metadata.json이 있지만 이름이 SemVer 2.0.0 버전이 아닙니다",
    ),
    # ---- requirements ----------------------------------------------------------------
    "problem.requirement": Text(
        "{actual} is not a requirement such as httpx>=0.27: {detail}",
        "{actual}은(는) httpx>=0.27 같은 요구 사항이 아닙니다: {detail}",
    ),
    "problem.requirement_option": Text(
        "the option {actual} cannot be used: a requirement is a name with versions, extras, a marker and --hash=sha256:... ; indexes are set by the worker's owner",
        "{actual} 옵션은 쓸 수 없습니다. 요구 사항에는 이름, 버전, 추가 기능, 마커, --hash=sha256:...만 쓸 수 있으며 인덱스는 워커 운영자가 정합니다",
    ),
    "problem.requirement_path": Text(
        "{actual} is a path; workers install from an index only: name the package, or put its source into the script's folder",
        "{actual}은(는) 경로입니다. 워커는 인덱스에서만 설치합니다. 패키지 이름을 적거나 소스를 스크립트 폴더에 넣으십시오",
    ),
    "problem.requirement_url": Text(
        "{actual} cannot be used; an address must read: name @ https://host/file.whl#sha256=…",
        "{actual}은(는) 쓸 수 없습니다. 주소는 다음 형식이어야 합니다: name @ https://host/file.whl#sha256=…",
    ),
    "problem.requirement_url_hash": Text(
        "{actual} has no hash; add #sha256=... and 64 hexadecimal digits",
        "{actual}에 해시가 없습니다. #sha256=...과 16진수 64자리를 더하십시오",
    ),
    "problem.requirement_credentials": Text(
        "the address at {actual} carries a user name or password; a private index is set by the worker's owner (worker.index_url)",
        "{actual}의 주소에 사용자 이름이나 비밀번호가 있습니다. 비공개 인덱스는 워커 운영자가 정합니다(worker.index_url)",
    ),
    "problem.requirement_hash": Text(
        "{actual} has no --hash; with a hash on one line every line needs one",
        "{actual}에 --hash가 없습니다. 한 줄에 해시가 있으면 모든 줄에 있어야 합니다",
    ),
    "problem.requirement_exact": Text(
        "{actual} needs an exact version (==) beside its hash",
        "{actual}에는 해시와 함께 정확한 버전(==)이 필요합니다",
    ),
    "problem.inline_twice": Text(
        "has more than one `# /// script` block",
        "`# /// script` 블록이 둘 이상 있습니다",
    ),
    "problem.inline_toml": Text(
        "its `# /// script` block is not TOML: {detail}",
        "`# /// script` 블록이 TOML이 아닙니다: {detail}",
    ),
    # ---- entry points ----------------------------------------------------------------
    "entry.missing_file": Text(
        "there is no such file in the script", "스크립트에 그런 파일이 없습니다"
    ),
    "entry.missing_function": Text(
        "the file has no function {function}", "파일에 {function} 함수가 없습니다"
    ),
    "entry.positional": Text(
        "the parameter {parameter} can only be given by position; parameters are passed by name",
        "매개변수 {parameter}은(는) 위치로만 받을 수 있습니다. 매개변수는 이름으로 전달됩니다",
    ),
    "problem.unparsed": Text(
        "its parameters could not be read from the source: {detail}",
        "소스에서 매개변수를 읽지 못했습니다: {detail}",
    ),
}
