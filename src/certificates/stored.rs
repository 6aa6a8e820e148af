//! Our own Secret's entries: read, brought up to date by the steps of `plan`, and written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::pki_types::CertificateDer;

use super::{
    AUTHORITY_KEYS, BUNDLE, CERTIFICATE, KEY,
    credentials::{Credentials, Unusable},
    issue,
    name::Name,
    plan::{self, Facts, Life, Step, plan},
    private_key::PrivateKey,
    x509::{self, Content},
};

/// More steps than are ever needed.
pub const STEPS: usize = 12;

#[derive(Debug)]
struct Authority {
    der: CertificateDer<'static>,
    life: Life,
    key: Option<PrivateKey>,
}

#[derive(Debug)]
struct Serving {
    der: CertificateDer<'static>,
    content: Content,
    key: PrivateKey,
}

/// What is in the Secret and can be used.
#[derive(Debug, Default)]
pub struct Stored {
    authorities: Vec<Authority>,
    serving: Option<Serving>,
}

impl Stored {
    /// What can be used of the entries, and what is wrong with the rest.
    pub fn read(entries: &BTreeMap<String, ByteString>) -> (Self, Vec<&'static str>) {
        let entry = |name| entries.get(name).map_or(&[][..], |value| value.0.as_slice());
        let mut flaws = Vec::new();

        let (bundle, mut is_whole) = x509::from_pem(entry(BUNDLE));
        let mut keys = PrivateKey::parse_all(entry(AUTHORITY_KEYS));
        let mut authorities = Vec::new();
        for der in bundle {
            let Some(content) = Content::read(&der).filter(|content| content.is_authority) else {
                is_whole = false;
                continue;
            };
            let key = keys.iter().position(|key| key.belongs_to(&content.public_key));
            let key = key.map(|index| keys.swap_remove(index));
            authorities.push(Authority { der, life: content.life, key });
        }
        if !is_whole || authorities.is_empty() {
            flaws.push("ca.crt is not all CA certificates in PEM");
        }
        if authorities.iter().any(|authority| authority.key.is_none()) {
            flaws.push("ca.key lacks the key of a CA");
        }

        let serving = read_serving(entry(CERTIFICATE), entry(KEY));
        if serving.is_none() {
            flaws.push("tls.crt and tls.key are not a certificate and its key in PEM");
        }
        (Self { authorities, serving }, flaws)
    }

    /// The entries as they are to be in the Secret: the same content always makes the same bytes.
    pub fn entries(&self) -> BTreeMap<String, ByteString> {
        let authorities: Vec<_> = self.authorities.iter().map(|authority| authority.der.clone()).collect();
        let keys = self.authorities.iter().filter_map(|authority| authority.key.as_ref());
        let mut entries = vec![
            (BUNDLE, x509::to_pem(&authorities)),
            (AUTHORITY_KEYS, keys.map(PrivateKey::to_pem).collect()),
        ];
        if let Some(serving) = &self.serving {
            entries.push((CERTIFICATE, x509::to_pem(std::slice::from_ref(&serving.der))));
            entries.push((KEY, serving.key.to_pem()));
        }
        entries.into_iter().map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes()))).collect()
    }

    /// Takes the steps that are due.
    pub fn advance(&mut self, wanted: &BTreeSet<Name>, now: Timestamp) -> Result<(), rcgen::Error> {
        for _ in 0..STEPS {
            match plan(&self.facts(), wanted, now) {
                Step::Keep => break,
                Step::Introduce => {
                    let (der, key) = issue::authority(now)?;
                    let life = Life::begin(now, plan::AUTHORITY_LIFE);
                    self.authorities.push(Authority { der, life, key: Some(key) });
                }
                Step::Sign { by } => self.sign(by, wanted, now)?,
                Step::Drop { authority } => {
                    self.authorities.remove(authority);
                }
            }
        }
        Ok(())
    }

    /// What is served and trusted.
    pub fn credentials(&self) -> Result<Credentials, Unusable> {
        let serving = self.serving.as_ref().ok_or(Unusable::Missing { entry: CERTIFICATE })?;
        let authorities: Vec<_> = self.authorities.iter().map(|authority| authority.der.clone()).collect();
        Credentials::new(vec![serving.der.clone()], serving.key.to_der(), &authorities)
    }

    fn facts(&self) -> Facts {
        let authorities = self.authorities.iter();
        Facts {
            authorities: authorities
                .map(|authority| plan::Authority { life: authority.life, can_sign: authority.key.is_some() })
                .collect(),
            serving: self.serving.as_ref().map(|serving| plan::Serving {
                life: serving.content.life,
                names: serving.content.names.clone(),
                signer: self.authorities.iter().position(|one| x509::is_signed_by(&serving.der, &one.der)),
            }),
        }
    }

    fn sign(&mut self, by: usize, wanted: &BTreeSet<Name>, now: Timestamp) -> Result<(), rcgen::Error> {
        let Some(Authority { der, key: Some(key), .. }) = self.authorities.get(by) else { return Ok(()) };
        // Programs may have been told a former name, and other replicas may be started with another.
        let former = self.serving.as_ref().map(|serving| serving.content.names.clone()).unwrap_or_default();
        let names = wanted.union(&former).cloned().collect();
        let (der, key) = issue::serving(&names, now, der, key)?;
        let content = Content::read(&der).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        self.serving = Some(Serving { der, content, key });
        Ok(())
    }
}

fn read_serving(certificate: &[u8], key: &[u8]) -> Option<Serving> {
    let der = x509::from_pem(certificate).0.into_iter().next()?;
    let content = Content::read(&der)?;
    let key = PrivateKey::parse_all(key).into_iter().find(|key| key.belongs_to(&content.public_key))?;
    Some(Serving { der, content, key })
}

#[cfg(test)]
mod tests {
    use super::{super::plan::PROPAGATION, *};

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn wanted() -> BTreeSet<Name> {
        ["operator.test.svc", "10.0.0.1", "fd00::1"].iter().map(|name| Name::parse(name).unwrap()).collect()
    }

    #[test]
    fn another_name_is_added_and_the_former_ones_stay() {
        let mut stored = fresh();
        let other = BTreeSet::from([Name::parse("operator.other.svc").unwrap()]);
        stored.advance(&other, NOW).unwrap();
        let both = &stored.serving.as_ref().unwrap().content.names;
        assert!(both.is_superset(&wanted()) && both.is_superset(&other), "{both:?}");
        let settled = stored.entries();
        for names in [wanted(), other] {
            stored.advance(&names, NOW).unwrap();
            assert_eq!(stored.entries(), settled, "two that want different names don't write in turn");
        }
    }

    fn fresh() -> Stored {
        let mut stored = Stored::default();
        stored.advance(&wanted(), NOW).unwrap();
        stored
    }

    fn spoilt(entry: &str, value: &[u8]) -> (Stored, Vec<&'static str>) {
        let mut entries = fresh().entries();
        entries.insert(entry.to_owned(), ByteString(value.to_vec()));
        Stored::read(&entries)
    }

    #[test]
    fn what_is_written_is_read_the_same() {
        let entries = fresh().entries();
        let (mut read, flaws) = Stored::read(&entries);
        assert_eq!(flaws, Vec::<&str>::new());
        assert_eq!(read.facts(), fresh().facts());
        read.advance(&wanted(), NOW).unwrap();
        assert_eq!(read.entries(), entries);
    }

    #[test]
    fn a_certificate_is_for_names_and_addresses() {
        let facts = fresh().facts();
        assert_eq!(facts.serving.unwrap().names, wanted());
    }

    #[test]
    fn whatever_is_spoilt_is_made_anew_with_a_word_about_it() {
        let strange = fresh().entries();
        for entry in [BUNDLE, AUTHORITY_KEYS, CERTIFICATE, KEY] {
            let cut = &strange[entry].0[..100];
            let values: [&[u8]; 5] = [b"", b"garbage", b"\xff\x00", cut, &strange[entry].0];
            for value in values {
                let (mut stored, flaws) = spoilt(entry, value);
                assert!(!flaws.is_empty(), "{entry} {}", String::from_utf8_lossy(value));
                stored.advance(&wanted(), NOW).unwrap();
                stored.credentials().unwrap();
                // A CA without a key stays until nobody needs it.
                for later in [PROPAGATION, 2 * PROPAGATION] {
                    stored.advance(&wanted(), NOW + later).unwrap();
                }
                let (mended, flaws) = Stored::read(&stored.entries());
                assert_eq!(flaws, Vec::<&str>::new(), "{entry} {}", String::from_utf8_lossy(value));
                mended.credentials().unwrap();
            }
        }
    }

    #[test]
    fn one_broken_certificate_of_a_bundle_does_not_cost_the_others() {
        let whole = fresh();
        let mut entries = whole.entries();
        let mut bundle = b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_vec();
        bundle.extend_from_slice(&entries[BUNDLE].0);
        entries.insert(BUNDLE.to_owned(), ByteString(bundle));
        let (mut read, flaws) = Stored::read(&entries);
        assert_eq!(flaws.len(), 1);
        read.advance(&wanted(), NOW).unwrap();
        assert_eq!(read.entries(), whole.entries());
    }

    #[test]
    fn no_key_can_be_printed() {
        let stored = fresh();
        let printed = format!("{stored:?} {:?}", stored.credentials().unwrap());
        for key in [&stored.serving.unwrap().key, stored.authorities[0].key.as_ref().unwrap()] {
            let der = key.pair().serialize_der();
            assert!(!printed.contains(&format!("{:?}", &der[40..60]).replace(['[', ']'], "")));
        }
        assert!(printed.contains("redacted"));
    }
}
