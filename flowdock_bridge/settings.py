"""Settings of the bridge, read once from the environment and from a file: `.env` next to `manage.py`, or ENV_FILE.

The environment takes precedence.

Every variable is described in docs/configuration.md.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from hosting import data_folder, logs

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
ENV_FILE: str = env.str("ENV_FILE", default="")
if ENV_FILE and not os.access(ENV_FILE, os.R_OK):
    raise ImproperlyConfigured(
        f"ENV_FILE is {ENV_FILE}, which this user cannot read. Correct the path or its permissions."
    )
environ.Env.read_env(ENV_FILE or BASE_DIR / ".env")


def required(name: str, what_to_do: str) -> str:
    """The value of the variable. If it is not set, the start stops with a message that says what to do."""
    value: str = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {what_to_do}")
    return value


# Addresses and files

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
BRIDGE_PORT: int = env.int("BRIDGE_PORT", default=8000)
FLOWDOCK_PORT: int = env.int("FLOWDOCK_PORT", default=8001)
BRIDGE_URL: str = env.str("BRIDGE_URL", default=f"http://127.0.0.1:{BRIDGE_PORT}").rstrip("/")
SERVES_HTTPS = BRIDGE_URL.startswith("https://")

# Secrets

SECRET_KEY = required(
    "SECRET_KEY",
    "`make run` writes one to .env. Otherwise set it to 50 or more random characters, for example from"
    """ `python -c "import secrets; print(secrets.token_urlsafe(50))"`.""",
)
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
# Fernet keys for secrets in the database: the first encrypts, all of them decrypt.
FIELD_KEYS = [
    key.strip()
    for key in required(
        "FIELD_KEYS",
        "`make run` writes one to .env. Otherwise set it to Fernet keys, newest first, separated by commas, each from "
        """`python -c "import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"`.""",
    ).split(",")
    if key.strip()
]

# Flowdock

FLOWDOCK_API_URL: str = env.str("FLOWDOCK_API_URL", default=f"http://127.0.0.1:{FLOWDOCK_PORT}").rstrip("/")
FLOWDOCK_WEB_URL: str = env.str("FLOWDOCK_WEB_URL", default=FLOWDOCK_API_URL).rstrip("/")
FLOWDOCK_CLIENT_ID: str = env.str("FLOWDOCK_CLIENT_ID", default="")
FLOWDOCK_CLIENT_SECRET: str = env.str("FLOWDOCK_CLIENT_SECRET", default="")
# "activities": the API of October 2014 (POST /activities); "messages": the later API (POST /messages).
FLOWDOCK_API_VERSION: str = env.str("FLOWDOCK_API_VERSION", default="activities")
FLOWDOCK_TIMEOUT: float = env.float("FLOWDOCK_TIMEOUT", default=10.0)  # seconds
FLOWDOCK_CA_FILE: str = env.str("FLOWDOCK_CA_FILE", default="")

# What is accepted, kept and delivered

HOOK_MAX_BYTES: int = env.int("HOOK_MAX_BYTES", default=25 * 1024 * 1024)
EVENT_RETENTION_DAYS: int = env.int("EVENT_RETENTION_DAYS", default=30)
WORKER_SENDERS: int = env.int("WORKER_SENDERS", default=32)

# The web server (`python manage.py serve`), for each of its processes

WEB_THREADS: int = env.int("WEB_THREADS", default=4)
MAX_CONNECTIONS: int = env.int("MAX_CONNECTIONS", default=1000)
MAX_CONNECTIONS_PER_ADDRESS: int = env.int("MAX_CONNECTIONS_PER_ADDRESS", default=250)

# Django

DEBUG: bool = env.bool("DEBUG", default=False)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS", default=[urlsplit(BRIDGE_URL).hostname or "", "127.0.0.1", "localhost"]
)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[BRIDGE_URL] if SERVES_HTTPS else [])
ROOT_URLCONF = "flowdock_bridge.urls"
WSGI_APPLICATION = "flowdock_bridge.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-gb"
TIME_ZONE: str = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

INSTALLED_APPS = [
    "integrations",
    "polls",
    "social_django",
    "django_htmx",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "integrations.middleware.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "integrations.middleware.HookMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "integrations.middleware.FlowdockErrorMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database

# With DATA_DIR_GROUP the group of the folder can read and write in it, for processes that run as different users.
data_folder.own(DATA_DIR, with_group=env.bool("DATA_DIR_GROUP", default=False))
DATABASES: dict[str, Any] = {"default": env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'bridge.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # A writing transaction takes the lock at its start, so it cannot fail later when it first writes.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds
        # FULL: in WAL mode NORMAL may lose the last commits on power loss, and 202 promises that they are stored.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Without these, a database machine that disappears blocks each thread until the system's timeout: 15 minutes and
    # more. Values in DATABASE_URL (`?connect_timeout=2`) take precedence.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,  # seconds
        "tcp_user_timeout": 10_000,  # milliseconds until sent data must be acknowledged
        "keepalives_idle": 10,  # seconds without data, while waiting for an answer, until the first probe
        "keepalives_interval": 5,  # seconds
        "keepalives_count": 2,
        **DATABASES["default"].get("OPTIONS", {}),
    }
# Connections stay open: on PostgreSQL opening one takes three quarters of the time of a webhook request. On SQLite the
# last one to close copies the whole WAL into the database file, which can take longer than everything else.
DATABASES["default"]["CONN_MAX_AGE"] = None

# People

AUTHENTICATION_BACKENDS = [
    "integrations.flowdock.oauth.FlowdockOAuth2",
    "integrations.passwords.PasswordBackend",  # staff, in the admin
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
# The session is stored in the person's cookie. The access token in it is also encrypted, and is in no database.
SESSION_ENGINE = "integrations.sessions"
SESSION_COOKIE_NAME = "bridge_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # returning from Flowdock is a navigation from another site
SESSION_COOKIE_SECURE = SERVES_HTTPS
CSRF_COOKIE_NAME = "bridge_csrf"
CSRF_COOKIE_SECURE = SERVES_HTTPS
CSRF_FAILURE_VIEW = "integrations.views.error_pages.csrf_failure"

SOCIAL_AUTH_FLOWDOCK_KEY = FLOWDOCK_CLIENT_ID
SOCIAL_AUTH_FLOWDOCK_SECRET = FLOWDOCK_CLIENT_SECRET
SOCIAL_AUTH_JSONFIELD_ENABLED = True
SOCIAL_AUTH_REDIRECT_IS_HTTPS = SERVES_HTTPS
SOCIAL_AUTH_URL_NAMESPACE = "social"
SOCIAL_AUTH_PIPELINE = [
    "social_core.pipeline.social_auth.social_details",
    "social_core.pipeline.social_auth.social_uid",
    "social_core.pipeline.social_auth.auth_allowed",
    "social_core.pipeline.social_auth.social_user",
    "social_core.pipeline.user.get_username",
    "social_core.pipeline.user.create_user",
    "social_core.pipeline.social_auth.associate_user",
    "social_core.pipeline.user.user_details",
    "integrations.flowdock.oauth.remember_access_token",
]

# Security headers

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "base-uri": [NONE],
        # "Add" and "Configure" start at Flowdock, whose consent page sends the browser back here.
        "form-action": [SELF, FLOWDOCK_API_URL, FLOWDOCK_WEB_URL],
        "frame-ancestors": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", default=SERVES_HTTPS)
# The other two parts of HSTS affect the whole domain, so only its owner can decide about them.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_HSTS_SECONDS: int = env.int("SECURE_HSTS_SECONDS", default=365 * 24 * 3600 if SERVES_HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS: bool = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD: bool = env.bool("SECURE_HSTS_PRELOAD", default=False)
# Only for a proxy that always sets X-Forwarded-Proto itself.
if env.bool("TRUST_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Only for a proxy that appends the client's address to X-Forwarded-For.
TRUST_FORWARDED_FOR: bool = env.bool("TRUST_FORWARDED_FOR", default=False)

# Static files

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default="") or DATA_DIR / "static")
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns if the folder does not exist
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "flowdock_bridge.static_files.CollectedStaticFiles"},
}
# Static files are also served without collectstatic.
WHITENOISE_USE_FINDERS = True

# What operators see: metrics, and one line for each record, to standard error

METRICS_TOKEN: str = env.str("METRICS_TOKEN", default="")

LOG_FORMAT: str = env.str("LOG_FORMAT", default="text")
if LOG_FORMAT not in {"text", "json"}:
    raise ImproperlyConfigured("LOG_FORMAT must be text or json")
LOGGING: dict[str, Any] = logs.configuration(env.str("LOG_LEVEL", default="INFO"), LOG_FORMAT)
