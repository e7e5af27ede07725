"""Words of the calls that Scrapyd and ScrapyRT know."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

DIALECTS: Final[dict[str, Text]] = {
    "http.dialect_missing": Text(
        "{pointer}: this parameter is required.", "{pointer}: 필수 매개변수입니다."
    ),
    "http.dialect_form": Text(
        "{pointer}: expected a form (application/x-www-form-urlencoded), not {given}.",
        "{pointer}: application/x-www-form-urlencoded 형식이어야 하는데 {given} 형식입니다.",
    ),
    "http.dialect_fields": Text(
        "{pointer}: a form has at most {limit} fields.",
        "{pointer}: 양식의 필드는 최대 {limit}개입니다.",
    ),
    "http.dialect_project": Text(
        "{pointer}: there is no project {given}. A script is a project of its own name with one spider, and the project default holds all scripts: use project={known} or project=default.",
        "{pointer}: {given} 프로젝트가 없습니다. 스크립트 하나가 같은 이름의 프로젝트이자 그 안의 스파이더 하나이고, default 프로젝트에는 모든 스크립트가 있습니다. project={known} 또는 project=default로 지정하십시오.",
    ),
    "http.dialect_setting": Text(
        "{pointer}: {given} cannot be set here, since scripts have no Scrapy settings. Pass it as a parameter of the script, set the site's budget (zscrape sites set), or give the script its defaults in zscrape.toml under [scripts.NAME].",
        "{pointer}: 스크립트에는 Scrapy 설정이 없으므로 여기서 {given}을(를) 지정할 수 없습니다. 스크립트의 매개변수로 넘기거나, 사이트 예산을 정하거나(zscrape sites set), zscrape.toml의 [scripts.이름]에 기본값을 지정하십시오.",
    ),
    "http.dialect_priority": Text(
        "{pointer}: a priority is a whole number from -100 to 100, not {given}.",
        "{pointer}: 우선순위는 -100에서 100 사이의 정수여야 하는데 {given}입니다.",
    ),
    "http.dialect_job_id": Text(
        "{pointer}: an id is 1 to 200 visible ASCII characters.",
        "{pointer}: 아이디는 눈에 보이는 ASCII 문자 1자에서 200자까지입니다.",
    ),
    "http.dialect_versions": Text(
        "{pointer}: versions are not uploaded or deleted over this call, since scripts come from repositories. Publish one with zscrape scripts publish, and have the gateway look again with POST /v1/scripts/refresh.",
        "{pointer}: 스크립트는 저장소에서 오므로 이 호출로 버전을 올리거나 지울 수 없습니다. zscrape scripts publish로 게시한 뒤 POST /v1/scripts/refresh로 게이트웨이가 다시 읽게 하십시오.",
    ),
    "http.dialect_request": Text(
        "{pointer}: {given} has no counterpart here, since a script makes its requests itself. Pass what it needs as its parameters, in crawl_args.",
        "{pointer}: 요청은 스크립트가 직접 만들므로 {given}에 해당하는 것이 없습니다. 필요한 값은 crawl_args에 스크립트의 매개변수로 넘기십시오.",
    ),
    "http.dialect_object": Text(
        "{pointer}: expected a JSON object.", "{pointer}: JSON 객체여야 합니다."
    ),
}
