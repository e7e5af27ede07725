"""Words of the client, and of roles that it starts."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

CLIENT: Final[dict[str, Text]] = {
    "client.gateway_unknown": Text(
        "No gateway is known: {path} is not there. Start one with zscrape up, or give --url and --key (ZSCRAPE_URL and ZSCRAPE_API_KEY in the environment).",
        "게이트웨이를 알 수 없습니다. {path} 파일이 없습니다. zscrape up 으로 시작하거나 --url과 --key(환경 변수로는 ZSCRAPE_URL과 ZSCRAPE_API_KEY)를 지정하십시오.",
    ),
    "client.address_invalid": Text(
        "{url} ({source}) is no address of a gateway. Write it as http://HOST:PORT or https://HOST:PORT.",
        "{url}({source})은(는) 게이트웨이 주소가 아닙니다. http://호스트:포트 또는 https://호스트:포트 형식으로 쓰십시오.",
    ),
    "client.file_invalid": Text(
        "{path} cannot be used: {reason}. Start the gateway again to have it written anew.",
        "{path}을(를) 쓸 수 없습니다: {reason}. 게이트웨이를 다시 시작하면 새로 만들어집니다.",
    ),
    "client.not_completed": Text(
        "Task {id} has not completed: it is {status}. Wait for its end with client.wait(id).",
        "작업 {id}이(가) 완료되지 않았습니다. 지금 상태는 {status}입니다. client.wait(id)로 끝나기를 기다리십시오.",
    ),
    "client.wait_over": Text(
        "Task {id} was still {status} after {wait:g} s. It goes on: wait again, or end it with client.cancel(id).",
        "작업 {id}이(가) {wait:g}초가 지나도 {status} 상태입니다. 작업은 계속됩니다. 다시 기다리거나 client.cancel(id)로 끝내십시오.",
    ),
    "client.view.items": Text("{count} items", "항목 {count}개"),
    "client.view.files": Text("Files:", "파일:"),
    "client.view.more": Text(
        "{shown} of {count} are shown.", "{count}개 중 {shown}개를 표시합니다."
    ),
    "client.gateway_unreachable": Text(
        "The gateway at {url} does not answer ({reason}). Is it running? Start one with zscrape up, or check --url (ZSCRAPE_URL).",
        "{url} 게이트웨이가 응답하지 않습니다({reason}). 실행 중인지 보십시오. zscrape up 으로 시작하거나 --url(ZSCRAPE_URL)을 확인하십시오.",
    ),
    "client.answer_invalid": Text(
        "What answers at {url} is no zscrape gateway (HTTP {status}). Check --url.",
        "{url}에서 응답하는 것은 zscrape 게이트웨이가 아닙니다(HTTP {status}). --url을 확인하십시오.",
    ),
    "role_failed": Text(
        "The {role} ended before it was ready (exit code {exit_code}):\n{told}",
        "{role}이(가) 준비되기 전에 끝났습니다(종료 코드 {exit_code}):\n{told}",
    ),
    "role_failed.late": Text(
        "The {role} was not ready after {limit_s} seconds and was ended:\n{told}",
        "{role}이(가) {limit_s}초 안에 준비되지 않아 종료했습니다:\n{told}",
    ),
}
