"""Which charset the bytes of a page are in.

Asked in this order, as browsers do: byte order mark, `Content-Type`, `<meta>` or the XML
declaration. What is told there is not believed if the bytes do not fit it: then UTF-8, and
then what the bytes look like. Labels mean what the WHATWG's Encoding Standard says:
`euc-kr` is CP949, `iso-8859-1` is Windows-1252.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
# What browsers read in place of what is said (encoding.spec.whatwg.org, section 4.2).
_MEANT = {
    "cp949": "euc-kr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean windows-949 uhc",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji ms932 windows-31j csshiftjis",
    "gb18030": "gb2312 gbk gb_2312-80 x-gbk chinese csgb2312 gb_2312 iso-ir-58",
    "cp1252": "iso-8859-1 iso8859-1 latin1 latin-1 l1 ascii us-ascii ansi_x3.4-1968 x-cp1252",
    "cp1254": "iso-8859-9 latin5",
    "cp874": "tis-620 iso-8859-11",
    "utf-16-le": "utf-16 ucs-2 unicode iso-10646-ucs-2",
    "euc-jp": "x-euc-jp",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5",
    "utf-8": "utf8 unicode-1-1-utf-8",
}
_BY_LABEL = {label: name for name, labels in _MEANT.items() for label in labels.split()}
_SNIFFED_BYTES = 4096  # browsers look at 1024; long comments before <meta> are common
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,400}?charset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE)
# The header of a server that was never set up: not believed if the page says otherwise.
_WEAK = ("cp1252",)
_GUESSED_BYTES = 65536
_TAG = re.compile(rb"<[^<>]{0,2000}>|[\x00-\x7f]{40,}")
_PAIR = re.compile(rb"[\xa1-\xfe][\xa1-\xfe]")
# Kana make up more than a third of Japanese text, and almost nothing of other text whose
# characters have the same bytes.
_KANA_SHARE = 0.15
# A word is too little for statistics; Korean ones lie in 25 rows, and others seldom only there.
_HANGUL_SHARE = 0.9
_GUESSABLE = (
    *("cp949", "cp932", "gb18030", "big5", "big5hkscs", "iso2022_jp", "iso2022_kr"),
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp874"),
)
# A page whose every hundredth foreign character is broken is still in the charset it tells.
_BROKEN_SHARE = 0.01


class Decoded(NamedTuple):
    """A text, and the name of the charset that it was in."""

    text: str
    charset: str


def decode(content: bytes, content_type: str = "") -> Decoded:
    """Return the text of `content`; it never fails: what cannot be read becomes U+FFFD."""
    for mark, charset in _BOMS:
        if content.startswith(mark):
            return Decoded(content[len(mark) :].decode(charset, "replace"), charset)
    header = _HEADER.search(content_type)
    first = name_of(header[1]) if header is not None else ""
    if first and first not in _WEAK:
        text = _strict(content, first)
        if text is not None:
            return Decoded(text, first)
    told = _told(content, first)
    for charset in told or ("utf-8",):
        text = _strict(content, charset)
        if text is not None:
            return _better(content, text, charset, told)
    return _unfit(content, told)


def name_of(label: str) -> str:
    """Return the name of the codec that a label means, empty if there is none."""
    known = label.strip().lower()
    name = _BY_LABEL.get(known, known)
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    return name if getattr(found, "_is_text_encoding", True) else ""


def _told(content: bytes, first: str) -> list[str]:
    """Return what the header has said, if anything, and what the page says, each once."""
    head = content[:_SNIFFED_BYTES]
    labels = [first]
    inside = _XML.match(head) or _META.search(head)
    if inside is not None:
        label = inside[1].decode("ascii", "replace")
        # It was read as ASCII, so it is not UTF-16 (the standard says the same).
        labels.append("utf-8" if label.lower().startswith("utf-16") else label)
    elif _is_utf16(head):
        labels.append("utf-16-be" if head[:1] == b"\0" else "utf-16-le")
    elif b"\x1b$B" in head or b"\x1b$@" in head:  # how it changes to Japanese
        labels.append("iso-2022-jp")
    names = [name for name in map(name_of, labels) if name]
    return list(dict.fromkeys(names))


def _is_utf16(head: bytes) -> bool:
    """True iff markup begins with every second byte a NUL."""
    return head[:2] in (b"<\0", b"\0<")


def _strict(content: bytes, charset: str) -> str | None:
    try:
        return content.decode(charset)
    except (UnicodeDecodeError, ValueError):
        return None


def _better(content: bytes, text: str, charset: str, told: list[str]) -> Decoded:
    """Return what a charset that fits anything gave, or what says more than it does."""
    if charset not in _WEAK or content.isascii():
        return Decoded(text, charset)
    for other in (*told, "utf-8"):
        found = None if other in _WEAK else _strict(content, other)
        if found is not None:
            return Decoded(found, other)
    return Decoded(text, charset)


def _unfit(content: bytes, told: list[str]) -> Decoded:
    """Return the text of bytes that do not fit what is told of them, or of which nothing is."""
    foreign_count = sum(map((0x7F).__lt__, content[:_GUESSED_BYTES])) or 1
    best: tuple[int, Decoded] | None = None
    for charset in dict.fromkeys((*told, "utf-8")):
        text = content.decode(charset, "replace")
        broken_count = text.count("\ufffd", 0, _GUESSED_BYTES)
        if broken_count <= foreign_count * _BROKEN_SHARE:
            return Decoded(text, charset)
        if best is None or broken_count < best[0]:
            best = broken_count, Decoded(text, charset)
    guessed = _guess(content)
    if guessed:
        return Decoded(content.decode(guessed, "replace"), guessed)
    if best is not None and told:
        return best[1]
    return Decoded(content.decode("cp1252", "replace"), "cp1252")


def _guess(content: bytes) -> str:
    """Return the charset that the bytes look like, empty if they look like none."""
    sample = _TAG.sub(b" ", content)[:_GUESSED_BYTES]
    pairs = _PAIR.findall(sample)
    kana_count = sum(each[0] in (0xA4, 0xA5) for each in pairs)
    if kana_count > len(pairs) * _KANA_SHARE and _fits(sample, "euc-jp"):
        return "euc-jp"
    if _is_hangul(sample, pairs) and _fits(sample, "cp949"):
        return "cp949"
    import charset_normalizer

    # Its loggers and its explanations are for other users of it.
    found = charset_normalizer.from_bytes(sample, cp_isolation=list(_GUESSABLE)).best()
    return name_of(found.encoding.replace("_", "-")) or found.encoding if found else ""


def _is_hangul(sample: bytes, pairs: list[bytes]) -> bool:
    """True iff nearly all that is foreign are pairs in the rows of EUC-KR's syllables."""
    foreign_count = sum(map((0x7F).__lt__, sample))
    hangul_count = sum(0xB0 <= each[0] <= 0xC8 for each in pairs)
    return bool(pairs) and 2 * hangul_count > foreign_count * _HANGUL_SHARE


def _fits(sample: bytes, charset: str) -> bool:
    """True iff a sample, which may end in the middle of a character, is in this charset."""
    try:
        codecs.getincrementaldecoder(charset)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True
