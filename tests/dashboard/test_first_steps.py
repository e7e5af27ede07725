"""What somebody who is new here does: run a sample, see it fail, have it run by itself."""

from __future__ import annotations

import pytest

from tests.dashboard.browser import Screen
from tests.dashboard.conftest import Site
from zscrape.ops.samples import samples_folder

SCRIPTS = samples_folder()

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.system,
    pytest.mark.timeout(120),  # it waits for conditions, on machines that are busy
]


async def test_the_first_steps_on_a_phone_in_korean(screen: Screen, site: Site) -> None:
    """From an empty history by buttons alone: rows, a failure with its reason, a schedule."""
    await screen.run("localStorage.setItem('zscrape.lang', 'ko')")
    await screen.resize(390)
    await screen.load("/")
    await screen.click("연습 상점 열기")
    await screen.see("네트워크 없이 처음 실행해 보기에 좋습니다.")
    await screen.click("실행")
    await screen.until("document.querySelectorAll('.items tbody tr').length === 24")
    await screen.click("처음 시작하기로 돌아가기")
    await screen.see("가져온 항목 보기")
    await screen.click("개편된 상점으로 해 보기")
    await screen.until("document.querySelector('#p-layout')?.value === '\"rebuilt\"'")
    await screen.click("실행")
    await screen.see("실패한 이유", "empty_result", "page-1.html")
    await screen.click("처음 시작하기로 돌아가기")
    await screen.click("일정 만들기")
    await screen.until("document.querySelector('form ol li')")
    await screen.click(None, "form button.primary")
    await screen.see("아직 실행 시각이 되지 않았습니다.")
    await screen.go("/")
    await screen.see("zscrape scripts new my_script")
    faults = await screen.violations()
    await screen.click("숨기기")
    await screen.miss("zscrape scripts new my_script")

    assert faults == []
    assert len(site.call("GET", "/v1/schedules")["schedules"]) == 1


async def test_the_menu_of_a_phone_opens_and_closes(screen: Screen, site: Site) -> None:
    """One button shows every page and who is signed in; a choice and Escape put it away."""
    await screen.resize(390)
    await screen.click("Menu")
    await screen.see("Dead letters", "Sign out")
    faults = await screen.violations()
    await screen.press("Escape")
    await screen.miss("Sign out")
    focused = await screen.run("return document.activeElement.id")
    await screen.click("Menu")
    await screen.click("Workers", "nav a")
    await screen.see("Isolation layers")
    await screen.miss("Sign out")

    assert faults == []
    assert focused == "menu"
