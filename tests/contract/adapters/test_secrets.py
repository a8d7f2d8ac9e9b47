"""The vault of the lab behind the real SDK over https, and the keeper's reading of secrets."""

from datetime import timedelta

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

from keeper.azure.secrets import VaultSecrets
from keeper.errors import Forbidden, Gone, Throttled, Unreachable
from keeper.settings import AzureSettings
from lab.azure.access import Grant
from lab.azure.identity import AppServiceIdentity
from lab.azure.tokens import Principal, Tenant
from lab.ca import Authority
from lab.clock import wall_clock
from lab.http import serve
from lab.keyvault.server import start

KEEPER = Principal("0a0a0a0a-0000-4000-8000-000000000001", "0b0b0b0b-0000-4000-8000-000000000001", "keeper")
TENANT = Tenant("0c0c0c0c-0000-4000-8000-000000000001", wall_clock)


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    authority = Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
        yield authority.issue("vault", addresses=["127.0.0.1"])


@pytest.fixture(scope="module")
def credential(leaf):
    identity = AppServiceIdentity(TENANT, [KEEPER], "header")
    with serve(identity.handle) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
        patch.setenv("IDENTITY_HEADER", "header")
        with ManagedIdentityCredential(client_id=KEEPER.client_id) as made:
            yield made


@pytest.fixture
def vault(leaf):
    with start(TENANT, leaf, wall_clock) as server:
        yield server


def reading(vault, credential):
    settings = AzureSettings(
        subscription=KEEPER.client_id,
        client_id=KEEPER.client_id,
        vault=vault.url,
        blobs="https://a.blob.core.windows.net",
        queues="https://a.queue.core.windows.net",
    )
    return VaultSecrets(settings, credential=credential)


@pytest.fixture
def secrets(vault, credential):
    return reading(vault, credential)


@pytest.fixture
def client(vault, credential):
    with SecretClient(vault.url, credential) as made:
        yield made


def test_a_secret_is_read_with_a_token_that_the_vault_itself_asked_for(vault, secrets):
    vault.set_secret("nomad-keeper-token", "s3cret")

    assert secrets.read("nomad-keeper-token") == "s3cret"
    assert vault.vault.calls == [
        ("GET", "/secrets/nomad-keeper-token/", 401),
        ("GET", "/secrets/nomad-keeper-token/", 200),
    ]


def test_a_rotated_secret_is_read_anew(vault, secrets):
    vault.set_secret("token", "one")
    assert secrets.read("token") == "one"

    vault.set_secret("token", "two")

    assert secrets.read("token") == "two"


def test_former_values_are_those_of_enabled_versions_the_newest_first(leaf, credential):
    clock = iter(range(10_000))
    with (
        start(TENANT, leaf, lambda: wall_clock() + timedelta(seconds=next(clock))) as vault,
        SecretClient(vault.url, credential) as client,
    ):
        versions = [client.set_secret("token", str(number)).properties.version for number in range(9)]
        client.update_secret_properties("token", versions[6], enabled=False)

        assert list(reading(vault, credential).former("token")) == ["7", "5", "4", "3", "2"]
        client.set_secret("alone", "1")
        assert list(reading(vault, credential).former("alone")) == []


def test_a_missing_secret_is_said_to_be_gone(secrets):
    with pytest.raises(Gone, match="SecretNotFound"):
        secrets.read("none")


def test_a_missing_right_is_named(vault, secrets):
    vault.vault.grants = {KEEPER.object_id: [Grant(("Microsoft.KeyVault/vaults/keys/*",))]}
    vault.set_secret("token", "canary")

    with pytest.raises(Forbidden, match=r"Microsoft\.KeyVault/vaults/secrets/getSecret/action") as refused:
        secrets.read("token")
    assert "canary" not in str(refused.value)


def test_a_busy_vault_asks_for_patience_and_gets_it(vault, secrets):
    vault.set_secret("token", "one")
    vault.vault.throttle(5, seconds=90)

    with pytest.raises(Throttled) as throttled:
        secrets.read("token")
    assert throttled.value.retry_after.total_seconds() == 90


def test_a_vault_that_does_not_answer_is_unreachable(vault, secrets):
    vault.stop()

    with pytest.raises(Unreachable):
        secrets.read("token")


def test_tokens_for_another_audience_are_refused(vault):
    class Other:
        def get_token(self, *_scopes, **_options):
            from azure.core.credentials import AccessToken  # noqa: PLC0415 -- this one test

            token, ends = TENANT.issue(KEEPER, "https://management.azure.com")
            return AccessToken(token, int(ends.timestamp()))

    with SecretClient(vault.url, Other()) as client, pytest.raises(ClientAuthenticationError, match="AKV10022"):
        client.get_secret("token")


class TestStandIn:
    """What later controllers will use of it."""

    def test_versions_stay_readable_and_the_newest_is_the_answer(self, client):
        first = client.set_secret("a", "1", content_type="text/plain", tags={"by": "test"})
        second = client.set_secret("a", "2")

        assert (client.get_secret("a").value, client.get_secret("a", first.properties.version).value) == ("2", "1")
        versions = {each.version for each in client.list_properties_of_secret_versions("a")}
        assert versions == {first.properties.version, second.properties.version}
        assert first.properties.tags == {"by": "test"}

    def test_lists_come_in_pages(self, client):
        for number in range(30):
            client.set_secret(f"s{number:02}", "x")

        names = [each.name for each in client.list_properties_of_secrets()]

        assert names == [f"s{number:02}" for number in range(30)]

    def test_a_disabled_secret_is_not_given_out(self, client):
        made = client.set_secret("a", "1")
        client.update_secret_properties("a", made.properties.version, enabled=False)

        with pytest.raises(HttpResponseError, match="not allowed on a disabled secret"):
            client.get_secret("a")

    def test_a_deleted_secret_keeps_its_name_until_it_is_purged_and_can_be_recovered(self, client):
        client.set_secret("a", "1")
        client.begin_delete_secret("a").result()
        with pytest.raises(ResourceExistsError, match="deleted but recoverable"):
            client.set_secret("a", "2")

        client.begin_recover_deleted_secret("a").wait()
        assert client.get_secret("a").value == "1"

        client.begin_delete_secret("a").result()
        client.purge_deleted_secret("a")
        with pytest.raises(ResourceNotFoundError):
            client.get_secret("a")
        client.set_secret("a", "3")
