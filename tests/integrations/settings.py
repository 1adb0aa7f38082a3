"""The bridge's settings under test: a Flowdock that is only ever `responses`, secrets of no use to anybody."""

import os
import tempfile

os.environ.update(
    SECRET_KEY="tests-only",
    FIELD_KEYS="dGVzdHMgb25seSwgdGVzdHMgb25seSwgdGVzdHMgISE=",
    DATA_DIR=os.environ.get("TEST_DATA_DIR") or tempfile.mkdtemp(prefix="bridge-tests-"),
    BRIDGE_URL="http://bridge.test",
    FLOWDOCK_API_URL="https://flowdock.test",
    FLOWDOCK_WEB_URL="https://www.flowdock.test",
    FLOWDOCK_CLIENT_ID="bridge",
    FLOWDOCK_CLIENT_SECRET="bridge-secret",
    FLOWDOCK_API_VERSION="activities",
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", "sqlite://:memory:"),
    DEBUG="false",
)

from flowdock_bridge.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["bridge.test", "testserver"]
# WhiteNoise warns where nothing was collected, and warnings are errors here.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
# Static files are looked for when they are asked for, and not by every new test client.
WHITENOISE_AUTOREFRESH = True
