"""Pages in every charset, tables, and files to download.

/encoding/<charset>?say=header,meta,xml,bom&as=<charset>
    a page in a charset; `say` lists where it is told, `as` tells another one (a lie).
    Charsets: those of `TEXTS`. Without `say` it is told nowhere.
/tables              tables with captions, colspan, rowspan, nested ones
/files/<size>.bin    that many bytes that can be told from others; ETag, Range, If-Range
/files/<size>.bin?cut=N   the first N answers end half way
/files/report.pdf    a small PDF
"""

from __future__ import annotations

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.shop.goods import page
from tests.shop.hostile import breaking_off
from tests.shop.state import state_of

_KO = "온기상점에 오신 것을 환영합니다. 햇볕에 말린 국화차와 유자차, 똠방각하 펲시콜라. "
_KO_PLAIN = "온기상점에 오신 것을 환영합니다. 오늘의 추천 상품은 보성 녹차와 제주 감귤차입니다. "
_JA = "お茶の専門店へようこそ。本日のおすすめは宇治の抹茶とほうじ茶です。送料は無料でございます。"
_ZH = "欢迎光临本店。今日推荐龙井绿茶和普洱茶，全场满一百元免运费。请选择您喜欢的商品。"
_TW = "歡迎光臨本店。今日推薦阿里山烏龍茶與紅玉紅茶，全館滿千元免運費。請選擇您喜歡的商品。"
_DE = "Köstlicher Kräutertee für 3,50 € – „naturrein“ und süß. Größe: übergroß, Käse, Öl, Äpfel. "
_RU = "Добро пожаловать в наш магазин. Сегодня мы рекомендуем чёрный чай с бергамотом. "

# What a page in each charset says; the first four cover what Korean and Japanese sites use.
TEXTS = {
    "euc-kr": _KO_PLAIN,
    "cp949": _KO,  # has syllables that EUC-KR has not
    "shift_jis": _JA,
    "euc-jp": _JA,
    "iso-2022-jp": _JA,
    "gbk": _ZH,
    "big5": _TW,
    "windows-1252": _DE,
    "windows-1251": _RU,
    "koi8-r": _RU,
    "utf-8": _KO + _DE,
    "utf-16": _KO,
    "utf-16-le": _KO,
    "utf-16-be": _JA,
}
_BOMS = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}

TABLES = """
<table id="plain"><caption>Prices  of tea</caption>
  <thead><tr><th>Tea</th><th>Price</th></tr></thead>
  <tbody><tr><td>Green</td><td>3,500</td></tr><tr><td>Black</td><td>4,000</td></tr></tbody>
  <tfoot><tr><td>All</td><td>7,500</td></tr></tfoot></table>
<table id="spans">
  <tr><th>Region</th><th colspan="2">Harvest</th></tr>
  <tr><td rowspan="2">Boseong</td><td>May</td><td>10 t</td></tr>
  <tr><td>June</td><td>12 t</td></tr>
  <tr><td>Jeju</td><td colspan="2">none</td></tr></table>
<table id="sides"><tr><th>Name</th><td>Sejak</td></tr><tr><th>Weight</th><td>80 g</td></tr></table>
<table id="outer"><tr><th>A</th><th>B</th></tr>
  <tr><td>1</td><td>
  <table id="inner"><tr><th>C</th></tr><tr><td>2</td></tr></table></td></tr></table>
<table id="ragged"><tr><th>A</th><th>A</th><th></th></tr><tr><td>1</td></tr>
  <tr><td>1</td><td>2</td><td>3</td><td>4</td></tr></table>
<table id="bomb"><tr><td rowspan="65534" colspan="1000">x</td></tr></table>
<table id="empty"></table>
"""
PDF = (
    b"%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


def content(size_bytes: int) -> bytes:
    """Return what `/files/<size>.bin` has."""
    line = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(256))
    return (line * (size_bytes // len(line) + 1))[:size_bytes]


def encoded(charset: str, say: set[str], told: str) -> tuple[bytes, str]:
    """Return a page in a charset, and its Content-Type."""
    meta = f'<meta charset="{told}">' if "meta" in say else ""
    text = f"<!doctype html><html><head>{meta}<title>{TEXTS[charset][:12]}</title></head><body>"
    text += f"<p>{TEXTS[charset] * 5}</p></body></html>"
    if "xml" in say:
        text = f'<?xml version="1.0" encoding="{told}"?><shop><p>{TEXTS[charset]}</p></shop>'
    raw = text.encode(charset)
    if "bom" in say:
        raw = _BOMS.get(charset, b"") + raw
    kind = "application/xml" if "xml" in say else "text/html"
    return raw, f"{kind}; charset={told}" if "header" in say else kind


async def _encoding(request: Request) -> Response:
    charset = request.path_params["charset"]
    say = set(request.query_params.get("say", "").split(","))
    raw, kind = encoded(charset, say, request.query_params.get("as", charset))
    return Response(raw, headers={"Content-Type": kind})


async def _tables(request: Request) -> Response:
    return page("Tables", TABLES)


async def _file(request: Request) -> Response:
    size_bytes = int(request.path_params["size"])
    whole = content(size_bytes)
    tag = f'"{hashlib.sha256(whole).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Content-Type": "application/x-thing"}
    cut_count = int(request.query_params.get("cut", "0"))
    body, status = whole, 200
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if wanted is not None and request.headers.get("if-range", tag) == tag:
        first, last = int(wanted[1]), int(wanted[2] or size_bytes - 1)
        if first >= size_bytes:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size_bytes}"})
        body, status = whole[first : last + 1], 206
        headers["Content-Range"] = f"bytes {first}-{last}/{size_bytes}"
    if state_of(request).count(request.url.path + request.url.query) <= cut_count:
        return breaking_off(body, headers, status)
    return Response(body, status, headers)


async def _report(request: Request) -> Response:
    named = {"Content-Disposition": 'attachment; filename="report.pdf"'}
    return Response(PDF, media_type="application/pdf", headers=named)


ROUTES = [
    Route("/encoding/{charset}", _encoding),
    Route("/tables", _tables),
    Route("/files/{size:int}.bin", _file),
    Route("/files/report.pdf", _report),
]
