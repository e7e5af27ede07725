"""Words of `zscrape top` and `zscrape completion`."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

TOP: Final[dict[str, Text]] = {
    "cli.top": Text(
        "Watch the cluster: queue, running tasks, workers, the last failures.\nExamples: zscrape top; zscrape top --interval 5; zscrape top --json",
        "클러스터를 지켜봅니다: 대기열, 실행 중인 작업, 워커, 최근 실패.\n예: zscrape top, zscrape top --interval 5, zscrape top --json",
    ),
    "cli.option.top_interval": Text(
        "Seconds between two looks, on a terminal.", "터미널에서 화면을 새로 고치는 간격(초)."
    ),
    "cli.option.once": Text(
        "Look once and end, as into a pipe.", "한 번만 보여 주고 끝냅니다(파이프에서는 기본)."
    ),
    "cli.top.figures": Text(
        "waiting {queued} (oldest {oldest_s} s)   running {running}   slots {free} of {slots} free   workers {workers}   CPU {cpu} %   memory {memory} %",
        "대기 {queued} (최장 {oldest_s}초)   실행 중 {running}   슬롯 {slots}개 중 {free}개 비어 있음   워커 {workers}   CPU {cpu}%   메모리 {memory}%",
    ),
    "cli.top.hour": Text(
        "last hour: completed {completed}, failed {failed}, cancelled {cancelled}, 95 % within {p95}",
        "최근 1시간: 완료 {completed}, 실패 {failed}, 취소 {cancelled}, 95%가 {p95} 안에 끝남",
    ),
    "cli.top.running": Text("Running", "실행 중"),
    "cli.top.workers": Text("Workers", "워커"),
    "cli.top.failures": Text("Last failures", "최근 실패"),
    "cli.column.worker": Text("worker", "워커"),
    "cli.top.nothing": Text("none", "없음"),
    "cli.top.end": Text("Ctrl-C ends this view.", "Ctrl-C를 누르면 화면이 끝납니다."),
    "cli.top.away": Text(
        "The gateway does not answer: {reason}", "게이트웨이가 응답하지 않습니다: {reason}"
    ),
    "cli.completion": Text(
        "Print what lets a shell complete zscrape's verbs and options.\nExamples: zscrape completion bash >> ~/.bashrc; zscrape completion zsh >> ~/.zshrc; zscrape completion fish > ~/.config/fish/completions/zscrape.fish",
        "셸에서 zscrape의 명령과 옵션을 자동 완성하는 코드를 출력합니다.\n예: zscrape completion bash >> ~/.bashrc, zscrape completion zsh >> ~/.zshrc, zscrape completion fish > ~/.config/fish/completions/zscrape.fish",
    ),
}
