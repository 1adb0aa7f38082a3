"""Arguments that several commands take."""

from __future__ import annotations

from argparse import ArgumentParser

from django.conf import settings


def add_senders(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--senders",
        type=int,
        default=settings.WORKER_SENDERS,
        help="How many activities to post at the same time (default: WORKER_SENDERS, %(default)s).",
    )
