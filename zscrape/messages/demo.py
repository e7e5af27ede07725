"""Words of `zscrape demo`."""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

DEMO: Final[dict[str, Text]] = {
    "cli.demo.starting": Text(
        "Starting a site, a gateway and a worker", "사이트, 게이트웨이, 워커를 시작합니다"
    ),
    "cli.demo.ready": Text(
        "site {site}   gateway {http}   worker {worker_id} ({slots} slots)   {seconds:.1f} s",
        "사이트 {site}   게이트웨이 {http}   워커 {worker_id}(슬롯 {slots}개)   {seconds:.1f}초",
    ),
    "cli.demo.more": Text("... and {count} more", "... 외 {count}개"),
    "cli.demo.failed": Text(
        "{script} did not complete: {code}", "{script}이(가) 완료되지 않았습니다: {code}"
    ),
    "cli.demo.done": Text(
        "{count} scripts ran through HTTP in {seconds:.1f} s.",
        "스크립트 {count}개를 HTTP로 {seconds:.1f}초 만에 실행했습니다.",
    ),
    "cli.demo.next": Text(
        "Next: zscrape up, then in another terminal: zscrape scripts new my_script; zscrape run ./my_script",
        "다음: zscrape up, 그리고 다른 터미널에서: zscrape scripts new my_script, zscrape run ./my_script",
    ),
    "cli.demo.keep": Text(
        "Left running at {http}. Use it with: export ZSCRAPE_HOME={home}. Stop with Ctrl-C.",
        "{http}에서 계속 실행 중입니다. 사용하기: export ZSCRAPE_HOME={home}. 종료: Ctrl-C.",
    ),
    "cli.demo.page_text": Text("text and links of a page", "페이지의 본문과 링크"),
    "cli.demo.table_rows": Text("a table as rows", "표를 행으로"),
    "cli.demo.paginated_items": Text("a paginated list as items", "여러 쪽에 걸친 목록을 항목으로"),
    "cli.demo.sitemap_crawl": Text("a site by its sitemap", "사이트맵을 따라 사이트 훑기"),
    "cli.demo.feed_entries": Text("a feed's entries", "피드의 글"),
    "cli.demo.price_watch": Text("prices compared with the last ones", "지난번과 비교한 가격"),
    "cli.demo.file_download": Text("a file as an artifact", "파일을 산출물로"),
    "cli.demo.login_session": Text("a page behind a login", "로그인해야 보이는 페이지"),
    "cli.demo.json_paging": Text("a JSON API, page by page", "JSON API를 페이지별로"),
    "cli.demo.korean_page": Text("an old board in EUC-KR", "EUC-KR로 된 옛 게시판"),
    "cli.demo.infinite_scroll": Text(
        "a list that grows as it is scrolled, by a browser", "스크롤하면 늘어나는 목록을 브라우저로"
    ),
    "cli.demo.screenshot_pdf": Text(
        "a page as a picture and as a PDF", "페이지를 그림과 PDF 산출물로"
    ),
    "cli.demo.captcha_page": Text(
        "what stands behind a checkbox that wants a click", "체크박스를 눌러야 보이는 내용"
    ),
}
