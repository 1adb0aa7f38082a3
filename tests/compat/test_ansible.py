"""The Ansible module `community.general.flowdock`, last included in Ansible 9. Its URL is fixed."""

import json
import zipfile

import pytest

from .conftest import install

MODULE = "ansible_collections/community/general/plugins/modules/flowdock.py"


@pytest.fixture(scope="module")
def module(pypi, tmp_path_factory):
    """The module as Ansible runs it on a machine: a program that reads its arguments from standard input."""
    clients = pypi("ansible-core==2.16.14")
    folder = tmp_path_factory.mktemp("ansible")
    # Only one of the package's thousands of files is needed.
    command = [*clients.command, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    install("PyPI", *command, "--dest", str(folder), "ansible==9.13.0")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as package:
        package.extract(MODULE, folder)

    def run(**arguments):
        # If it fails, it exits with 1 and prints the reason to standard output.
        process = clients.start(str(folder / MODULE))
        out, error = process.communicate(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), timeout=60)
        assert out, error
        return json.loads(out)

    return run


def test_message_is_posted_to_the_inbox(module, flowdock):
    answer = module(
        type="inbox", token=flowdock.push_token, msg="<p>All went <b>well</b></p>", from_address="ci@example.com",
        from_name="The playbook", source="ansible", subject="Deployed", project="tides", tags="deploy,prod",
        link="https://tides.test/", reply_to="ops@example.com",
    )  # fmt: skip

    assert answer["changed"] is True, answer
    last = flowdock.last()
    assert (last["event"], last["content"]["subject"], last["content"]["project"]) == ("mail", "Deployed", "tides")
    assert {"deploy", "prod"} <= set(last["tags"])


def test_message_is_posted_to_the_chat(module, flowdock):
    answer = module(type="chat", token=flowdock.push_token, msg="Deployed", external_user_name="ansible", tags="deploy")

    assert answer["changed"] is True, answer
    last = flowdock.last()
    assert (last["event"], last["content"], last["external_user_name"]) == ("message", "Deployed", "ansible")


def test_wrong_token_fails_the_task(module):
    answer = module(type="chat", token="0" * 32, msg="Deployed", external_user_name="ansible")

    assert answer["failed"] is True
    assert "401" in answer["msg"]
