"""Words of the dashboard's first steps, and of the sample scripts in both languages.

A sample's own words are English, as its author wrote them; where they stand here letter for
letter, the dashboard tells them in the reader's language.
"""

from __future__ import annotations

from typing import Final

from zscrape.messages.catalogue import Text

DASHBOARD_START: Final[dict[str, Text]] = {
    "ui.start.title": Text("First steps", "처음 시작하기"),
    "ui.start.hide": Text("Hide", "숨기기"),
    "ui.start.back": Text("Go on with the first steps", "처음 시작하기로 돌아가기"),
    "ui.start.done": Text("done", "완료"),
    "ui.start.open": Text("to do", "할 일"),
    "ui.start.run": Text(
        "Run a script and watch its rows arrive.",
        "스크립트를 실행하고 항목이 들어오는 것을 확인하십시오.",
    ),
    "ui.start.run.do": Text("Open the practice shop", "연습 상점 열기"),
    "ui.start.run.look": Text("Look at its rows", "가져온 항목 보기"),
    "ui.start.fail": Text(
        "See how a task tells why it failed: run it on a shop that has been rebuilt.",
        "작업이 실패한 이유를 어떻게 알려 주는지 보십시오. 개편된 상점에서 실행하면 실패합니다.",
    ),
    "ui.start.fail.do": Text("Try the rebuilt shop", "개편된 상점으로 해 보기"),
    "ui.start.fail.look": Text("Look why it failed", "실패한 이유 보기"),
    "ui.start.schedule": Text(
        "Have it run by itself: give it a schedule.",
        "저절로 실행되게 일정을 만드십시오.",
    ),
    "ui.start.schedule.do": Text("Make a schedule", "일정 만들기"),
    "ui.start.schedule.look": Text("Look at the schedule", "일정 보기"),
    "ui.start.own": Text(
        "Then one of your own; this makes a script to begin with:",
        "이제 직접 만들어 보십시오. 다음 명령이 시작용 스크립트를 만듭니다.",
    ),
    "ui.sample.captcha_page": Text(
        "What stands behind a captcha: a checkbox is clicked, a picture is shown to a person.",
        "캡차 뒤에 있는 내용: 체크박스는 누르고, 그림은 사람에게 보여 줍니다.",
    ),
    "ui.sample.feed_entries": Text("Entries of an RSS or Atom feed.", "RSS나 Atom 피드의 글."),
    "ui.sample.file_download": Text(
        "A file, kept with the task as an artifact.",
        "파일 하나를 받아 작업의 산출물로 보관합니다.",
    ),
    "ui.sample.infinite_scroll": Text(
        "Items of a list that grows as it is scrolled, read in a browser.",
        "스크롤하면 늘어나는 목록의 항목을 브라우저로 읽습니다.",
    ),
    "ui.sample.json_paging": Text(
        "Items of a JSON API that pages by a cursor.",
        "커서로 페이지를 나누는 JSON API의 항목.",
    ),
    "ui.sample.korean_page": Text(
        "Rows of an old Korean board: pages and a search form in EUC-KR.",
        "오래된 한국어 게시판의 글: EUC-KR 페이지와 검색 양식.",
    ),
    "ui.sample.login_session": Text(
        "Rows of a table that only members see: a login with a CSRF token and cookies.",
        "회원만 보는 표의 행: CSRF 토큰과 쿠키로 로그인합니다.",
    ),
    "ui.sample.noop": Text(
        "Returns its parameters: the smallest script, for a first call and for measuring.",
        "매개변수를 그대로 돌려줍니다. 첫 호출과 측정에 쓰는 가장 작은 스크립트입니다.",
    ),
    "ui.sample.page_text": Text(
        "Text, headings and links of one page.", "한 페이지의 텍스트, 제목, 링크."
    ),
    "ui.sample.paginated_items": Text(
        "Items of a list that goes on over several pages, streamed as they are found.",
        "여러 페이지에 걸친 목록의 항목을 찾는 대로 보냅니다.",
    ),
    "ui.sample.practice_shop": Text(
        "Products of a small shop whose pages come with the script: for a first run, without a network.",
        "스크립트에 딸린 작은 상점의 상품. 네트워크 없이 처음 실행해 보기에 좋습니다.",
    ),
    "ui.sample.practice_shop.layout": Text(
        "Which pages to read; on the rebuilt ones the script finds nothing, and fails.",
        "읽을 페이지. 개편된 페이지(rebuilt)에서는 스크립트가 아무것도 찾지 못해 실패합니다.",
    ),
    "ui.sample.practice_shop.pages": Text(
        "Stop after so many pages; there are four.", "읽을 페이지 수. 모두 네 쪽입니다."
    ),
    "ui.sample.practice_shop.pause_s": Text(
        "Seconds to rest between two pages, so that rows are seen to arrive.",
        "페이지 사이에 쉬는 시간(초). 항목이 들어오는 것을 볼 수 있습니다.",
    ),
    "ui.sample.price_watch": Text(
        "The price on a page, compared with the one last seen.",
        "페이지의 가격을 지난번 가격과 비교합니다.",
    ),
    "ui.sample.screenshot_pdf": Text(
        "A page as a picture and as a PDF, kept as artifacts.",
        "페이지를 그림과 PDF로 만들어 산출물로 보관합니다.",
    ),
    "ui.sample.sitemap_crawl": Text(
        "Titles of the pages that a sitemap lists, through sitemaps of sitemaps.",
        "사이트맵에 있는 페이지의 제목. 사이트맵의 사이트맵도 따라갑니다.",
    ),
    "ui.sample.table_rows": Text(
        "Rows of a table, one item each, with the column headings as names.",
        "표의 행마다 항목 하나. 열 제목이 이름이 됩니다.",
    ),
}
