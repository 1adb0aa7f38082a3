"""The gem `gitlab-flowdock-git-hook`, as packaged by Debian: GitLab's push notifications, with a `flow_token`."""

import shutil
import subprocess

import pytest

from .conftest import missing


@pytest.fixture
def push(ruby, flowdock, tmp_path):
    """Push commits with these messages to a branch and run the hook."""
    if shutil.which("git") is None:
        missing("there is no git")
    if subprocess.run([*ruby.command[:1], "-e", "require 'flowdock-git-hook'"], check=False).returncode:
        missing("there is no gem gitlab-flowdock-git-hook: apt-get install ruby-gitlab-flowdock-git-hook")

    def git(*arguments):
        identity = ["-c", "user.name=Lea Cohen", "-c", "user.email=lea@example.com"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "The first")
    token = flowdock.source("octo/tides")

    def pushed(ref, *messages):
        before = git("rev-parse", "HEAD")
        for message in messages:
            git("commit", "--quiet", "--allow-empty", "--message", message)
        options = {
            "token": token, "repo": str(tmp_path), "repo_name": "tides", "repo_url": "https://git.test/tides",
            "commit_url": "https://git.test/tides/%s", "tags": ["git"], "permanent_refs": ["refs/heads/main"],
        }  # fmt: skip
        assert ruby.run("git_hook.rb", ref, before, git("rev-parse", "HEAD"), calls=options) is True

    return pushed


def test_commits_of_a_branch_are_activities_of_one_thread(push, flowdock):
    push("refs/heads/low-tide", "Warn before <low> tide\n\nIt was late.", "Mind the moon")
    push("refs/heads/low-tide", "And the wind")

    told = flowdock.messages(limit=3, event="activity")
    assert [message["title"].partition("</a> ")[2] for message in told] == [
        "Warn before &lt;low&gt; tide",
        "Mind the moon",
        "And the wind",
    ]
    assert told[0]["body"] == "<pre>It was late.</pre>"
    assert told[0]["author"]["name"] == "Lea Cohen"
    assert "git" in told[0]["tags"]
    assert len({message["thread_id"] for message in told}) == 1
    assert told[2]["thread"]["title"] == "tides branch low-tide"
    assert told[2]["thread"]["external_url"] == "https://git.test/tides"


def test_permanent_branch_has_a_thread_for_each_push(push, flowdock):
    push("refs/heads/main", "One")
    push("refs/heads/main", "Two")

    told = flowdock.messages(limit=2, event="activity")
    assert len({message["thread_id"] for message in told}) == 2
    assert {message["thread"]["title"] for message in told} == {"tides branch main updated"}
