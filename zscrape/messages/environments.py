"""Words of environments: why one cannot be made, and what a task is told of one."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

ENVIRONMENTS: Final[dict[str, Text]] = {
    "environment_error.no_interpreter": Text(
        "no interpreter for Python {python}. Found here: {found}. Install one on the worker, or widen `python_version`",
        "Python {python}에 맞는 인터프리터가 없습니다. 여기서 찾은 것: {found}. 워커에 설치하거나 `python_version`을 넓히십시오",
    ),
    "environment_error.old_interpreter": Text(
        "Python {version} is too old to run scripts; {oldest} is the oldest that can. Raise `python_version`",
        "Python {version}은(는) 스크립트를 실행하기에 너무 오래되었습니다. {oldest} 이상이 필요합니다. `python_version`을 올리십시오",
    ),
    "environment_error.bad_interpreter": Text(
        "the interpreter {path} cannot be used: {detail}",
        "인터프리터 {path}을(를) 쓸 수 없습니다: {detail}",
    ),
    "environment_error.no_uv": Text(
        "uv, which builds environments, cannot be run: {detail}. Install zscrape again",
        "실행 환경을 만드는 uv를 실행할 수 없습니다: {detail}. zscrape를 다시 설치하십시오",
    ),
    "environment_error.none": Text(
        "this worker makes no environments",
        "이 워커는 실행 환경을 만들지 않습니다",
    ),
    "environment_error.no_builds": Text(
        "Only wheels are installed: the worker's owner may allow building from source (worker.allow_builds)",
        "휠만 설치합니다. 워커 운영자가 소스 빌드를 허용할 수 있습니다(worker.allow_builds)",
    ),
    "environment_error.timeout": Text(
        "it was not ready after {limit_s:g} s (worker.build_timeout_s)",
        "{limit_s:g}초가 지나도 준비되지 않았습니다(worker.build_timeout_s)",
    ),
    "environment_error.too_large": Text(
        "it is larger than {limit_bytes} bytes (worker.environment_size_limit)",
        "{limit_bytes}바이트보다 큽니다(worker.environment_size_limit)",
    ),
    "environment_error.disk_full": Text(
        "the worker's disk is full: {free_bytes} bytes are free",
        "워커의 디스크가 가득 찼습니다. 여유 공간: {free_bytes}바이트",
    ),
    "environment_error.loud": Text(
        "the installer said more than {limit_bytes} bytes",
        "설치 프로그램의 출력이 {limit_bytes}바이트를 넘었습니다",
    ),
    "environment_error.killed": Text(
        "the installer was ended by {signal}",
        "설치 프로그램이 {signal}(으)로 끝났습니다",
    ),
    "environment_error.disk": Text(
        "its folder cannot be written: {detail}",
        "폴더에 쓸 수 없습니다: {detail}",
    ),
}
