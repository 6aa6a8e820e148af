//! A Secret that somebody else looks after: read, never written.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{
    BUNDLE, CERTIFICATE, KEY,
    credentials::{Credentials, Unusable},
    x509::{self, Content},
};

/// What its entries offer.
pub fn read(entries: &BTreeMap<String, ByteString>) -> Result<Credentials, Unusable> {
    let chain = certificates(entries, CERTIFICATE)?.ok_or(Unusable::Missing { entry: CERTIFICATE })?;
    let key = entry(entries, KEY).ok_or(Unusable::Missing { entry: KEY })?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unusable::Key)?;
    let authorities = match certificates(entries, BUNDLE)? {
        Some(authorities) => authorities,
        None => vec![top(&chain).ok_or(Unusable::NoAuthority)?.clone()],
    };
    Credentials::new(chain, key, &authorities)
}

/// An empty entry is one that cert-manager has no value for.
fn entry<'a>(entries: &'a BTreeMap<String, ByteString>, name: &str) -> Option<&'a [u8]> {
    entries.get(name).map(|value| value.0.as_slice()).filter(|value| !value.is_empty())
}

fn certificates(
    entries: &BTreeMap<String, ByteString>,
    name: &'static str,
) -> Result<Option<Vec<CertificateDer<'static>>>, Unusable> {
    let Some(text) = entry(entries, name) else { return Ok(None) };
    match x509::from_pem(text) {
        (certificates, true) if !certificates.is_empty() => Ok(Some(certificates)),
        _ => Err(Unusable::Unreadable { entry: name }),
    }
}

fn top<'a>(chain: &'a [CertificateDer<'static>]) -> Option<&'a CertificateDer<'static>> {
    chain.last().filter(|last| Content::read(last).is_some_and(|content| content.is_authority))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::{super::name::Name, *};
    use crate::certificates::issue;

    fn entries(entries: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
        entries
            .iter()
            .map(|(name, text)| ((*name).to_owned(), ByteString(text.as_bytes().to_vec())))
            .collect()
    }

    /// A CA, a certificate, and its key, all in PEM.
    fn made() -> [String; 3] {
        let now = Timestamp::constant(1_800_000_000, 0);
        let (ca, ca_key) = issue::authority(now).unwrap();
        let names = BTreeSet::from([Name::parse("a").unwrap()]);
        let (certificate, key) = issue::serving(&names, now, &ca, &ca_key).unwrap();
        [x509::to_pem(&[ca]), x509::to_pem(&[certificate]), key.to_pem()]
    }

    #[test]
    fn the_bundle_is_its_ca() {
        let [ca, certificate, key] = made();
        let untidy = format!("# our CA\r\n{}", ca.replace('\n', "\r\n"));
        let given = entries(&[("ca.crt", &untidy), ("tls.crt", &certificate), ("tls.key", &key)]);
        assert_eq!(*read(&given).unwrap().bundle, *ca);
    }

    #[test]
    fn without_a_ca_the_end_of_the_chain_is_it() {
        let [ca, certificate, key] = made();
        let chain = format!("{certificate}{ca}");
        let credentials = read(&entries(&[("ca.crt", ""), ("tls.crt", &chain), ("tls.key", &key)])).unwrap();
        assert_eq!(*credentials.bundle, *ca);
        assert_eq!(credentials.certified.cert.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let [ca, certificate, key] = made();
        let [_, _, other] = made();
        let told = |given: &[(&str, &str)]| read(&entries(given)).unwrap_err().to_string();
        let both = [("tls.crt", certificate.as_str()), ("tls.key", key.as_str())];
        assert_eq!(
            told(&both),
            "the entry \"ca.crt\" is missing, and the last certificate of \"tls.crt\" is not of a CA"
        );
        assert_eq!(told(&both[..1]), "the entry \"tls.key\" is missing");
        assert_eq!(told(&both[1..]), "the entry \"tls.crt\" is missing");
        assert_eq!(
            told(&[both[0], both[1], ("ca.crt", "none")]),
            "the entry \"ca.crt\" has something other than certificates in PEM"
        );
        for key in [other.as_str(), "none", &ca] {
            assert_eq!(
                told(&[both[0], ("ca.crt", &ca), ("tls.key", key)]),
                "the entry \"tls.key\" is not the key of the first certificate of \"tls.crt\""
            );
        }
    }
}
