"""Markdown to HTML that is safe to show."""

from __future__ import annotations

import re

import pytest

from integrations.services.markdown import LONGEST, render

RENDERED = {
    "~~old~~ **new**": "<p><del>old</del> <strong>new</strong></p>",
    "# Title\n###### Small": "<h3>Title</h3>\n<h6>Small</h6>",
    "- [x] done\n- [ ] open\n- [link]": "<ul>\n<li>☑ done</li>\n<li>☐ open</li>\n<li>[link]</li>\n</ul>",
    "one\ntwo": "<p>one<br>\ntwo</p>",
    "see https://example.com and README.md": (
        '<p>see <a href="https://example.com">https://example.com</a> and README.md</p>'
    ),
    "![Chart](https://example.com/c.png)": '<p><a href="https://example.com/c.png">Chart</a></p>',
    "[![badge](https://example.com/b.svg)](https://example.com)": '<p><a href="https://example.com">badge</a></p>',
    "<details><summary>More</summary>\n\n*text*\n\n</details>": (
        "<details><summary>More</summary>\n<p><em>text</em></p>\n</details>"
    ),
    "[page](docs/page.md)": "<p>page</p>",
    "![shot](/uploads/1/shot.png){width=900 height=600} as {width} says": "<p>shot as {width} says</p>",
    "![shot](https://example.com/s.png){height=50%}": '<p><a href="https://example.com/s.png">shot</a></p>',
    "<!-- a template's hint -->": "",
    "<script>alert(1)</script>": "",
    '<img src="x" onerror="alert(1)">': "",
    "[press](javascript:alert(1))": "<p>[press](javascript:alert(1))</p>",
    '<a href="javascript:alert(1)" onclick="x()">press</a>': "<p><a>press</a></p>",
    "  \n ": "",
}


@pytest.mark.parametrize(("source", "html"), RENDERED.items())
def test_markdown_becomes_safe_html(source: str, html: str) -> None:
    assert render(source) == html


def test_table_is_a_table() -> None:
    html = render("| a | b |\n| --- | --- |\n| 1 | <b>2</b> |")

    assert "<th>a</th>" in html
    assert "<td><b>2</b></td>" in html


def mention(match: re.Match[str]) -> str:
    return f"https://example.com/{match['number'] or match['person']}"


def test_references_are_linked_only_in_plain_text() -> None:
    html = render("#4, (@lea-cohen) `#5` a/b#6 lea@example.com [#7](https://example.com) #0 ##8", reference_url=mention)

    assert '<a href="https://example.com/4">#4</a>, (<a href="https://example.com/lea-cohen">@lea-cohen</a>)' in html
    assert "<code>#5</code> a/b#6 " in html
    assert '<a href="https://example.com">#7</a> #0 ##8' in html


def test_addresses_without_a_host_are_resolved_or_not_linked() -> None:
    def resolve(address: str) -> str:
        return f"https://example.com{address}" if address.startswith("/") else ""

    html = render("[log](/log.txt) ![shot](/shot.png) [page](page.md) [![a](/a.png)](/a) [*b*](b)", resolve=resolve)

    assert html == (
        '<p><a href="https://example.com/log.txt">log</a> <a href="https://example.com/shot.png">shot</a> page '
        '<a href="https://example.com/a">a</a> <em>b</em></p>'
    )


def test_a_long_text_is_cut_and_links_to_the_full_text() -> None:
    html = render("A line of text.\n" * 100_000, full_url="https://example.com/42")

    assert len(html) < 2 * LONGEST
    assert html.endswith('A line of text.</p>\n<p><a href="https://example.com/42">Continue reading …</a></p>')


def test_cut_code_is_still_a_code_block() -> None:
    html = render("```\n" + "<x>\n" * 5000, full_url="https://example.com/42")

    assert html.startswith("<pre><code>&lt;x&gt;")
    assert html.count("<pre>") == html.count("</pre>") == 1
