"""Settings of the bundled Flowdock server, read once from the environment and from `.env` (the environment wins).

Every variable is in the tables of docs/configuration.md.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured

from flowdock_server.oauth.scopes import TITLES
from hosting import data_folder

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

SECRET_KEY: str = env.str("FLOWDOCK_SERVER_SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "FLOWDOCK_SERVER_SECRET_KEY is not set. Put a long random text into the environment or into .env, for example: "
        'python -c "import secrets; print(secrets.token_urlsafe(50))"'
    )
# Former keys, after a change: what was signed or encrypted with them can still be read.
SECRET_KEY_FALLBACKS: list[str] = env.list("FLOWDOCK_SERVER_SECRET_KEY_FALLBACKS", default=[])
DEBUG: bool = env.bool("FLOWDOCK_SERVER_DEBUG", default=False)
# Offers the demonstration accounts on the sign-in page. Never on a server that others can reach.
DEMO: bool = env.bool("FLOWDOCK_SERVER_DEMO", default=False)
# Serves them to other machines all the same, which `serve` refuses otherwise.
EXPOSE_DEMO: bool = env.bool("FLOWDOCK_SERVER_EXPOSE_DEMO", default=False)

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
# Lets the group of the folder read and write what is in it, for processes that run as different users.
DATA_DIR_GROUP: bool = env.bool("DATA_DIR_GROUP", default=False)
data_folder.own(DATA_DIR, with_group=DATA_DIR_GROUP)

# Addresses

# The public base of every URL that this server gives out, without a slash at its end.
SERVER_URL: str = (
    env.str("FLOWDOCK_SERVER_URL", default="") or f"http://127.0.0.1:{env.int('FLOWDOCK_PORT', default=8001)}"
).rstrip("/")
# The base of the streaming API, whose paths are the same: another host, or another port.
STREAM_PORT: int = env.int("STREAM_PORT", default=8002)
STREAM_URL: str = (env.str("FLOWDOCK_STREAM_URL", default="") or f"http://127.0.0.1:{STREAM_PORT}").rstrip("/")
STREAM_KEEP_ALIVE: float = env.float(
    "FLOWDOCK_STREAM_KEEP_ALIVE", default=30.0
)  # seconds of silence until a stream sends a sign of life
SERVED_OVER_TLS = SERVER_URL.startswith("https://")
ALLOWED_HOSTS: list[str] = env.list(
    "FLOWDOCK_SERVER_ALLOWED_HOSTS",
    default=["127.0.0.1", "localhost", "[::1]", urlsplit(SERVER_URL).hostname, urlsplit(STREAM_URL).hostname],
)
CSRF_TRUSTED_ORIGINS = [SERVER_URL]

# The bridge beside it, as seed_demo registers it.
BRIDGE_URL: str = (
    env.str("BRIDGE_URL", default="") or f"http://127.0.0.1:{env.int('BRIDGE_PORT', default=8000)}"
).rstrip("/")
BRIDGE_CLIENT_ID: str = env.str("FLOWDOCK_CLIENT_ID", default="")
BRIDGE_CLIENT_SECRET: str = env.str("FLOWDOCK_CLIENT_SECRET", default="")

# What is accepted, and how it is answered

# People's avatars and pictures in bodies come from anywhere, and loading them tells their hosts who reads.
REMOTE_IMAGES: bool = env.bool("FLOWDOCK_SERVER_REMOTE_IMAGES", default=False)
# Lets anybody who finds this server create an account and an organization. Otherwise people join by invitation only.
SIGN_UP: bool = env.bool("FLOWDOCK_SERVER_SIGN_UP", default=False)
# 202 for a post, as Flowdock answered under load, instead of 201 with the message: with an empty body, or with {}.
_answer_202: str = env.str("FLOWDOCK_SERVER_ANSWER_202", default="no").strip().lower()
ANSWER_POSTS_WITH_202_AND_JSON = _answer_202 == "json"
ANSWER_POSTS_WITH_202: bool = ANSWER_POSTS_WITH_202_AND_JSON or env.bool("FLOWDOCK_SERVER_ANSWER_202", default=False)
MAX_FILE_BYTES: int = env.int("FLOWDOCK_SERVER_MAX_FILE_BYTES", default=10 * 1024 * 1024)  # bytes of one file
# Bytes of the body of one request. JSON carries a file in Base64, which is a third longer.
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
# Flowdock's addresses have no slash at their end, and a redirect would turn a POST into a GET.
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
        "timeout": 20,  # seconds that a writer waits for another
        # A transaction that starts as a reader cannot wait for its turn to write: it fails. So take the turn at once.
        "transaction_mode": "IMMEDIATE",
        # FULL, since in WAL mode NORMAL may lose the last commits when the power goes: what is answered is stored.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    # Else a database machine that has gone without a word keeps each thread for as long as the system does: 15 minutes
    # and more. What the address says (`?connect_timeout=2`) wins.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,  # seconds
        "tcp_user_timeout": 10_000,  # milliseconds until what was sent must be acknowledged
        "keepalives_idle": 10,  # seconds of silence, while an answer is waited for, until the machine is asked
        "keepalives_interval": 5,  # seconds
        "keepalives_count": 2,
        **DATABASES["default"].get("OPTIONS", {}),
    }
# The threads of asgi.py live as long as the process, and so do their connections.
DATABASES["default"]["CONN_MAX_AGE"] = None
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# How several processes tell each other what happens: "postgres", on their database, or redis://...
LIVE_URL: str = env.str("FLOWDOCK_SERVER_LIVE_URL", default="")
if LIVE_URL == "postgres" and "postgresql" not in DATABASES["default"]["ENGINE"]:
    raise ImproperlyConfigured("FLOWDOCK_SERVER_LIVE_URL=postgres needs a PostgreSQL FLOWDOCK_SERVER_DATABASE_URL")
if LIVE_URL not in ("", "postgres") and not LIVE_URL.startswith(("redis://", "rediss://", "unix://")):
    raise ImproperlyConfigured("FLOWDOCK_SERVER_LIVE_URL must be empty, postgres, or begin with redis://")
THREADS: int = env.int("FLOWDOCK_SERVER_THREADS", default=8)  # that run pages and calls, in each process
# Open connections of each process at a time: each page that is looked at and each stream is one.
MAX_CONNECTIONS: int = env.int("FLOWDOCK_SERVER_MAX_CONNECTIONS", default=2000)
MAX_CONNECTIONS_PER_ADDRESS: int = env.int("FLOWDOCK_SERVER_MAX_CONNECTIONS_PER_ADDRESS", default=1000)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# E-mail

# Invitations go out by mail: smtp+tls://user:password@host:587. Without a mail server they are put into files.
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
# Behind a proxy that adds its caller's address to X-Forwarded-For, and only there.
TRUST_FORWARDED_FOR: bool = env.bool("FLOWDOCK_SERVER_TRUST_FORWARDED_FOR", default=False)
# Which addresses buttons of threads, chosen by integrations, may call: "public" ones, also this machine's own
# ("loopback", as in the demonstration), or also those of the network around it ("internal").
CALLS_TO: str = env.str("FLOWDOCK_SERVER_CALLS_TO", default="") or ("loopback" if DEMO or DEBUG else "public")
if CALLS_TO not in ("public", "loopback", "internal"):
    raise ImproperlyConfigured("FLOWDOCK_SERVER_CALLS_TO is public, loopback or internal.")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # Apart, since a crowd of callers would crowd out what else is remembered.
    "limits": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "limits",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    },
}

# Accounts

AUTH_USER_MODEL = "flowdock_server.User"
# The last one is for client secrets only, which name it when they are stored.
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
    # No Flowdock client knows PKCE; each proves itself by its secret.
    "PKCE_REQUIRED": False,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 600,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 14 * 24 * 3600,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    # The database keeps a token's SHA-256 and not the token.
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
}

# What browsers are told

# Cookies ignore ports, and the bridge runs on the same host by default: names of our own keep them apart.
SESSION_COOKIE_NAME = "flowdock_session"
CSRF_COOKIE_NAME = "flowdock_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SERVED_OVER_TLS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = SERVED_OVER_TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SERVED_OVER_TLS else 0
# Behind a proxy that ends TLS and sets X-Forwarded-Proto itself, and only there.
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
    # What other hosts of the domain do is not this server's to decide.
    "security.W005",
    "security.W021",
    # Clients of Flowdock use the password grant and access_token in the query, register plain http for a bridge on
    # their own machine, and know neither PKCE nor `iss`. Speaking with them is what this server is for.
    "oauth2_provider.W002",
    "oauth2_provider.W004",
    "oauth2_provider.W005",
    "oauth2_provider.W008",
    "oauth2_provider.W010",
]

# Files, language, log

# Where the bytes of attachments are: another storage of Django's may take their place.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
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
# Served from where they lie: nothing has to be collected before a start.
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"one_line": {"()": "hosting.logs.OneLine"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("FLOWDOCK_SERVER_LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # A client that calls by another name than ours could fill the disk with tracebacks.
        "django.security.DisallowedHost": {"filters": ["one_line"]},
        # Requests that were refused are the caller's business and answered in words.
        "django.request": {"level": "ERROR"},
        # It logs the codes and addresses of refused sign-ins.
        "oauthlib": {"level": "WARNING"},
        "oauth2_provider": {"level": "WARNING"},
    },
}
