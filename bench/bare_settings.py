"""The Flowdock server's settings, without its middleware and URLs: for `bench.bare_post`."""

from flowdock_server.settings import *  # noqa: F403

MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bench.bare_post"
