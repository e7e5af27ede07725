"""Forms of a page: their fields as a browser would send them, filled in and submitted.

    form = page.form("#search")
    found = form.submit(q="차", sort="new")

Hidden fields, a CSRF token among them, go along by themselves. A form is sent in the charset
of its page, as browsers do: a site in EUC-KR does not understand UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zscrape.runtime.nodes import Node, Nodes

_BUTTON_TYPES = ("submit", "image")
_NEVER_SENT = ("reset", "button")
_URLENCODED = "application/x-www-form-urlencoded"


class Source(Protocol):
    """The page that a form stands in."""

    url: str
    http: Any  # the client that sends; None: the form can only be looked at

    @property
    def charset(self) -> str:
        """The charset that the form is sent in."""

    @property
    def css(self) -> Callable[[str], Nodes]:
        """Return elements of the page."""

    @property
    def join(self) -> Callable[[str], str]:
        """Return an address as an absolute one."""


class FormError(LookupError):
    """Raised when a form, a field or a button that was asked for is not there."""


class Form:
    """One form. `values` may be changed before it is submitted."""

    def __init__(self, page: Source, node: Node) -> None:
        self.id = node.attr("id") or ""
        self.name = node.attr("name") or ""
        self.method = "POST" if (node.attr("method") or "").strip().lower() == "post" else "GET"
        self.enctype = (node.attr("enctype") or _URLENCODED).strip().lower()
        address = (node.attr("action") or "").strip()
        self.action = page.join(address) if address else page.url
        self.values: dict[str, Any] = {}  # a list where a name comes more than once
        self.buttons: dict[str, list[str]] = {}  # name to the values that its buttons send
        self.passwords: list[str] = []  # names of password fields
        self._default: tuple[str, str] | None = None  # what the first button sends
        self._has_button = False
        self._checked: dict[str, str] = {}  # what a checkbox that is not ticked would send
        self._names: dict[str, None] = {}
        self._page = page
        for each in _controls(page, node, self.id):
            self._take(each)

    @property
    def fields(self) -> list[str]:
        """The names that can be filled in, in the order of the page."""
        return list(self._names)

    def fill(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Form:
        """Give fields values; True and False tick boxes, None leaves a field out.

        Raises:
            FormError: There is no field of that name.
        """
        for name, value in {**(values or {}), **more}.items():
            if name not in self._names:
                known = ", ".join(self._names) or "none"
                raise FormError(f"the form has no field {name!r}; its fields are: {known}")
            if value is None or value is False:
                self.values.pop(name, None)
            else:
                self.values[name] = self._checked.get(name, "on") if value is True else value
        return self

    def pairs(self, button: str | None = None) -> list[tuple[str, Any]]:
        """Return what is sent, in order; `button` is the name of the one pressed.

        Raises:
            FormError: There is no such button.
        """
        found = [
            (name, each)
            for name, value in self.values.items()
            for each in (value if isinstance(value, list) else [value])
        ]
        if button is not None:
            if button not in self.buttons:
                known = ", ".join(self.buttons) or "none with a name"
                raise FormError(f"the form has no button {button!r}; its buttons are: {known}")
            return [*found, (button, self.buttons[button][0])]
        return found if self._default is None else [*found, self._default]

    def submit(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        button: str | None = None,
        extra: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        """Fill in, send, and return the page that comes of it.

        Args:
            values: As those of `fill`; a file is `(name, bytes)`.
            button: The name of the button to press; by default the first one.
            extra: What a program of the page would add: names that the form does not have.
            options: Further arguments for `ctx.http.request`.
            **more: Values by name.

        Raises:
            FormError: There is no such field or button, or the page is not of `ctx.http`.
            HttpError: As for any request.
        """
        if self._page.http is None:
            raise FormError("the page did not come from ctx.http, which would send the form")
        self.fill(values, **more)
        sent = [*self.pairs(button), *(extra or {}).items()]
        method, url, asked = self.request(sent)
        headers = {"Referer": self._page.url, **asked.pop("headers", {})}
        headers |= dict((options or {}).get("headers") or {})
        return self._page.http.request(
            method, url, **{**asked, **(options or {}), "headers": headers}
        )

    def request(self, sent: list[tuple[str, Any]]) -> tuple[str, str, dict[str, Any]]:
        """Return method, address and the arguments of a request that sends these pairs."""
        plain = [(name, each) for name, each in sent if not isinstance(each, tuple)]
        charset = self._page.charset
        if self.method == "GET":
            parts = urlsplit(self.action)
            return "GET", urlunsplit((*parts[:3], _encoded(plain, charset), "")), {}
        if self.enctype != "multipart/form-data":
            headers = {"Content-Type": _URLENCODED}
            return "POST", self.action, {"data": _encoded(plain, charset), "headers": headers}
        files = [
            (name, each if isinstance(each, tuple) else (None, _bytes(each, charset)))
            for name, each in sent
        ]
        return "POST", self.action, {"files": files}

    def _take(self, node: Node) -> None:
        name = node.attr("name") or ""
        kind = (node.attr("type") or "").strip().lower()
        if node.tag == "button":
            kind = kind or "submit"
        if kind in _BUTTON_TYPES and node.tag in ("button", "input"):
            self._take_button(name, kind, node.attr("value") or "")
        elif name and node.tag != "button" and kind not in _NEVER_SENT:
            self._names[name] = None
            for value in self._value(node, name, kind):
                self._add(name, value)

    def _take_button(self, name: str, kind: str, value: str) -> None:
        is_first, self._has_button = not self._has_button, True
        if not name or kind == "image":
            return
        self.buttons.setdefault(name, []).append(value)
        if is_first:
            self._default = name, value

    def _value(self, node: Node, name: str, kind: str) -> list[Any]:
        if node.tag == "select":
            return _chosen(node)
        if node.tag == "textarea":
            return [node.raw_text.removeprefix("\n")]
        value = node.attr("value") or ""
        if kind in ("checkbox", "radio"):
            sent = "on" if node.attr("value") is None else value
            if node.attr("checked") is None:
                self._checked.setdefault(name, sent)
                return []
            return [sent]
        if kind == "file":
            return [("", b"")] if self.enctype == "multipart/form-data" else [""]
        if kind == "password":
            self.passwords.append(name)
        return [value]

    def _add(self, name: str, value: Any) -> None:
        if name not in self.values:
            self.values[name] = value
            return
        before = self.values[name]
        self.values[name] = [*(before if isinstance(before, list) else [before]), value]


def _controls(page: Source, form: Node, form_id: str) -> list[Node]:
    """Return the controls of a form, those elsewhere that name it included."""
    found = []
    for node in page.css("input, select, textarea, button"):
        owner = node.attr("form")
        is_own = owner == form_id if owner else _is_within(node, form)
        if is_own and node.attr("disabled") is None and not _is_disabled(node):
            found.append(node)
    return found


def _is_within(node: Node, form: Node) -> bool:
    above = node.parent
    while above is not None and above != form:
        above = above.parent
    return above is not None


def _is_disabled(node: Node) -> bool:
    above = node.parent
    while above is not None:
        if above.tag == "fieldset" and above.attr("disabled") is not None:
            return True
        above = above.parent
    return False


def _chosen(select: Node) -> list[Any]:
    options = [each for each in select.css("option") if each.attr("disabled") is None]
    values = [_option_value(each) for each in options if each.attr("selected") is not None]
    if select.attr("multiple") is not None:
        return values
    # Of several that are chosen the last one counts; of none the first option.
    return values[-1:] or [_option_value(each) for each in options[:1]]


def _option_value(option: Node) -> str:
    value = option.attr("value")
    return option.text if value is None else value


def _encoded(pairs: list[tuple[str, Any]], charset: str) -> str:
    return urlencode(pairs, encoding=charset, errors="xmlcharrefreplace")


def _bytes(value: Any, charset: str) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(charset, "xmlcharrefreplace")
