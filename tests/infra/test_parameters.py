"""The parameters of the deployment: few are required, all are described, and their page is up to date."""

import re

from tools.infra_bicep import FROM_ENVIRONMENT, parameter_files
from tools.infra_reference import PAGE, page, template, used

MOST = 40


def parameters():
    return template()["parameters"]


def test_only_the_ssh_key_has_no_default():
    required = [
        name for name, given in parameters().items() if "defaultValue" not in given and not given.get("nullable")
    ]

    assert required == ["sshPublicKey"]


def test_there_are_at_most_forty_parameters():
    assert len(parameters()) <= MOST


def test_every_parameter_and_output_is_described():
    given = {**parameters(), **template()["outputs"]}

    assert [name for name, each in given.items() if len(each.get("metadata", {}).get("description", "")) < 20] == []


def test_every_description_says_whether_it_is_needed():
    wrong = [
        n
        for n, each in parameters().items()
        if not re.match("(Required|Optional)[.] ", each["metadata"]["description"])
    ]

    assert wrong == []


def test_every_property_of_a_parameter_is_described():
    definitions = template()["definitions"]
    wrong = [
        f"{name}.{key}"
        for name in used()
        for key, given in definitions[name].get("properties", {}).items()
        if len(given.get("metadata", {}).get("description", "")) < 10
    ]

    assert wrong == []


def test_no_parameter_and_no_output_is_a_secret():
    kinds = {each["type"] for each in [*parameters().values(), *template()["outputs"].values()] if "type" in each}

    assert kinds <= {"string", "int", "bool", "object", "array"}


def test_the_page_is_generated():
    assert PAGE.read_text() == page(), "run `python -m tools.infra_reference`"


def test_parameter_files_take_from_the_environment_only_what_is_known():
    read = {
        name
        for file in parameter_files()
        for name in re.findall(r"readEnvironmentVariable\(\s*'(\w+)'", file.read_text())
    }

    assert read == set(FROM_ENVIRONMENT)


def test_five_parameter_files_exist_and_none_holds_a_real_name():
    assert [file.stem for file in parameter_files()] == [
        "dev",
        "everything-on",
        "production-ha",
        "production-minimal",
        "staging",
    ]
    for file in parameter_files():
        addresses = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+/\d+", file.read_text()))
        assert all(a.startswith(("203.0.113.", "198.51.100.", "10.")) for a in addresses)
