"""Markdown, as people write it in descriptions and comments, to HTML that is safe to show."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from integrations.activity import escape, link

# Signs of the source. An inbox is read at a glance; the whole text is one press away, at the service.
LONGEST = 4000
CONTINUED = "Continued at the source"
MAX_NESTING = 20

TAGS = set(
    """
    a b blockquote br code dd del details div dl dt em h3 h4 h5 h6 hr i ins kbd li ol p pre q samp small span strong
    sub summary sup table tbody td th thead tr tt ul var
    """.split()  # noqa: SIM905 - a list of forty lines reads worse
)
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
TASK = re.compile(r"\[([ xX])\](?=\s)")
# "#42" and "@lea-cohen" where they begin a word; a path such as a/b#42 or an address such as lea@example.com does not.
REFERENCE = re.compile(
    r"(?<![\w/@#&.-])(?:#(?P<number>[1-9]\d{0,9})|@(?P<person>[A-Za-z0-9][A-Za-z0-9-]{0,38}))(?!\w)", re.ASCII
)

# "{width=900 height=600}" behind an image: GitLab writes it beside every one that is pasted.
SIZES = re.compile(r"\{\s*(?:width|height)=[^{}\n]{0,100}\}")

Mention = Callable[[re.Match[str]], str]  # the address that a reference leads to, or nothing
Resolve = Callable[[str], str]  # the web address that a relative one stands for, or nothing


def render(
    source: str,
    *,
    whole: str = "",
    mention: Mention | None = None,
    reference: re.Pattern[str] = REFERENCE,
    resolve: Resolve | None = None,
) -> str:
    """The Markdown `source` as safe HTML. What is longer than LONGEST ends with a link to `whole`.

    `mention` tells where what `reference` finds ("#42", "@somebody") leads to at the service, `resolve` where an
    address without a host does. What leads nowhere is text and no link.
    """
    source = source.strip()
    if not source:
        return ""
    shown, rest = _cut(source)
    html = MARKDOWN.render(shown, {"mention": mention, "reference": reference, "resolve": resolve})
    # Raw HTML is common in what tools write (release notes in <details>), so it is let through here and cleaned below.
    html = nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel=None,
    ).strip()
    return f"{html}\n<p>{link(f'{CONTINUED} …', whole)}</p>" if rest else html


def _cut(source: str) -> tuple[str, bool]:
    """What is shown of `source`, cut where a line ends if one does, and whether anything was left out."""
    if len(source) <= LONGEST:
        return source, False
    shown = source[:LONGEST]
    end = shown.rfind("\n", LONGEST // 2)
    return (shown if end < 0 else shown[:end]), True


def _image(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """An image as a link to it: those in private repositories need a session, and the others would tell who reads."""
    words = tokens[index].content or "image"
    inside = sum(token.nesting for token in tokens[:index] if token.type in {"link_open", "link_close"})
    return escape(words) if inside else link(words, str(tokens[index].attrGet("src") or ""))


def _soften(state: StateCore) -> None:
    """Turns what Flowdock's bodies have no place for into what they have: page headings, <s>, boxes to check."""
    opened = False
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            # Our page has its own first and second headings.
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        if token.type == "inline" and token.children:
            first = token.children[0]
            if opened and first.type == "text" and (task := TASK.match(first.content)):
                first.content = ("☐" if task[1] == " " else "☑") + first.content[task.end() :]
            for child in token.children:
                if child.tag == "s":
                    child.tag = "del"
        opened = token.type == "list_item_open" or (opened and token.type == "paragraph_open")


def _lead(state: StateCore) -> None:
    """Completes the addresses of links and images, and takes away the links that lead nowhere."""
    resolve: Resolve | None = state.env["resolve"]
    for token in state.tokens:
        if token.type != "inline" or not token.children:
            continue
        children: list[Token] = []
        leads: list[bool] = []  # for each link that is open
        for child in token.children:
            if child.type == "link_close" and not leads.pop():
                continue
            if child.type == "image":
                child.attrSet("src", _led(str(child.attrGet("src") or ""), resolve))
            elif child.type == "link_open":
                address = _led(str(child.attrGet("href") or ""), resolve)
                child.attrSet("href", address)
                leads.append(bool(address))
                if not address:
                    continue
            elif children and children[-1].type == "image" and (size := SIZES.match(child.content)):
                child.content = child.content[size.end() :]
            children.append(child)
        token.children = children


def _led(address: str, resolve: Resolve | None) -> str:
    """`address`, if it is one that may be linked; else what it stands for, or nothing."""
    if address.lower().startswith(("http://", "https://", "mailto:")):
        return address
    return resolve(address) if resolve else ""


def _refer(state: StateCore) -> None:
    """Links "#42" and "@somebody" in running text, outside of links and code."""
    mention: Mention | None = state.env["mention"]
    if mention is None:
        return
    for token in state.tokens:
        if token.type != "inline" or not token.children:
            continue
        children: list[Token] = []
        depth = 0
        for child in token.children:
            depth += child.nesting if child.type in {"link_open", "link_close"} else 0
            referring = child.type == "text" and depth == 0
            children.extend(_referring(child, state.env["reference"], mention) if referring else [child])
        token.children = children


def _referring(text: Token, reference: re.Pattern[str], mention: Mention) -> list[Token]:
    parts: list[Token] = []
    at = 0
    for match in reference.finditer(text.content):
        if address := mention(match):
            opening = Token("link_open", "a", 1, attrs={"href": address})
            words = Token("text", "", 0, content=match[0])
            before = Token("text", "", 0, content=text.content[at : match.start()])
            parts += [before, opening, words, Token("link_close", "a", -1)]
            at = match.end()
    return [*parts, Token("text", "", 0, content=text.content[at:])]


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("gfm-like", {"html": True, "breaks": True, "maxNesting": MAX_NESTING})
    # Without a scheme, README.md and setup.py would be taken for hosts.
    markdown.linkify.set({"fuzzy_link": False})  # type: ignore[union-attr]
    markdown.add_render_rule("image", _image)
    markdown.core.ruler.push("soften", _soften)
    markdown.core.ruler.push("lead", _lead)
    markdown.core.ruler.push("refer", _refer)
    return markdown


MARKDOWN = _markdown()
