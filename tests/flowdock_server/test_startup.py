"""Starting the server as a process."""

import os
import subprocess
import sys


def manage(*arguments, input=None, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWDOCK_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "-m", "flowdock_server", *arguments],
        env=clean | environment,
        input=input,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_secret_key_is_explained(tmp_path):
    result = manage("check", DATA_DIR=str(tmp_path), FLOWDOCK_SERVER_SECRET_KEY="")

    assert result.returncode == 1
    assert result.stderr.startswith("FLOWDOCK_SERVER_SECRET_KEY is not set.")
    assert "Traceback" not in result.stderr


def test_migrate_creates_the_database_in_the_data_folder(tmp_path):
    result = manage(
        "migrate",
        DATA_DIR=str(tmp_path / "new"),
        FLOWDOCK_SERVER_SECRET_KEY="x",
        FLOWDOCK_SERVER_DATABASE_URL="",
    )

    assert result.returncode == 0, result.stderr
    assert (tmp_path / "new" / "flowdock.sqlite3").exists()


def test_missing_tables_are_explained(tmp_path):
    result = manage("create_organization", "Acme", DATA_DIR=str(tmp_path), FLOWDOCK_SERVER_SECRET_KEY="x")

    assert result.returncode == 1
    assert "python -m flowdock_server migrate" in result.stderr
    assert "Traceback" not in result.stderr


def test_unavailable_database_is_explained(tmp_path):
    result = manage(
        "issue_token",
        "acme/main",
        DATA_DIR=str(tmp_path),
        FLOWDOCK_SERVER_SECRET_KEY="x",
        FLOWDOCK_SERVER_DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing",
    )

    assert result.returncode == 1
    assert result.stderr.startswith("The database is not available: ")
    assert "Traceback" not in result.stderr


def test_invalid_port_is_refused_by_name(tmp_path):
    for wrong in ("99999", "-1", "http"):
        result = manage("serve", f"--port={wrong}", DATA_DIR=str(tmp_path), FLOWDOCK_SERVER_SECRET_KEY="x")

        assert result.returncode == 2
        assert f"python -m flowdock_server serve: error: argument --port: '{wrong}' is not a port" in result.stderr


def test_models_and_migrations_agree(tmp_path):
    result = manage("makemigrations", "--check", DATA_DIR=str(tmp_path), FLOWDOCK_SERVER_SECRET_KEY="x")

    assert result.returncode == 0, result.stdout


def test_production_settings_cause_no_deployment_warnings(tmp_path):
    result = manage(
        "check",
        "--deploy",
        DATA_DIR=str(tmp_path),
        FLOWDOCK_SERVER_SECRET_KEY="x7Gm2k" * 12,
        FLOWDOCK_SERVER_URL="https://flowdock.acme.example",
        FLOWDOCK_SERVER_DEMO="0",
    )

    assert result.returncode == 0
    assert "System check identified no issues" in result.stdout + result.stderr, result.stderr


def test_command_starts_without_the_pages_and_the_api(tmp_path):
    """`-X importtime` names each imported module; one run of the system checks would import all of them."""
    environment = {"DATA_DIR": str(tmp_path), "FLOWDOCK_SERVER_SECRET_KEY": "x", "FLOWDOCK_SERVER_DATABASE_URL": ""}

    result = manage("reencrypt_secrets", PYTHONPROFILEIMPORTTIME="1", **environment)

    assert "flowdock_server.models" in result.stderr
    assert "flowdock_server.api" not in result.stderr
    assert "flowdock_server.pages" not in result.stderr
