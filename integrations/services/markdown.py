"""Markdown of descriptions and comments, rendered as safe HTML."""

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

# Characters of the source. An inbox is skimmed; the full text is one click away, at the service.
LONGEST = 4000
CONTINUED = "Continue reading"
MAX_NESTING = 20

TAGS = set(
    """
    a b blockquote br code dd del details div dl dt em h3 h4 h5 h6 hr i ins kbd li ol p pre q samp small span strong
    sub summary sup table tbody td th thead tr tt ul var
    """.split()  # noqa: SIM905 - a list of forty lines reads worse
)
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
TASK = re.compile(r"\[([ xX])\](?=\s)")
# "#42" and "@lea-cohen" at the beginning of a word, but not within a/b#42 or lea@example.com.
REFERENCE = re.compile(
    r"(?<![\w/@#&.-])(?:#(?P<number>[1-9]\d{0,9})|@(?P<person>[A-Za-z0-9][A-Za-z0-9-]{0,38}))(?!\w)", re.ASCII
)

# "{width=900 height=600}", which GitLab adds after every pasted image.
SIZES = re.compile(r"\{\s*(?:width|height)=[^{}\n]{0,100}\}")

ReferenceUrl = Callable[[re.Match[str]], str]  # the URL of a reference such as #42, or ""
Resolve = Callable[[str], str]  # the absolute URL of a relative one, or ""


def render(
    source: str,
    *,
    full_url: str = "",
    reference_url: ReferenceUrl | None = None,
    reference: re.Pattern[str] = REFERENCE,
    resolve: Resolve | None = None,
) -> str:
    """Render the Markdown `source` as safe HTML. A text longer than LONGEST is cut and ends with a link to `full_url`.

    `reference_url` returns the URL of a match of `reference` ("#42", "@somebody"), `resolve` that of an address without
    a host. Without a URL the text is not linked.
    """
    source = source.strip()
    if not source:
        return ""
    shown, rest = _cut(source)
    html = MARKDOWN.render(shown, {"reference_url": reference_url, "reference": reference, "resolve": resolve})
    # Tools write raw HTML (release notes in <details>), so it is rendered here and sanitized below.
    html = nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel=None,
    ).strip()
    return f"{html}\n<p>{link(f'{CONTINUED} …', full_url)}</p>" if rest else html


def _cut(source: str) -> tuple[str, bool]:
    """The part of `source` that is shown, cut at the end of a line if possible, and whether it was cut."""
    if len(source) <= LONGEST:
        return source, False
    shown = source[:LONGEST]
    end = shown.rfind("\n", LONGEST // 2)
    return (shown if end < 0 else shown[:end]), True


def _image(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """An image as a link: private repositories' images need a session, and others would reveal who reads the flow."""
    words = tokens[index].content or "image"
    inside = sum(token.nesting for token in tokens[:index] if token.type in {"link_open", "link_close"})
    return escape(words) if inside else link(words, str(tokens[index].attrGet("src") or ""))


def _adapt_tags(state: StateCore) -> None:
    """Replace elements that Flowdock's bodies do not allow: <h1> and <h2>, <s>, check boxes."""
    opened = False
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            # h1 and h2 belong to the page around it.
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        if token.type == "inline" and token.children:
            first = token.children[0]
            if opened and first.type == "text" and (task := TASK.match(first.content)):
                first.content = ("☐" if task[1] == " " else "☑") + first.content[task.end() :]
            for child in token.children:
                if child.tag == "s":
                    child.tag = "del"
        opened = token.type == "list_item_open" or (opened and token.type == "paragraph_open")


def _check_links(state: StateCore) -> None:
    """Resolve the addresses of links and images, and remove links without an address."""
    resolve: Resolve | None = state.env["resolve"]
    for token in state.tokens:
        if token.type != "inline" or not token.children:
            continue
        children: list[Token] = []
        open_links: list[bool] = []  # whether each open link has an address
        for child in token.children:
            if child.type == "link_close" and not open_links.pop():
                continue
            if child.type == "image":
                child.attrSet("src", _linkable(str(child.attrGet("src") or ""), resolve))
            elif child.type == "link_open":
                address = _linkable(str(child.attrGet("href") or ""), resolve)
                child.attrSet("href", address)
                open_links.append(bool(address))
                if not address:
                    continue
            elif children and children[-1].type == "image" and (size := SIZES.match(child.content)):
                child.content = child.content[size.end() :]
            children.append(child)
        token.children = children


def _linkable(address: str, resolve: Resolve | None) -> str:
    """`address` if it may be linked, else the URL that `resolve` gives for it, or ""."""
    if address.lower().startswith(("http://", "https://", "mailto:")):
        return address
    return resolve(address) if resolve else ""


def _link_references(state: StateCore) -> None:
    """Link "#42" and "@somebody" in running text, outside of links and code."""
    reference_url: ReferenceUrl | None = state.env["reference_url"]
    if reference_url is None:
        return
    for token in state.tokens:
        if token.type != "inline" or not token.children:
            continue
        children: list[Token] = []
        depth = 0
        for child in token.children:
            depth += child.nesting if child.type in {"link_open", "link_close"} else 0
            is_searched = child.type == "text" and depth == 0
            children.extend(_split_references(child, state.env["reference"], reference_url) if is_searched else [child])
        token.children = children


def _split_references(text: Token, reference: re.Pattern[str], reference_url: ReferenceUrl) -> list[Token]:
    parts: list[Token] = []
    at = 0
    for match in reference.finditer(text.content):
        if address := reference_url(match):
            opening = Token("link_open", "a", 1, attrs={"href": address})
            linked = Token("text", "", 0, content=match[0])
            before = Token("text", "", 0, content=text.content[at : match.start()])
            parts += [before, opening, linked, Token("link_close", "a", -1)]
            at = match.end()
    return [*parts, Token("text", "", 0, content=text.content[at:])]


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("gfm-like", {"html": True, "breaks": True, "maxNesting": MAX_NESTING})
    # Otherwise README.md and setup.py would be linked as hosts.
    markdown.linkify.set({"fuzzy_link": False})  # type: ignore[union-attr]
    markdown.add_render_rule("image", _image)
    markdown.core.ruler.push("adapt_tags", _adapt_tags)
    markdown.core.ruler.push("check_links", _check_links)
    markdown.core.ruler.push("link_references", _link_references)
    return markdown


MARKDOWN = _markdown()
