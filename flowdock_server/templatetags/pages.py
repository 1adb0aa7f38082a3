"""The small parts of a page: signs, pictures of people, times, addresses that are safe to follow."""

import re
import zlib
from datetime import datetime, timedelta

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from flowdock_server.html import LINK_REL
from flowdock_server.models import Application, Thread
from flowdock_server.models.people import initials
from flowdock_server.pages.filters import cursor_of

register = template.Library()

AVATAR_COLOURS = 8
_ADDRESS = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?()\[\]]", re.IGNORECASE)


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """A sign from static/icons.svg. It is decoration: words stand beside it, or hidden inside the same link."""
    css = "icon icon-s" if size == "s" else "icon"
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"></use></svg>', css, static("icons.svg"), name
    )


@register.simple_tag
def avatar(name: str, picture: str = "", size: str = "") -> SafeString:
    """A person's round picture: their own where it may be loaded, else initials on a colour that is always theirs."""
    css = f"avatar avatar-{size}" if size else "avatar"
    if picture and settings.REMOTE_IMAGES and picture.startswith("https://"):
        return format_html('<img class="{}" src="{}" alt="" loading="lazy" referrerpolicy="no-referrer">', css, picture)
    colour = zlib.crc32(name.casefold().encode()) % AVATAR_COLOURS + 1
    return format_html('<span class="{} avatar-{}" aria-hidden="true">{}</span>', css, colour, initials(name))


@register.filter
def picture(application: Application | None) -> str:
    """The address of an application's icon if a page may load it, else nothing."""
    if application is None:
        return ""
    own = application.icon.startswith("/") and not application.icon.startswith("//")
    return application.icon if own or (settings.REMOTE_IMAGES and application.icon.startswith("https://")) else ""


@register.filter
def web_address(address: object) -> str:
    """`address` if it is one of the web, else nothing: strangers send links, and `javascript:` is an address too."""
    return address if isinstance(address, str) and address.lower().startswith(("http://", "https://")) else ""


@register.filter
def place(thread: Thread) -> str:
    """Where in the list the thread stands: static/inbox.js compares it."""
    return cursor_of(thread)


@register.filter
def host(address: str) -> str:
    """The part of an address that says whose it is: bridge.example for https://bridge.example/setup."""
    return re.sub(r"^\w+://([^/?#]*).*$", r"\1", address, flags=re.DOTALL)


@register.simple_tag
def when(moment: datetime, style: str = "short") -> SafeString:
    """How long ago, exactly on hover. "short" is for columns, "ago" for sentences; static/flowdock.js goes on."""
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
def spoken(text: str) -> SafeString:
    """What a person typed: paragraphs and line breaks as they were, addresses as links, everything else as text."""
    paragraphs = re.split(r"\n\s*\n", text.strip().replace("\r\n", "\n"))
    return mark_safe("".join(f"<p>{_linked(paragraph).replace(chr(10), '<br>')}</p>" for paragraph in paragraphs))


def _linked(text: str) -> str:
    parts, end = [], 0
    for found in _ADDRESS.finditer(text):
        address = escape(found.group())
        parts += [escape(text[end : found.start()]), f'<a href="{address}" rel="{LINK_REL}">{address}</a>']
        end = found.end()
    return "".join([*parts, escape(text[end:])])
