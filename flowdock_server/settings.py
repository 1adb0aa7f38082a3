"""Settings of the bundled Flowdock server, read once from the environment and from a file (the environment wins).

The file is `.env` next to `manage.py`, or the one that ENV_FILE names.

Every variable is in the tables of docs/configuration.md.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured

from flowdock_server.oauth.scopes import TITLES
from hosting import data_folder, logs

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
ENV_FILE: str = env.str("ENV_FILE", default="")
if ENV_FILE and not os.access(ENV_FILE, os.R_OK):
    raise ImproperlyConfigured(
        f"ENV_FILE is {ENV_FILE}, which this user cannot read. Correct the path or its permissions."
    )
environ.Env.read_env(ENV_FILE or BASE_DIR / ".env")

SECRET_KEY: str = env.str("FLOWDOCK_SERVER_SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "FLOWDOCK_SERVER_SECRET_KEY is not set. Set it in the environment or in .env to a long random text, such as: "
        'python -c "import secrets; print(secrets.token_urlsafe(50))"'
    )
# Previous keys: signatures and encrypted secrets of these keys remain valid.
SECRET_KEY_FALLBACKS: list[str] = env.list("FLOWDOCK_SERVER_SECRET_KEY_FALLBACKS", default=[])
DEBUG: bool = env.bool("FLOWDOCK_SERVER_DEBUG", default=False)
# Shows the demonstration's accounts and passwords on the sign-in page. Never set it on a server that others can reach.
DEMO: bool = env.bool("FLOWDOCK_SERVER_DEMO", default=False)
# Allows `serve` to listen for other machines although it has demonstration accounts.
EXPOSE_DEMO: bool = env.bool("FLOWDOCK_SERVER_EXPOSE_DEMO", default=False)

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
# Gives the group of the folder read and write access, for processes that run as different users.
DATA_DIR_GROUP: bool = env.bool("DATA_DIR_GROUP", default=False)
data_folder.own(DATA_DIR, with_group=DATA_DIR_GROUP)

# Addresses

# The public base of all URLs that this server generates, without a trailing slash.
SERVER_URL: str = (
    env.str("FLOWDOCK_SERVER_URL", default="") or f"http://127.0.0.1:{env.int('FLOWDOCK_PORT', default=8001)}"
).rstrip("/")
# The base of the streaming API, which has the same paths on another host or port.
STREAM_PORT: int = env.int("STREAM_PORT", default=8002)
STREAM_URL: str = (env.str("FLOWDOCK_STREAM_URL", default="") or f"http://127.0.0.1:{STREAM_PORT}").rstrip("/")
STREAM_KEEP_ALIVE: float = env.float(
    "FLOWDOCK_STREAM_KEEP_ALIVE", default=30.0
)  # seconds without a message until a stream sends a keep-alive
SERVED_OVER_TLS = SERVER_URL.startswith("https://")
ALLOWED_HOSTS: list[str] = env.list(
    "FLOWDOCK_SERVER_ALLOWED_HOSTS",
    default=["127.0.0.1", "localhost", "[::1]", urlsplit(SERVER_URL).hostname, urlsplit(STREAM_URL).hostname],
)
CSRF_TRUSTED_ORIGINS = [SERVER_URL]

# The bridge that seed_demo registers.
BRIDGE_URL: str = (
    env.str("BRIDGE_URL", default="") or f"http://127.0.0.1:{env.int('BRIDGE_PORT', default=8000)}"
).rstrip("/")
BRIDGE_CLIENT_ID: str = env.str("FLOWDOCK_CLIENT_ID", default="")
BRIDGE_CLIENT_SECRET: str = env.str("FLOWDOCK_CLIENT_SECRET", default="")

# What is accepted, and how it is answered

# Loads avatars and images from other hosts, which then learn who reads.
REMOTE_IMAGES: bool = env.bool("FLOWDOCK_SERVER_REMOTE_IMAGES", default=False)
# Lets anybody who finds this server create an account and an organization. Otherwise people join by invitation only.
SIGN_UP: bool = env.bool("FLOWDOCK_SERVER_SIGN_UP", default=False)
# Answers posts with 202, as Flowdock did under load, instead of 201 with the message. The body is empty; {} for "json".
_answer_202: str = env.str("FLOWDOCK_SERVER_ANSWER_202", default="no").strip().lower()
ANSWER_POSTS_WITH_202_AND_JSON = _answer_202 == "json"
ANSWER_POSTS_WITH_202: bool = ANSWER_POSTS_WITH_202_AND_JSON or env.bool("FLOWDOCK_SERVER_ANSWER_202", default=False)
MAX_FILE_BYTES: int = env.int("FLOWDOCK_SERVER_MAX_FILE_BYTES", default=10 * 1024 * 1024)  # bytes of one file
# Bytes of the body of one request. The default allows a file in JSON, where Base64 makes it a third larger.
MAX_BODY_BYTES: int = env.int("FLOWDOCK_SERVER_MAX_BODY_BYTES", default=MAX_FILE_BYTES * 4 // 3 + 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

# Django

INSTALLED_APPS = [
    "flowdock_server",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "oauth2_provider",
]
MIDDLEWARE = [
    "flowdock_server.probes.ProbeMiddleware",
    "flowdock_server.streaming.middleware.StreamingMiddleware",
    "flowdock_server.api.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
]
ROOT_URLCONF = "flowdock_server.urls"
ASGI_APPLICATION = "flowdock_server.asgi.application"
# Flowdock's paths have no trailing slash, and a redirect would turn a POST into a GET.
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Database and processes

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url_config(
        env.str("FLOWDOCK_SERVER_DATABASE_URL", default="") or f"sqlite:///{DATA_DIR / 'flowdock.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,  # seconds to wait for another writer
        # A transaction that starts with a read fails instead of waiting when it wants to write. So lock at its start.
        "transaction_mode": "IMMEDIATE",
        # In WAL mode, NORMAL may lose the last commits in a power failure; with FULL, what was answered is stored.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    # Without these timeouts, an unreachable database blocks each thread for 15 minutes or more. Options in the URL
    # (`?connect_timeout=2`) take precedence.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,  # seconds
        "tcp_user_timeout": 10_000,  # milliseconds until sent data must be acknowledged
        "keepalives_idle": 10,  # seconds without data until the first keep-alive probe
        "keepalives_interval": 5,  # seconds
        "keepalives_count": 2,
        **DATABASES["default"].get("OPTIONS", {}),
    }
# The threads of asgi.py keep their connections until the process ends.
DATABASES["default"]["CONN_MAX_AGE"] = None
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# How several processes exchange live updates: "postgres", through their database, or redis://...
LIVE_URL: str = env.str("FLOWDOCK_SERVER_LIVE_URL", default="")
if LIVE_URL == "postgres" and "postgresql" not in DATABASES["default"]["ENGINE"]:
    raise ImproperlyConfigured(
        "FLOWDOCK_SERVER_LIVE_URL=postgres requires a PostgreSQL database in FLOWDOCK_SERVER_DATABASE_URL"
    )
if LIVE_URL not in ("", "postgres") and not LIVE_URL.startswith(("redis://", "rediss://", "unix://")):
    raise ImproperlyConfigured("FLOWDOCK_SERVER_LIVE_URL must be empty, postgres, or a URL that begins with redis://")
THREADS: int = env.int("FLOWDOCK_SERVER_THREADS", default=8)  # for pages and API calls, in each process
# Connections that are open at the same time, in each process. Every open page and every stream needs one.
MAX_CONNECTIONS: int = env.int("FLOWDOCK_SERVER_MAX_CONNECTIONS", default=2000)
MAX_CONNECTIONS_PER_ADDRESS: int = env.int("FLOWDOCK_SERVER_MAX_CONNECTIONS_PER_ADDRESS", default=1000)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# E-mail

# The mail server, such as smtp+tls://user:password@host:587. Without one, mails are written to files.
_email = env.email_url_config(env.str("FLOWDOCK_SERVER_EMAIL_URL", default="") or f"filemail:///{DATA_DIR / 'mail'}")
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _email["EMAIL_HOST"] or "localhost", _email["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_USER"] or "", _email["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = _email.get("EMAIL_USE_TLS", False), _email.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _email["EMAIL_FILE_PATH"]
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL: str = (
    env.str("FLOWDOCK_SERVER_EMAIL_FROM", default="") or f"flowdock@{urlsplit(SERVER_URL).hostname}"
)

# Limits

# Requests a minute for each caller; more are answered 429. 0: no limit.
RATE_LIMIT: int = env.int("FLOWDOCK_SERVER_RATE_LIMIT", default=0)
# Set only behind a proxy that appends its client's address to X-Forwarded-For.
TRUST_FORWARDED_FOR: bool = env.bool("FLOWDOCK_SERVER_TRUST_FORWARDED_FOR", default=False)
# Which addresses buttons of threads, chosen by integrations, may call: "public" ones, also this machine's own
# ("loopback", as in the demonstration), or also those of the network around it ("internal").
CALLS_TO: str = env.str("FLOWDOCK_SERVER_CALLS_TO", default="") or ("loopback" if DEMO or DEBUG else "public")
if CALLS_TO not in ("public", "loopback", "internal"):
    raise ImproperlyConfigured("FLOWDOCK_SERVER_CALLS_TO must be public, loopback or internal")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # Separate, because many callers would evict other entries.
    "limits": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "limits",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    },
}

# Accounts

AUTH_USER_MODEL = "flowdock_server.User"
# The last one is used for client secrets only, by its name.
PASSWORD_HASHERS = [*global_settings.PASSWORD_HASHERS, "flowdock_server.secrets.hashers.GeneratedSecretHasher"]
AUTHENTICATION_BACKENDS = [
    "flowdock_server.people.sign_in.PasswordBackend",
    "flowdock_server.signin.PasswordBackend",  # for sessions from before it moved
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/app"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

OAUTH2_PROVIDER_APPLICATION_MODEL = "flowdock_server.Application"
OAUTH2_PROVIDER = {
    "SCOPES": TITLES,
    "DEFAULT_SCOPES": ["flow", "private"],
    "OAUTH2_VALIDATOR_CLASS": "flowdock_server.oauth.validator.FlowdockValidator",
    "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https", "urn"],
    # Flowdock's clients do not support PKCE; they authenticate with their client secret.
    "PKCE_REQUIRED": False,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 600,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 14 * 24 * 3600,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    # The database stores the SHA-256 of a token instead of the token.
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
}

# Cookies, HTTPS and the content security policy

# Cookies do not distinguish ports, and by default the bridge runs on the same host, so the names must differ.
SESSION_COOKIE_NAME = "flowdock_session"
CSRF_COOKIE_NAME = "flowdock_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SERVED_OVER_TLS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = SERVED_OVER_TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SERVED_OVER_TLS else 0
# Set only behind a proxy that terminates TLS and sets X-Forwarded-Proto itself.
if env.bool("FLOWDOCK_SERVER_TRUST_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", *(["https:"] if REMOTE_IMAGES else [])],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

SILENCED_SYSTEM_CHECKS = [
    # HSTS for subdomains and preloading are decisions of whoever owns the domain.
    "security.W005",
    "security.W021",
    # Flowdock's clients use the password grant and access_token in the query, register http URLs on their own machine,
    # and support neither PKCE nor `iss`. This server exists to work with them.
    "oauth2_provider.W002",
    "oauth2_provider.W004",
    "oauth2_provider.W005",
    "oauth2_provider.W008",
    "oauth2_provider.W010",
]

# Files, language, log

# "attachments" stores files; another Django storage can replace it.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "flowdock_server.static_files.CollectedStaticFiles"},
    "attachments": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": DATA_DIR / "files",
            "file_permissions_mode": 0o660 if DATA_DIR_GROUP else 0o600,
            "directory_permissions_mode": 0o770 if DATA_DIR_GROUP else 0o700,
        },
    },
}

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Not `static`: the bridge collects its files there, and both may have the same DATA_DIR.
STATIC_ROOT = Path(env.str("FLOWDOCK_SERVER_STATIC_ROOT", default="") or DATA_DIR / "flowdock-static")
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns if the folder does not exist
# Serves static files without collectstatic.
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

LOG_FORMAT: str = env.str("FLOWDOCK_SERVER_LOG_FORMAT", default="text")
if LOG_FORMAT not in {"text", "json"}:
    raise ImproperlyConfigured("FLOWDOCK_SERVER_LOG_FORMAT must be text or json")
LOGGING = logs.configuration(env.str("FLOWDOCK_SERVER_LOG_LEVEL", default="INFO"), LOG_FORMAT)
LOGGING["loggers"] |= {
    # Refused requests are not errors of the server.
    "django.request": {"level": "ERROR"},
    # Below WARNING, it logs the codes and addresses of refused sign-ins.
    "oauthlib": {"level": "WARNING"},
    "oauth2_provider": {"level": "WARNING"},
}
