"""Words of `scripts publish sign verify cleanup`."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

PUBLISHING: Final[dict[str, Text]] = {
    # ---- verbs -----------------------------------------------------------------------
    "cli.scripts.publish": Text(
        "Put a version of a script into a repository: checked, with checksums, signed if a key is given.\nExamples: zscrape scripts publish ./price_watch --key publisher.pem; zscrape scripts publish ./price_watch --to price_watch.tar.gz",
        "스크립트의 한 버전을 저장소에 게시합니다. 검사하고 체크섬을 넣으며, 키가 있으면 서명합니다.\n예: zscrape scripts publish ./price_watch --key publisher.pem, zscrape scripts publish ./price_watch --to price_watch.tar.gz",
    ),
    "cli.scripts.sign": Text(
        "Sign scripts: checksums of all files and a signature go into metadata.json.\nExample: zscrape scripts sign ./price_watch --key publisher.pem --new-key",
        "스크립트에 서명합니다. 모든 파일의 체크섬과 서명을 metadata.json에 넣습니다.\n예: zscrape scripts sign ./price_watch --key publisher.pem --new-key",
    ),
    "cli.scripts.verify": Text(
        "Check bytes and signatures: of folders (./price_watch), of NAME[@VERSION], or of all that the repositories hold.\nRepositories are read anew, past every cache; a gateway need not run.",
        "폴더(./price_watch), 이름[@버전], 또는 저장소 전체의 내용과 서명을 확인합니다.\n캐시를 거치지 않고 저장소를 새로 읽으며, 게이트웨이는 없어도 됩니다.",
    ),
    "cli.scripts.cleanup": Text(
        "Remove scripts that nobody has used for long from the cache.\nWhat was used in the last two hours stays, so a gateway and workers may run meanwhile.",
        "오래 쓰지 않은 스크립트를 캐시에서 지웁니다.\n최근 두 시간 안에 쓴 것은 남기므로 게이트웨이와 워커가 실행 중이어도 됩니다.",
    ),
    # ---- options ---------------------------------------------------------------------
    "cli.option.to": Text(
        "Name of a repository, a folder of scripts, or a .tar.gz; the first repository.",
        "저장소 이름, 스크립트들의 폴더, 또는 .tar.gz. 기본값은 첫 저장소입니다.",
    ),
    "cli.option.signing_key": Text("File with the private key.", "개인 키 파일."),
    "cli.option.new_key": Text(
        "Make the key first; the public one is put beside it.",
        "먼저 키를 만듭니다. 공개 키는 그 옆에 둡니다.",
    ),
    "cli.option.dry_run": Text(
        "Check everything and change nothing.", "모두 확인하되 아무것도 바꾸지 않습니다."
    ),
    "cli.option.strict": Text(
        "Call what no trusted key has signed invalid, too.",
        "신뢰하는 키로 서명되지 않은 것도 유효하지 않다고 봅니다.",
    ),
    "cli.option.older_than": Text(
        "Hours without use; the setting cache_max_age_h.",
        "쓰지 않은 시간(단위: 시간). 기본값은 설정 cache_max_age_h입니다.",
    ),
    # ---- what is said ----------------------------------------------------------------
    "cli.column.signature": Text("signature", "서명"),
    "cli.column.digest": Text("digest", "다이제스트"),
    "cli.column.checksums": Text("checksums", "체크섬"),
    "cli.fact.name": Text("name", "이름"),
    "cli.fact.place": Text("where", "위치"),
    "cli.fact.repository": Text("repository", "저장소"),
    "cli.fact.files": Text("files", "파일"),
    "cli.fact.signed_by": Text("signed by", "서명 키"),
    "cli.usage.new_key": Text(
        "--new-key makes the file that --key names; give --key FILE.",
        "--new-key는 --key가 가리키는 파일을 만듭니다. --key 파일 을 지정하십시오.",
    ),
    "cli.usage.nothing_to_sign": Text(
        "Give a script's folder to sign, or --new-key.",
        "서명할 스크립트의 폴더나 --new-key를 지정하십시오.",
    ),
    "cli.sign.new_key": Text(
        "Key {key_id}: keep {private} to yourself, and name {public} in `trusted_keys` wherever its scripts are to run.",
        "키 {key_id}: {private}은(는) 남에게 보이지 말고, 스크립트를 실행할 곳마다 {public}을(를) `trusted_keys`에 적으십시오.",
    ),
    "cli.sign.done": Text(
        "Signed {name} {version} with the key {key_id}: {files} files, {path}",
        "{name} {version}을(를) 키 {key_id}(으)로 서명했습니다. 파일 {files}개, {path}",
    ),
    "cli.publish.checked": Text(
        "Checked {name} {version} ({digest}). Publishing ...",
        "{name} {version} ({digest})을(를) 검사했습니다. 게시합니다 ...",
    ),
    "cli.publish.done": Text(
        "Published {name} {version} to {repository}.",
        "{name} {version}을(를) {repository}에 게시했습니다.",
    ),
    "cli.publish.dry": Text(
        "{name} {version} can be published to {repository}; nothing was written.",
        "{name} {version}을(를) {repository}에 게시할 수 있습니다. 아무것도 쓰지 않았습니다.",
    ),
    "cli.publish.next": Text(
        "A running gateway sees it at its next look: zscrape scripts refresh",
        "실행 중인 게이트웨이는 다음에 저장소를 볼 때 알게 됩니다. 바로 보기: zscrape scripts refresh",
    ),
    "cli.verify.none": Text("There is nothing to verify.", "확인할 것이 없습니다."),
    "cli.verify.done": Text(
        "{count} versions verified, {failed_count} not valid.",
        "버전 {count}개를 확인했습니다. 유효하지 않은 것: {failed_count}개.",
    ),
    "cli.verify.unsigned": Text("unsigned", "서명 없음"),
    "cli.verify.valid": Text("valid ({name})", "유효({name})"),
    "cli.verify.unknown_key": Text("unknown key {name}", "모르는 키 {name}"),
    "cli.verify.invalid": Text("not valid", "유효하지 않음"),
    "cli.verify.yes": Text("match", "일치"),
    "cli.verify.no": Text("none", "없음"),
    "cli.cleanup.removed": Text("{digest}  {size_bytes} bytes", "{digest}  {size_bytes}바이트"),
    "cli.cleanup.done": Text(
        "Removed {count} scripts, {size_bytes} bytes; {kept_count} stay in {cache}.",
        "스크립트 {count}개, {size_bytes}바이트를 지웠습니다. {cache}에 {kept_count}개가 남았습니다.",
    ),
    "cli.cleanup.dry": Text(
        "Would remove {count} scripts, {size_bytes} bytes; {kept_count} would stay in {cache}.",
        "스크립트 {count}개, {size_bytes}바이트를 지우게 됩니다. {cache}에는 {kept_count}개가 남습니다.",
    ),
}
