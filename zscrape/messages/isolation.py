"""Words about the layers that keep a script from what is not its own."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

ISOLATION: Final[dict[str, Text]] = {
    "config_invalid.canary": Text(
        "{source}: an ordinary script fails on this worker: {value}. zscrape doctor tells more; a layer can be left out by isolation.skip.",
        "{source}: 이 워커에서는 평범한 스크립트도 실패합니다: {value}. 자세한 것은 zscrape doctor로 확인하고, 특정 계층은 isolation.skip으로 뺄 수 있습니다.",
    ),
    "config_invalid.kernel": Text(
        "The kernel refuses {source}, without which no attempt's processes can be held together: {reason}. A worker runs on Linux itself, not under an emulation of its calls such as qemu-user; zscrape doctor tells what this machine has.",
        "커널이 {source}을(를) 거부합니다: {reason}. 이것이 없으면 시도의 프로세스들을 한데 묶어 둘 수 없습니다. 워커는 qemu-user처럼 시스템 호출을 흉내 내는 환경이 아니라 실제 Linux에서 실행하십시오. 이 머신에 무엇이 있는지는 zscrape doctor로 확인할 수 있습니다.",
    ),
    "config_invalid.layer": Text(
        "{source}: the layer {value} is not in force here: {expected}. Mend that, or no longer require it.",
        "{source}: {value} 계층이 여기서는 적용되지 않습니다: {expected}. 원인을 고치거나 필수 목록에서 빼십시오.",
    ),
    "event.isolation_ready": Text(
        "Scripts are isolated by: {layers}", "스크립트를 격리하는 계층: {layers}"
    ),
    "event.isolation_missing": Text(
        "The isolation layer {layer} is not in force: {reason}",
        "격리 계층 {layer}이(가) 적용되지 않습니다: {reason}",
    ),
    "doctor.layer.missing": Text(
        "not in force: {reason}. Without it, {cost}",
        "적용되지 않음: {reason}. 이 계층이 없으면 {cost}",
    ),
    "doctor.layer.session": Text(
        "in force: an attempt is a session of its own", "적용됨: 시도마다 별도의 세션을 씁니다"
    ),
    "doctor.layer.rlimits": Text(
        "in force: memory, processor time, files and processes are limited",
        "적용됨: 메모리, CPU 시간, 파일, 프로세스 수를 제한합니다",
    ),
    "doctor.layer.descriptors": Text(
        "in force: nothing that the worker has open is inherited",
        "적용됨: 워커가 연 파일과 소켓을 물려받지 않습니다",
    ),
    "doctor.layer.environment": Text(
        "in force: only variables of a short list are seen",
        "적용됨: 정해진 환경 변수만 볼 수 있습니다",
    ),
    "doctor.layer.folder": Text(
        "in force: working directory, HOME and TMPDIR are a private folder",
        "적용됨: 작업 디렉터리, HOME, TMPDIR이 전용 폴더입니다",
    ),
    "doctor.layer.tree": Text(
        "in force: all that an attempt has started ends with it",
        "적용됨: 시도가 시작한 프로세스는 시도와 함께 모두 끝납니다",
    ),
    "doctor.layer.memory": Text(
        "in force: the memory of all processes of an attempt together is watched",
        "적용됨: 시도에 속한 모든 프로세스의 메모리 합을 감시합니다",
    ),
    "doctor.layer.no_new_privileges": Text(
        "in force: no program gives a script more rights",
        "적용됨: 어떤 프로그램도 스크립트에 권한을 더해 주지 못합니다",
    ),
    "doctor.layer.user": Text(
        "in force: each attempt is a user of its own",
        "적용됨: 시도마다 별도의 사용자로 실행합니다",
    ),
    "doctor.layer.view": Text(
        "in force: only the system, the interpreter, scripts and private folders can be seen",
        "적용됨: 시스템, 인터프리터, 스크립트, 전용 폴더만 보입니다",
    ),
    "doctor.layer.view.processes": Text(
        "in force: only the system, the interpreter, scripts and private folders can be seen; /proc still shows which processes there are (hiding them needs root)",
        "적용됨: 시스템, 인터프리터, 스크립트, 전용 폴더만 보입니다. 다만 /proc에서 어떤 프로세스가 있는지는 보입니다(숨기려면 root 권한이 필요합니다)",
    ),
    "doctor.layer.landlock": Text(
        "in force: a script reads its own code and writes to its own folder",
        "적용됨: 자기 코드만 읽고 자기 폴더에만 씁니다",
    ),
    "doctor.layer.seccomp": Text(
        "in force: system calls that attacks begin with are refused",
        "적용됨: 공격의 출발점이 되는 시스템 호출을 거부합니다",
    ),
    "doctor.layer.network": Text(
        "in force: the kernel refuses every packet that the network policy does not let out",
        "적용됨: 네트워크 정책이 허용하지 않는 패킷을 커널이 모두 거부합니다",
    ),
    "doctor.layer.network.supervised": Text(
        "in force (supervised): a process of the worker makes the connections that the network policy lets scripts have, and refuses the others. Packets are not held by the kernel: {reason}",
        "적용됨(supervised): 네트워크 정책이 허용하는 연결을 워커의 감독 프로세스가 대신 맺고 나머지는 거부합니다. 커널이 패킷을 막지는 않습니다: {reason}",
    ),
    "doctor.cost.network": Text(
        "only Python's own sockets are held to the network policy.",
        "네트워크 정책이 Python 소켓에만 적용됩니다.",
    ),
    "doctor.cost.no_new_privileges": Text(
        "set-user-id programs can be run by scripts.",
        "스크립트가 set-user-id 프로그램을 실행할 수 있습니다.",
    ),
    "doctor.cost.tree": Text(
        "processes could outlive their attempts, and no worker starts.",
        "프로세스가 시도보다 오래 남을 수 있어 워커가 시작되지 않습니다.",
    ),
    "doctor.cost.user": Text(
        "attempts share the worker's user, and its limit of processes.",
        "시도들이 워커의 사용자와 프로세스 수 제한을 함께 씁니다.",
    ),
    "doctor.cost.view": Text(
        "scripts can tell which files and processes exist.",
        "스크립트가 어떤 파일과 프로세스가 있는지 알 수 있습니다.",
    ),
    "doctor.cost.landlock": Text(
        "scripts read and write whatever their user may.",
        "스크립트가 그 사용자의 권한으로 무엇이든 읽고 씁니다.",
    ),
    "doctor.cost.seccomp": Text(
        "scripts can use parts of the kernel that they do not need.",
        "스크립트가 필요 없는 커널 기능까지 쓸 수 있습니다.",
    ),
}
