"""A person at a browser, over plain HTTP: opens pages, follows links, fills in forms and sends them.

Finds links and buttons by their text, as people do, so it knows nothing of the code behind the pages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

import requests

TIMEOUT = 30.0  # seconds


class NotOnThePage(LookupError):
    """The page has no such link, button or field; the text names what was looked for and where."""


@dataclass
class Button:
    words: str
    name: str = ""
    value: str = ""


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    hidden: list[tuple[str, str]] = field(default_factory=list)  # name, value; a name may occur more than once
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[Button] = field(default_factory=list)
    boxes: list[tuple[str, str, bool]] = field(default_factory=list)  # name, value, checked


@dataclass
class Page:
    url: str
    status: int
    html: str
    links: list[tuple[str, str]] = field(default_factory=list)  # words, address
    forms: list[Form] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)  # by id: the values of the page's fields
    title: str = ""
    text: str = ""

    def link(self, words: str) -> str:
        for found, address in self.links:
            if words in found:
                return address
        raise NotOnThePage(f"no link “{words}” on {self.url}")

    def form(self, button: str) -> tuple[Form, Button]:
        """The form that the button with this text sends."""
        for form in self.forms:
            for found in form.buttons:
                if button in found.words:
                    return form, found
        raise NotOnThePage(f"no button “{button}” on {self.url}")


class _Reader(HTMLParser):
    """Collects a page's links, forms and words into a Page."""

    def __init__(self, page: Page) -> None:
        super().__init__(convert_charrefs=True)
        self.page = page
        self.open_forms: list[Form] = []
        self.by_id: dict[str, Form] = {}
        self.collecting: list[tuple[str, list[str], dict[str, str]]] = []  # a, button, title, textarea, select in hand
        self.words: list[str] = []
        self.select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            form = Form(urljoin(self.page.url, given.get("action", "")), given.get("method", "get").lower())
            self.page.forms.append(form)
            self.open_forms.append(form)
            if "id" in given:
                self.by_id[given["id"]] = form
        elif tag == "input":
            self._input(given)
        elif tag == "select":
            self.select = given.get("name", "")
        elif tag == "option":
            owner = self._form(given)
            if owner and self.select and ("selected" in given or self.select not in owner.fields):
                owner.fields[self.select] = given.get("value", "")
        elif tag in {"a", "button", "title", "textarea"}:
            self.collecting.append((tag, [], given))

    def _form(self, given: dict[str, str]) -> Form | None:
        if "form" in given:
            return self.by_id.get(given["form"])
        return self.open_forms[-1] if self.open_forms else None

    def _input(self, given: dict[str, str]) -> None:
        name, value, kind = given.get("name", ""), given.get("value", ""), given.get("type", "text").lower()
        if "id" in given:
            self.page.inputs[given["id"]] = value
        form = self._form(given)
        if form is None:
            return
        if kind in {"submit", "image"}:
            form.buttons.append(Button(value, name, value))
        elif not name:
            return
        elif kind == "radio":
            form.choices.setdefault(name, []).append(value)
            if "checked" in given:
                form.fields[name] = value
        elif kind == "checkbox":
            form.boxes.append((name, value or "on", "checked" in given))
        elif kind == "hidden":
            form.hidden.append((name, value))
        else:
            form.fields[name] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self.open_forms:
            self.open_forms.pop()
        elif tag == "select":
            self.select = ""
        if self.collecting and self.collecting[-1][0] == tag:
            _, parts, given = self.collecting.pop()
            words = " ".join("".join(parts).split())
            if tag == "a" and "href" in given:
                self.page.links.append((words, urljoin(self.page.url, given["href"])))
            elif tag == "title":
                self.page.title = words
            elif form := self._form(given):
                if tag == "textarea" and given.get("name"):
                    form.fields[given["name"]] = "".join(parts)
                elif tag == "button" and given.get("type", "submit") == "submit":
                    form.buttons.append(Button(words, given.get("name", ""), given.get("value", "")))

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        for _, parts, _given in self.collecting:
            parts.append(data)


class Visitor:
    """One person with their cookies. `page` is the page that is open."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.page = Page("about:blank", 0, "")

    def open(self, url: str) -> Page:
        return self._show(self.session.get(urldefrag(url).url, timeout=TIMEOUT))

    def follow(self, words: str) -> Page:
        """Press the link with these words."""
        return self.open(self.page.link(words))

    def send(self, button: str, /, *, boxes: dict[str, bool] | None = None, **filled: str) -> Page:
        """Press the button with these words, after filling in fields by name and ticking boxes by their value."""
        form, pressed = self.page.form(button)
        unknown = set(filled) - set(form.fields) - set(form.choices)
        if unknown:
            raise NotOnThePage(f"no field “{min(unknown)}” next to the button “{button}” on {self.page.url}")
        values = [*form.hidden, *{**form.fields, **filled}.items()]
        ticked = boxes or {}
        for name, value, checked in form.boxes:
            if ticked.get(value, checked):
                values.append((name, value))
        if pressed.name:
            values.append((pressed.name, pressed.value))
        if form.method == "get":
            return self._show(self.session.get(form.action, params=values, timeout=TIMEOUT))
        return self._show(
            self.session.post(form.action, data=values, headers={"Referer": self.page.url}, timeout=TIMEOUT)
        )

    def _show(self, response: requests.Response) -> Page:
        page = Page(response.url, response.status_code, response.text)
        reader = _Reader(page)
        reader.feed(response.text)
        reader.close()
        page.text = " ".join("".join(reader.words).split())
        self.page = page
        return page
