"""Pages that are nothing without a browser.

/live                 a list that grows as it is scrolled; /live/items?after=N feeds it
/check                a checkbox that wants a real click, made like Cloudflare's Turnstile: in
                      a closed shadow root in a frame in a closed shadow root
"""

from __future__ import annotations

import json
from typing import Final

from zscrape.ops.site.goods import PRODUCTS
from zscrape.ops.site.pages import won

_BATCH_COUNT: Final = 12

LIVE: Final = """<!doctype html><html lang="ko"><head><meta charset="utf-8">
<title>끝없는 진열대 · The endless shelf</title><style>
body { font: 16px/1.5 sans-serif; max-width: 44em; margin: 2em auto; color: #222 }
li { list-style: none; padding: 1em; margin: .5em 0; border: 1px solid #ddd; border-radius: 8px }
li h2 { font-size: 1.1em; margin: 0 } .price { color: #b3361b; font-weight: bold }
</style></head><body><h1>끝없는 진열대</h1><p>The endless shelf: scroll for more.</p><ul></ul>
<p id="state"></p><script>
const list = document.querySelector("ul"), state = document.getElementById("state");
let isBusy = false, isDone = false;
async function more() {
  if (isBusy || isDone) return;
  isBusy = true;
  state.textContent = "불러오는 중 · Loading";
  const {items, has_more} = await (await fetch(`/live/items?after=${list.children.length}`)).json();
  for (const item of items) {
    const row = document.createElement("li"), name = document.createElement("h2");
    row.className = "product"; name.textContent = item.name;
    const price = document.createElement("span");
    price.className = "price"; price.textContent = item.price;
    row.append(name, price); list.append(row);
  }
  isDone = !has_more; isBusy = false;
  state.textContent = isDone ? "끝 · The end" : "";
}
new IntersectionObserver(seen => { if (seen[0].isIntersecting) more(); }).observe(state);
addEventListener("scroll", () => {
  if (innerHeight + scrollY > document.documentElement.scrollHeight - 200) more();
});
more();
</script></body></html>"""

CHECK: Final = """<!doctype html><html lang="ko"><head><meta charset="utf-8">
<title>확인 · One moment</title></head><body style="font: 16px/1.5 sans-serif; margin: 3em">
<h1>사람인지 확인합니다</h1><p>We make sure that you are a person.</p>
<div id="widget" class="cf-turnstile" data-sitekey="demo"></div><script>
const root = document.getElementById("widget").attachShadow({mode: "closed"});
const frame = document.createElement("iframe");
frame.src = "/challenges.cloudflare.com/widget"; frame.width = 300; frame.height = 65;
root.append(frame);
addEventListener("message", event => {
  if (event.source !== frame.contentWindow) return;
  document.getElementById("widget").remove();
  document.body.insertAdjacentHTML("beforeend",
    '<p id="welcome">환영합니다. 오늘의 암호는 온기입니다.</p>');
});
</script></body></html>"""

WIDGET: Final = """<!doctype html><html><body><script>
const root = document.body.attachShadow({mode: "closed"});
root.innerHTML = '<label style="display:block;padding:15px"><input type="checkbox"> 확인</label>';
root.querySelector("input").addEventListener("click", event => {
  if (event.isTrusted) parent.postMessage("clicked", "*");
});
</script></body></html>"""


def items(after: int) -> bytes:
    """Return the next products of the endless list as JSON."""
    found = PRODUCTS[after : after + _BATCH_COUNT]
    rows = [{"name": each.name, "price": won(each.price_won)} for each in found]
    told = {"items": rows, "has_more": after + _BATCH_COUNT < len(PRODUCTS)}
    return json.dumps(told, ensure_ascii=False).encode()


PAGES: Final = {"/live": LIVE, "/check": CHECK, "/challenges.cloudflare.com/widget": WIDGET}
