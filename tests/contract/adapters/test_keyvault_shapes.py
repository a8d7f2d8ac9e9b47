"""The lab's Key Vault: its answers have the shape of recorded ones."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lab.azure.tokens import Principal, Tenant
from lab.clock import FakeClock
from lab.http import Request
from lab.keyvault.vault import Vault

RECORDINGS = Path(__file__).parents[2] / "recordings" / "azure" / "keyvault"
KEEPER = Principal("0a0a0a0a-0000-4000-8000-000000000001", "0b0b0b0b-0000-4000-8000-000000000001", "keeper")
HOST = "https://lab.vault.azure.net"
AUDIENCE = "https://vault.azure.net"


def recorded(name):
    return json.loads((RECORDINGS / f"{name}.json").read_text())


class Replayed:
    """A vault without a socket, to which recorded requests are put."""

    def __init__(self):
        self.clock = FakeClock()
        self.tenant = Tenant("0c0c0c0c-0000-4000-8000-000000000001", self.clock)
        self.vault = Vault(self.tenant, self.clock)
        self.token, _ = self.tenant.issue(KEEPER, AUDIENCE)

    def ask(self, method, path, body=None, *, token=True):
        headers = {"authorization": f"Bearer {self.token}"} if token else {}
        data = b"" if body is None else json.dumps(body).encode()
        return self.vault.handle(Request(method, f"{HOST}{path}", headers, data))

    def replay(self, exchange, *, token=True, rename=("", "")):
        request = exchange["request"]
        path = "/" + request["url"].split("/", 3)[3].replace(*rename)
        return self.ask(request["method"], path, request.get("body"), token=token)


@pytest.fixture
def lab():
    return Replayed()


def shape(value):
    """The keys and types of a body; the first element stands for a list."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


def assert_like(response, exchange):
    """Same status, and every recorded key there with the same type."""
    expected = exchange["response"]
    assert response.status == expected["status"]
    missing(shape(expected.get("body")), shape(response.json()), exchange["request"]["url"])


def missing(wanted, found, where):
    if not isinstance(wanted, dict):
        assert wanted == found or isinstance(wanted, list), where
        return
    assert set(wanted) <= set(found), where
    for key, each in wanted.items():
        missing(each, found[key], f"{where} {key}")


class TestShapes:
    def test_the_first_call_is_told_where_to_get_a_token(self, lab):
        first, second = recorded("challenge_401_then_secret_set")["exchanges"]

        refused = lab.replay(first, token=False)

        assert_like(refused, first)
        assert refused.headers["WWW-Authenticate"] == (
            f'Bearer authorization="https://login.microsoftonline.com/{lab.tenant.tenant_id}", '
            'resource="https://vault.azure.net"'
        )
        assert_like(lab.replay(second), second)

    @pytest.mark.parametrize(
        "name", ["secret_get", "secret_list_paged", "secret_versions", "secret_disable", "secret_delete"]
    )
    def test_secrets_look_as_recorded(self, lab, name):
        for secret, value in (("secret1", "ABC"), ("secret1", "DEF"), ("secret2", "GHI")):
            body = {"value": value, "contentType": "test type", "tags": {"test": "foo", "file-encoding": "utf-8"}}
            lab.ask("PUT", f"/secrets/{secret}?api-version=7.4", body)

        exchange = recorded(name)["exchanges"][0]

        assert_like(lab.replay(exchange), exchange)

    def test_the_bin_of_secrets_behaves_as_recorded(self, lab):
        body = {"value": "ABC", "tags": {"file-encoding": "utf-8"}}
        lab.ask("PUT", "/secrets/secret1?api-version=7.4", body)
        for name in (
            "secret_delete",
            "error_409_deleted_but_recoverable",
            "secret_recover",
            "error_400_recover_not_deleted",
        ):
            exchange = recorded(name)["exchanges"][0]
            response = lab.replay(exchange)
            assert response.status == exchange["response"]["status"]
            if response.status >= 400:
                assert response.json() == exchange["response"]["body"]

        lab.ask("DELETE", "/secrets/secret1?api-version=7.4")
        assert lab.replay(recorded("secret_purge")["exchanges"][0]).status == 204

    def test_a_deleted_secret_purges_itself_when_its_time_is_over(self, lab):
        lab.ask("PUT", "/secrets/secret1?api-version=7.4", {"value": "ABC"})
        lab.ask("DELETE", "/secrets/secret1?api-version=7.4")
        lab.clock.advance(timedelta(days=7))

        assert lab.ask("PUT", "/secrets/secret1?api-version=7.4", {"value": "DEF"}).status == 401  # its token ended too
        lab.token, _ = lab.tenant.issue(KEEPER, AUDIENCE)
        assert lab.ask("PUT", "/secrets/secret1?api-version=7.4", {"value": "DEF"}).status == 200

    def test_an_unknown_secret_is_refused_in_the_quoted_words(self, lab):
        quoted = recorded("error_404_secret_not_found")["payload"]["error"]
        name = "backupRestoreSecretName-canrecoveradeletedsecret-"

        response = lab.ask("GET", f"/secrets/{name}/?api-version=7.4")

        assert (response.status, response.json()["error"]) == (404, quoted)

    @pytest.mark.parametrize("name", ["key_create_ec_p256", "key_create_rsa"])
    def test_keys_look_as_recorded(self, lab, name):
        for exchange in recorded(name)["exchanges"]:
            if exchange["response"]["status"] == 200:
                assert_like(lab.replay(exchange), exchange)

    def test_signatures_look_as_recorded(self, lab):
        (exchange,) = recorded("key_sign_rs256")["exchanges"]
        made = lab.ask("POST", "/keys/key1-000004/create?api-version=7.4", {"kty": "RSA"}).json()
        version = made["key"]["kid"].rpartition("/")[2]

        response = lab.replay(exchange, rename=("b51344c404c24fa488092f167d6cd938", version))

        assert_like(response, exchange)

    def test_certificates_of_an_unknown_issuer_look_as_recorded(self, lab):
        for exchange in recorded("certificate_create_unknown_issuer")["exchanges"]:
            if exchange["response"]["status"] != 401:
                assert_like(lab.replay(exchange), exchange)
        mismatch = recorded("error_400_merge_key_mismatch")["exchanges"][0]
        assert_like(lab.replay(mismatch), mismatch)
        forget = recorded("certificate_operation_delete")["exchanges"][0]
        assert_like(lab.replay(forget), forget)
        gone = recorded("error_404_pending_certificate_not_found")["exchanges"][0]
        assert lab.replay(gone).json() == gone["response"]["body"]

    def test_self_signed_certificates_look_as_recorded(self, lab):
        create, *_, final = recorded("certificate_create_self_issuer_to_completed")["exchanges"]

        assert_like(lab.replay(create), create)
        assert_like(lab.replay(final), final)
        for name in ("certificate_versions", "certificate_delete"):
            exchange = recorded(name)["exchanges"][0]
            assert_like(lab.replay(exchange), exchange)

    def test_creating_while_one_is_pending_is_a_conflict_that_calls_itself_forbidden(self, lab):
        documented = recorded("error_409_create_while_pending_documented")["exchanges"][0]["response"]
        body = {"policy": {"issuer": {"name": "Unknown"}, "x509_props": {"subject": "CN=a"}}}
        lab.ask("POST", "/certificates/a/create?api-version=7.4", body)

        response = lab.ask("POST", "/certificates/a/create?api-version=7.4", body)

        assert (response.status, response.json()) == (documented["status"], documented["body"])
