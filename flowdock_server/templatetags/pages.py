"""Tags and filters for the small parts of a page: icons, avatars, times, and URLs that are safe to link to."""

import re
import zlib
from datetime import datetime, timedelta

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from flowdock_server.models import Application, Flow, Message, Thread
from flowdock_server.models.people import initials
from flowdock_server.pages.filters import cursor_of
from flowdock_server.pages.wording import Wording
from flowdock_server.parsing.html import clean_body, without_tags

register = template.Library()

AVATAR_COLORS = 8


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """An icon from static/icons.svg. It is decorative: the element must also have text, visible or visually hidden."""
    css = "icon icon-s" if size == "s" else "icon"
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"></use></svg>', css, static("icons.svg"), name
    )


@register.simple_tag
def avatar(name: str, picture: str = "", size: str = "") -> SafeString:
    """A person's avatar: their picture where it may be loaded, else their initials on a color derived from the name."""
    css = f"avatar avatar-{size}" if size else "avatar"
    if picture and settings.REMOTE_IMAGES and picture.startswith("https://"):
        return format_html('<img class="{}" src="{}" alt="" loading="lazy" referrerpolicy="no-referrer">', css, picture)
    color = zlib.crc32(name.casefold().encode()) % AVATAR_COLORS + 1
    return format_html('<span class="{} avatar-{}" aria-hidden="true">{}</span>', css, color, initials(name))


@register.filter
def picture(application: Application | None) -> str:
    """The URL of an application's icon if a page may load it, else nothing."""
    if application is None:
        return ""
    own = application.icon.startswith("/") and not application.icon.startswith("//")
    return application.icon if own or (settings.REMOTE_IMAGES and application.icon.startswith("https://")) else ""


@register.filter
def web_address(address: object) -> str:
    """`address` if it is an http(s) URL, else nothing: others, such as `javascript:`, must not become links."""
    return address if isinstance(address, str) and address.lower().startswith(("http://", "https://")) else ""


@register.filter
def place(thread: Thread) -> str:
    """The thread's position in the list, which static/inbox.js compares."""
    return cursor_of(thread)


@register.filter
def at_most(count: int, most: int = 99) -> str:
    """`count` as text, capped: 7, or 99+."""
    return str(count) if count <= most else f"{most}+"


@register.filter
def host(address: str) -> str:
    """The host of a URL: bridge.example for https://bridge.example/setup."""
    return re.sub(r"^\w+://([^/?#]*).*$", r"\1", address, flags=re.DOTALL)


@register.simple_tag
def when(moment: datetime, style: str = "short") -> SafeString:
    """How long ago `moment` was, with the exact time on hover. "short" is for columns, "ago" for sentences.

    static/flowdock.js keeps it up to date."""
    text = _long_ago(moment, timezone.now())
    if style == "ago" and text.endswith((" min", " h")):
        text += " ago"
    return format_html(
        '<time datetime="{}" title="{}" data-style="{}">{}</time>',
        moment.astimezone(timezone.get_default_timezone()).strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{moment.day} {moment:%B %Y, %H:%M:%S} UTC",
        style,
        text,
    )


def _long_ago(moment: datetime, now: datetime) -> str:
    age = now - moment
    if age < timedelta(minutes=1):
        return "just now"
    if age < timedelta(hours=1):
        return f"{age.seconds // 60} min"
    if age < timedelta(days=1):
        return f"{age.seconds // 3600} h"
    if age < timedelta(days=6):
        return f"{moment:%a}"
    return f"{moment.day} {moment:%b}" if moment.year == now.year else f"{moment.day} {moment:%b %Y}"


@register.filter
def as_html(text: str, wording: Wording | None = None) -> SafeString:
    """What a person typed, as HTML, with links for the nicks and tags that `wording` knows."""
    return (wording or Wording()).as_html(text)


ACTION_TEXTS = {
    "add_people": "added {}",
    "join": "joined",
    "block": "blocked {}",
    "unblock": "unblocked {}",
    "invite": "invited {}",
    "decline": "declined the invitation for {}",
    "uninvite": "canceled the invitation for {}",
    "add_rss_feed": "added the feed {}",
    "remove_rss_feed": "removed the feed {}",
}


@register.filter
def action_text(message: Message) -> str:
    """The text of an "action" message: what the person did."""
    given = message.data if isinstance(message.data, dict) else {}
    about = given.get("description", "")
    if isinstance(about, dict):
        about = next((str(about[key]) for key in ("email", "nick", "name") if about.get(key)), "a member")
    return ACTION_TEXTS.get(str(given.get("type")), "made a change").format(about or "a member")


@register.filter
def plain_title(message: Message) -> str:
    return without_tags(message.title)


@register.filter
def body_in(message: Message, flow: Flow) -> SafeString:
    """The message's body as HTML; `cid:` URLs become those of its attachments. Needs `attachments` prefetched."""
    if "cid:" not in message.body:
        return clean_body(message.body)
    base = f"{flow.get_absolute_url()}/files"
    named = {each.content_id: f"{base}/{each.key}" for each in message.attachments.all() if each.content_id}
    return clean_body(message.body, named)


@register.filter
def day(moment: datetime) -> SafeString:
    """The date as a heading between messages; static/flowdock.js converts it to the reader's time zone."""
    return format_html(
        '<time datetime="{}" data-style="day">{}</time>',
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{moment:%A}, {moment.day} {moment:%B %Y}",
    )


@register.filter
def clock(moment: datetime) -> SafeString:
    """The time of day, with the exact time on hover."""
    return format_html(
        '<time datetime="{}" title="{}" data-style="clock">{}</time>',
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{moment.day} {moment:%B %Y, %H:%M:%S} UTC",
        f"{moment:%H:%M}",
    )
