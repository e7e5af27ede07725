"""Words about machines: workers as their services, bundles for those without internet."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

SERVICES: Final[dict[str, Text]] = {
    "cli.worker.install": Text(
        "Have this machine start the worker: a systemd unit, or launchd's property list.\nExample: zscrape worker install --join TOKEN --now",
        "이 컴퓨터가 워커를 시작하도록 systemd 유닛 또는 launchd 속성 목록을 씁니다.\n예: zscrape worker install --join TOKEN --now",
    ),
    "cli.worker.uninstall": Text(
        "Take the worker's service away; its home folder stays.",
        "워커 서비스를 제거합니다. 홈 폴더는 남습니다.",
    ),
    "cli.option.service_name": Text(
        "Name of the service; another worker of this machine needs another.",
        "서비스 이름. 같은 컴퓨터의 다른 워커에는 다른 이름이 필요합니다.",
    ),
    "cli.option.service_user": Text(
        "A service of this user, or of the whole machine; as root the machine's by default.",
        "이 사용자의 서비스 또는 시스템 서비스. root의 기본값은 시스템 서비스입니다.",
    ),
    "cli.option.service_init": Text(
        "What starts services here; found by itself.",
        "서비스를 시작하는 프로그램. 지정하지 않으면 자동으로 정합니다.",
    ),
    "cli.option.service_now": Text(
        "Start it, too, now and after each boot.", "지금 시작하고 부팅할 때마다 시작합니다."
    ),
    "cli.worker.install.no_join": Text(
        "says which gateway to join, by what `zscrape token create` prints there. Give it, or set ZSCRAPE_JOIN.",
        "합류할 게이트웨이가 필요합니다. 게이트웨이에서 `zscrape token create`가 출력하는 토큰을 이 옵션이나 ZSCRAPE_JOIN으로 주십시오.",
    ),
    "cli.worker.install.done": Text(
        "Written: {unit} and, with the token and readable by its owner only, {settings}.",
        "{unit}을(를) 썼고, 토큰은 소유자만 읽을 수 있는 {settings}에 썼습니다.",
    ),
    "cli.worker.install.dry": Text(
        "Nothing was written: this would be {unit} and {settings}.",
        "아무것도 쓰지 않았습니다. 쓰게 될 파일은 {unit}, {settings}입니다.",
    ),
    "cli.worker.install.next": Text("To start it:", "시작하려면:"),
    "cli.worker.install.started": Text(
        "{name} runs, and is started after each boot.",
        "{name}이(가) 실행 중이며 부팅할 때마다 시작합니다.",
    ),
    "cli.worker.uninstall.done": Text(
        "Removed: {unit} and {settings}. The worker's id, keys and cache are still in {home}.",
        "{unit}와(과) {settings}을(를) 제거했습니다. 워커의 ID, 키, 캐시는 {home}에 남아 있습니다.",
    ),
    "cli.worker.uninstall.dry": Text(
        "Nothing was removed: it would be {unit} and {settings}.",
        "아무것도 제거하지 않았습니다. 제거하게 될 파일은 {unit}, {settings}입니다.",
    ),
    "cli.worker.uninstall.none": Text(
        "There is no service at {unit}.", "{unit}에 서비스가 없습니다."
    ),
    "cli.worker.uninstall.fault": Text(
        "Could not be run: {command}: {reason}", "실행하지 못했습니다: {command}: {reason}"
    ),
    "cli.bundle": Text(
        "Put zscrape, scripts and their packages into one archive, for machines without internet.\nThere: unpack it and run sh install.sh. Example: zscrape bundle zscrape.tar.gz price_watch@^1.2 --platform aarch64",
        "zscrape, 스크립트, 필요한 패키지를 인터넷이 없는 컴퓨터용 아카이브 하나에 담습니다.\n그 컴퓨터에서 풀고 sh install.sh를 실행합니다. 예: zscrape bundle zscrape.tar.gz price_watch@^1.2 --platform aarch64",
    ),
    "cli.option.bundle_platform": Text(
        "Kind of machine it is for: x86_64, aarch64, manylinux2014_aarch64; may be given again. This machine's.",
        "대상 컴퓨터 종류: x86_64, aarch64, manylinux2014_aarch64. 여러 번 지정할 수 있습니다. 기본값은 이 컴퓨터의 종류.",
    ),
    "cli.option.bundle_python": Text(
        "Version of Python there, such as 3.12; this machine's.",
        "대상 컴퓨터의 파이썬 버전. 예: 3.12. 기본값은 이 컴퓨터의 버전.",
    ),
    "cli.usage.bundle_python": Text(
        "--python {given}: a version from 3.11 on was expected, such as 3.12.",
        "--python {given}: 3.12처럼 3.11 이상의 버전이어야 합니다.",
    ),
    "cli.bundle.taking": Text("Taking along {target} ...", "{target} 담는 중 ..."),
    "cli.bundle.left_out": Text("{target} is left out: {reason}", "{target} 제외: {reason}"),
    "cli.bundle.no_wheel": Text(
        "Not everything has a wheel for {platform}: {reason} A newer one may: --platform aarch64 and x86_64 mean manylinux_2_28.",
        "{platform}용 휠이 없는 패키지가 있습니다: {reason} 더 새로운 플랫폼에는 있을 수 있습니다. --platform aarch64와 x86_64는 manylinux_2_28을 뜻합니다.",
    ),
    "cli.bundle.unresolved": Text(
        "The packages could not be had for {platform}: {reason}",
        "{platform}용 패키지를 가져올 수 없습니다: {reason}",
    ),
    "cli.bundle.done": Text(
        "{path}: {size_mb:.1f} MB, {count} scripts.",
        "{path}: {size_mb:.1f} MB, 스크립트 {count}개.",
    ),
    "cli.bundle.next": Text(
        "There: tar xf {name} && sh {folder}/install.sh --prefix /opt/zscrape",
        "대상 컴퓨터에서: tar xf {name} && sh {folder}/install.sh --prefix /opt/zscrape",
    ),
    "cli.usage.early": Text(
        "{option} stands before {name}, where it means nothing. Put it after {name}.",
        "{option}이(가) {name} 앞에 있어 아무 뜻이 없습니다. {name} 뒤에 쓰십시오.",
    ),
    "config_invalid.foreign_unit": Text(
        "{source} was not written by `zscrape worker install`. Choose another --name, or remove it yourself.",
        "{source}은(는) `zscrape worker install`이 쓴 파일이 아닙니다. 다른 --name을 고르거나 직접 제거하십시오.",
    ),
}
