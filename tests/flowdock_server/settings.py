"""The server's settings for its tests: of its own whatever the machine's environment and `.env` say.

SQLite, or the server that TEST_DATABASE_URL names: the tests make a database of their own on it.
"""

import os
import tempfile

for name in [name for name in os.environ if name.startswith("FLOWDOCK_")]:
    del os.environ[name]
os.environ |= {
    "FLOWDOCK_SERVER_SECRET_KEY": "only for tests",
    "FLOWDOCK_SERVER_URL": "http://testserver",
    "FLOWDOCK_SERVER_ALLOWED_HOSTS": "testserver",
    "FLOWDOCK_SERVER_DEMO": "1",
    "FLOWDOCK_SERVER_DEBUG": "0",
    "FLOWDOCK_SERVER_REMOTE_IMAGES": "0",
    "FLOWDOCK_SERVER_ANSWER_202": "0",
    "FLOWDOCK_SERVER_MAX_BODY_BYTES": "200000",
    "FLOWDOCK_CLIENT_ID": "bridge",
    "FLOWDOCK_CLIENT_SECRET": "the bridge's secret",
    "BRIDGE_URL": "http://bridge.test",
    "DATA_DIR": tempfile.mkdtemp(prefix="flowdock-server-tests-"),
}
os.environ["FLOWDOCK_SERVER_DATABASE_URL"] = (
    os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{os.environ['DATA_DIR']}/flowdock.sqlite3"
)

from flowdock_server.settings import *  # noqa: E402, F403
from flowdock_server.settings import DATA_DIR, DATABASES  # noqa: E402

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, as in production, and not memory, so that threads that write at the same time wait for each other.
    # It starts as a copy of a migrated database: see conftest.py.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3"), "MIGRATE": False}
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
else:
    # A different name than in the bridge's tests, which may use the same server.
    DATABASES["default"]["TEST"] = {"NAME": "test_flowdock_server"}
# Static files are found when they are requested, and not listed by every new test client.
WHITENOISE_AUTOREFRESH = True
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "flowdock_server.secrets.hashers.GeneratedSecretHasher",
]
