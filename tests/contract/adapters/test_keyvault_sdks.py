"""The lab's Key Vault: the real SDKs for keys and certificates work with it."""

import base64
import hashlib
from datetime import timedelta

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
from lab.clock import wall_clock
from lab.keyvault.server import start

KEEPER = Principal("0a0a0a0a-0000-4000-8000-000000000001", "0b0b0b0b-0000-4000-8000-000000000001", "keeper")


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
