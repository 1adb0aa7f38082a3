"""What the bridge's pages share: icons, pills, people, times, charts, and HTML from outside."""

from __future__ import annotations

import datetime as dt
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from integrations import services
from integrations.access import LAST_ANSWER_AT
from integrations.flowdock.payload import clean_body, clean_title
from integrations.history import Day
from integrations.models import Delivery, Integration
from integrations.services.own_apps import OwnApp

register = template.Library()

STATE_PILLS = {
    Integration.State.CONNECTING: ("pill-blue", "clock"),
    Integration.State.WAITING: ("pill-blue", "clock"),
    Integration.State.ACTIVE: ("pill-green", "check"),
    Integration.State.ATTENTION: ("pill-orange", "warning"),
    Integration.State.PAUSED: ("pill-grey", "pause"),
    Integration.State.REMOVED: ("pill-outline", "cross"),
}
VERDICT_PILLS = {
    Delivery.State.PENDING: ("pill-yellow", "clock"),
    Delivery.State.DELIVERED: ("pill-green", "check"),
    Delivery.State.FAILED: ("pill-red", "cross"),
    Delivery.State.FILTERED: ("pill-grey", "filter"),
    Delivery.State.UNPOSTED: ("pill-outline", "minus"),
    Delivery.State.DROPPED: ("pill-outline", "minus"),
}


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    return format_html(
        '<svg class="icon{}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        f" icon-{size}" if size else "",
        static("icons.svg"),
        name,
    )


@register.simple_tag
def own_apps() -> list[OwnApp]:
    """The installed apps that have their own pages, for the navigation."""
    return [app for app in services.own_apps() if app.home]


@register.simple_tag(takes_context=True)
def flowdock_answered_at(context: template.Context) -> dt.datetime | None:
    """If Flowdock does not answer now, when it gave the answer that this page relies on; else None."""
    answered_at: dt.datetime | None = context["request"].META.get(LAST_ANSWER_AT)
    return answered_at


@register.simple_tag
def state_pill(integration: Integration, classes: str = "") -> SafeString:
    """The integration's state, with an icon next to the color."""
    state = integration.state
    color, sign = STATE_PILLS[state]
    words = str(state.label)
    if state == Integration.State.REMOVED:
        words = "Removed in Flowdock"
    elif state == Integration.State.PAUSED and integration.paused_by:
        words = f"Paused by {person_name(integration.paused_by)}"
    return format_html(
        '<span class="{}pill {}">{}<span class="truncate">{}</span></span>',
        f"{classes} " if classes else "",
        color,
        icon(sign),
        words,
    )


@register.simple_tag
def verdict_pill(delivery: Delivery) -> SafeString:
    state = Delivery.State(delivery.state)
    color, sign = VERDICT_PILLS[state]
    return format_html('<span class="pill {}">{}{}</span>', color, icon(sign), state.label)


@register.filter
def person_name(user: Any) -> str:
    """The person's name in Flowdock, or else their nick."""
    return str(user.get_full_name() or user.get_username()) if user else "somebody"


@register.simple_tag
def avatar(name: str, classes: str = "") -> SafeString:
    """A person as a colored disc with their initials; the same name always has the same color."""
    words = re.findall(r"[^\W_]+", name)
    initials = (words[0][0] + words[-1][0] if len(words) > 1 else name.strip()[:2]).upper() or "?"
    color = zlib.crc32(name.casefold().encode(errors="replace")) % 8 + 1
    return format_html(
        '<span class="avatar avatar-{}{}" aria-hidden="true">{}</span>',
        color,
        f" {classes}" if classes else "",
        initials,
    )


@register.filter
def ago(moment: dt.datetime | None) -> SafeString:
    """How long ago, with the exact time on hover; works for times in the future too."""
    if moment is None:
        return mark_safe("never")
    moment = timezone.localtime(moment)
    exact = date_format(moment, "j F Y, H:i:s T")
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, _relative(moment))


def _relative(moment: dt.datetime) -> str:
    now = timezone.localtime()
    seconds = (now - moment).total_seconds()
    if -5 < seconds < 10:
        return "just now"
    before, after = ("", " ago") if seconds > 0 else ("in ", "")
    size = abs(seconds)
    for unit, length, until in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 20 * 3600)):
        if size < until:
            return f"{before}{int(size // length)} {unit}{after}"
    days = (now.date() - moment.date()).days
    if 0 <= days < 7:
        return ("today", "yesterday")[days] if days < 2 else date_format(moment, "l")
    return date_format(moment, "j M" if moment.year == now.year else "j M Y")


@dataclass(frozen=True, slots=True)
class Bar:
    kind: str
    x: int
    y: float
    height: float


@register.inclusion_tag("integrations/_bars.html")
def bars(days: Sequence[Day], width: int = 109, height: int = 26) -> dict[str, Any]:
    """A bar for each day: posted below, filtered on top, and a thin line for a day without events."""
    top = max((day.posted + day.filtered for day in days), default=0) or 1
    return {
        "bars": list(_bars(days, (height - 1) / top, height)),
        "width": width,
        "height": height,
        "posted": sum(day.posted for day in days),
        "filtered": sum(day.filtered for day in days),
        "days": len(days),
    }


def _bars(days: Iterable[Day], scale: float, height: int) -> Iterable[Bar]:
    for position, day in enumerate(days):
        x = position * 8
        posted, filtered = round(day.posted * scale, 1), round(day.filtered * scale, 1)
        if not posted and not filtered:
            yield Bar("none", x, height - 1, 1)
        if filtered:
            yield Bar("filtered", x, round(height - posted - filtered, 1), filtered)
        if posted:
            yield Bar("posted", x, round(height - posted, 1), posted)


@register.filter
def verdict_words(delivery: Delivery) -> SafeString | str:
    """The text next to the verdict: how fast it was posted, until when it waits, or which rule refused it."""
    if delivery.state == Delivery.State.DELIVERED and delivery.delivered_at:
        return f"in {_duration((delivery.delivered_at - delivery.event.received_at).total_seconds())}"
    if delivery.state != Delivery.State.PENDING:
        return delivery.reason
    if delivery.integration.paused_at:
        return "until you resume this integration"
    if delivery.next_attempt_at is None:
        return delivery.reason or "after an earlier activity in its thread"
    if delivery.reason and delivery.next_attempt_at > timezone.now():
        return format_html("{}; next attempt {}", delivery.reason, ago(delivery.next_attempt_at))
    return delivery.reason or "about to be sent"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{max(round(seconds * 1000), 1)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{round(seconds / 60)} min" if seconds < 3600 else f"{round(seconds / 3600)} h"


@register.filter
def in_the_flow(delivery: Delivery) -> str:
    """The address of the delivery's thread in the flow, or empty."""
    if not delivery.flowdock_thread_id or not delivery.integration.flow_web_url:
        return ""
    return f"{delivery.integration.flow_web_url.rstrip('/')}/threads/{delivery.flowdock_thread_id}"


@register.filter
def flow_title(html: str) -> SafeString:
    """A title as the flow shows it: text and links."""
    return mark_safe(clean_title(html))


@register.filter
def flow_body(html: str) -> SafeString:
    """A body as the flow shows it, without images, which our security policy blocks, and without headings."""
    return mark_safe(clean_body(html, without={"img", "h1", "h2", "h3", "h4", "h5", "h6"}))
