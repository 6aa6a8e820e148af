//! A private key that can't be printed.

use std::fmt;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

pub struct PrivateKey(KeyPair);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

impl PrivateKey {
    /// A new one, for ECDSA over P-256.
    pub fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map(Self)
    }

    /// Every key of a text that can be read. Why another can't is not told: the text is secret.
    pub fn parse_all(pem: &[u8]) -> Vec<Self> {
        PrivatePkcs8KeyDer::pem_slice_iter(pem)
            .filter_map(|der| KeyPair::try_from(&der.ok()?).ok().map(Self))
            .collect()
    }

    /// For signing.
    pub fn pair(&self) -> &KeyPair {
        &self.0
    }

    /// For serving.
    pub fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.0.serialize_der().into())
    }

    /// For the Secret.
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// Whether it belongs to a public key, given as its SubjectPublicKeyInfo.
    pub fn belongs_to(&self, public_key: &[u8]) -> bool {
        self.0.subject_public_key_info() == public_key
    }
}
