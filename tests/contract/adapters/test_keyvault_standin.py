"""The lab's Key Vault: its answers have the shape of recorded ones, and the real SDKs for keys and certificates work with it."""

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs12

from lab.azure.tokens import Principal, Tenant
from lab.ca import Authority
from lab.clock import FakeClock, wall_clock
from lab.http import Request
from lab.keyvault.server import start
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


class Caller:
    """A credential for the vault on the network."""

    def __init__(self, tenant):
        self._tenant = tenant

    def get_token(self, *scopes, **_options):
        from azure.core.credentials import AccessToken  # noqa: PLC0415 -- the one place

        token, ends = self._tenant.issue(KEEPER, scopes[0].removesuffix("/.default"))
        return AccessToken(token, int(ends.timestamp()))


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    authority = Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
        yield authority.issue("vault", addresses=["127.0.0.1"])


@pytest.fixture
def network(leaf):
    tenant = Tenant("0c0c0c0c-0000-4000-8000-000000000001", wall_clock)
    with start(tenant, leaf, wall_clock) as server:
        yield server, Caller(tenant)


@pytest.fixture
def keys(network):
    server, caller = network
    with KeyClient(server.url, caller) as made:
        yield made


@pytest.fixture
def certificates(network):
    server, caller = network
    with CertificateClient(server.url, caller) as made:
        yield made


class TestKeys:
    def test_an_elliptic_key_signs_digests_and_its_public_half_verifies_them(self, keys, network):
        key = keys.create_ec_key("nomad-ca", curve="P-384", key_operations=["sign"])
        digest = hashlib.sha384(b"to be signed").digest()

        with CryptographyClient(key, network[1]) as crypto:
            signature = crypto.sign(SignatureAlgorithm.es384, digest).signature

        public = ec.EllipticCurvePublicNumbers(
            int.from_bytes(key.key.x), int.from_bytes(key.key.y), ec.SECP384R1()
        ).public_key()
        r, s = int.from_bytes(signature[:48]), int.from_bytes(signature[48:])
        public.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA384())))

    def test_a_wrapped_key_is_unwrapped_by_the_version_that_wrapped_it_also_after_a_rotation(self, keys, network):
        key = keys.create_rsa_key("backup", size=2048)
        algorithm = KeyWrapAlgorithm.rsa_oaep_256
        with CryptographyClient(key, network[1]) as crypto:
            wrapped = crypto.wrap_key(algorithm, b"k" * 32).encrypted_key
            rotated = keys.rotate_key("backup")
            assert crypto.unwrap_key(algorithm, wrapped).key == b"k" * 32
        with CryptographyClient(rotated, network[1]) as newer, pytest.raises(HttpResponseError):
            newer.unwrap_key(algorithm, wrapped)

    def test_a_key_does_only_what_it_was_made_for(self, keys, network):
        key = keys.create_rsa_key("sign-only", key_operations=["sign"])

        with CryptographyClient(key.id, network[1]) as crypto, pytest.raises(HttpResponseError, match="not permitted"):
            crypto.unwrap_key(KeyWrapAlgorithm.rsa_oaep, b"x" * 256)

    def test_a_disabled_version_signs_nothing(self, keys, network):
        key = keys.create_rsa_key("a")
        keys.update_key_properties("a", key.properties.version, enabled=False)

        with CryptographyClient(key.id, network[1]) as crypto, pytest.raises(HttpResponseError, match="disabled key"):
            crypto.sign(SignatureAlgorithm.rs256, b"x" * 32)


class TestCertificates:
    POLICY = CertificatePolicy(
        issuer_name="Unknown",
        subject="CN=server.global.nomad",
        san_dns_names=["server.global.nomad", "localhost"],
        key_type="EC",
        key_curve_name="P-256",
        content_type="application/x-pem-file",
        exportable=True,
    )

    def signed(self, csr, name="lab CA"):
        """What a CA makes of a request."""
        request = x509.load_der_x509_csr(csr)
        key = ec.generate_private_key(ec.SECP384R1())
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = wall_clock()
        builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(issuer)
        builder = builder.public_key(request.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
        for extension in request.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return builder.sign(key, hashes.SHA384()).public_bytes(serialization.Encoding.DER)

    def test_a_request_is_signed_elsewhere_and_merged(self, certificates, network):
        certificates.begin_create_certificate("leaf", self.POLICY)
        pending = certificates.get_certificate_operation("leaf")
        assert pending.status == "inProgress"

        merged = certificates.merge_certificate("leaf", [self.signed(pending.csr)])

        found = x509.load_der_x509_certificate(bytes(merged.cer))
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["server.global.nomad", "localhost"]
        with SecretClient(network[0].url, network[1]) as secrets:
            bundle = secrets.get_secret("leaf").value
        key = serialization.load_pem_private_key(bundle.encode(), None)
        assert key.public_key() == found.public_key()
        assert "BEGIN CERTIFICATE" in bundle

    def test_a_chain_for_another_key_is_not_merged(self, certificates):
        certificates.begin_create_certificate("a", self.POLICY)
        certificates.begin_create_certificate("b", self.POLICY)
        other = certificates.get_certificate_operation("b").csr

        with pytest.raises(HttpResponseError, match="locate leaf certificate"):
            certificates.merge_certificate("a", [self.signed(other)])

    def test_a_pending_request_is_resumed_or_dropped(self, certificates):
        certificates.begin_create_certificate("a", self.POLICY)
        with pytest.raises(HttpResponseError, match="while a pending key vault certificate"):
            certificates.begin_create_certificate("a", self.POLICY)

        certificates.delete_certificate_operation("a")

        with pytest.raises(ResourceNotFoundError):
            certificates.get_certificate_operation("a")
        certificates.begin_create_certificate("a", self.POLICY)

    def test_a_self_signed_certificate_is_complete_with_key_and_secret(self, certificates, network):
        policy = CertificatePolicy.get_default()

        made = certificates.begin_create_certificate("own", policy).result()

        with SecretClient(network[0].url, network[1]) as secrets:
            secret = secrets.get_secret("own", made.properties.version)
        key, leaf, _ = pkcs12.load_key_and_certificates(base64.b64decode(secret.value), None)
        assert leaf.public_bytes(serialization.Encoding.DER) == bytes(made.cer)
        assert key.public_key() == leaf.public_key()

    def test_a_key_that_may_not_be_exported_is_in_no_secret(self, certificates, network):
        kind = "application/x-pem-file"
        policy = CertificatePolicy("Self", subject="CN=a", key_type="EC", exportable=False, content_type=kind)
        certificates.begin_create_certificate("a", policy).result()

        with SecretClient(network[0].url, network[1]) as secrets:
            assert "PRIVATE KEY" not in secrets.get_secret("a").value

    def test_a_certificate_goes_and_comes_back_with_its_key_and_secret(self, certificates, keys):
        certificates.begin_create_certificate("a", CertificatePolicy("Self", subject="CN=a")).result()

        certificates.begin_delete_certificate("a").wait()
        with pytest.raises(ResourceNotFoundError):
            keys.get_key("a")
        certificates.begin_recover_deleted_certificate("a").wait()

        assert keys.get_key("a").properties.managed
