//! What is to be known of a certificate in DER.

use std::{collections::BTreeSet, net::IpAddr};

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

use super::{name::Name, plan::Life};

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub life: Life,
    pub names: BTreeSet<Name>,
    pub is_authority: bool,
    /// Its SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
}

impl Content {
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        Some(Self {
            life: Life {
                from: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
                until: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
            },
            names: names(&certificate),
            is_authority: certificate.is_ca(),
            public_key: certificate.public_key().raw.to_vec(),
        })
    }
}

fn names(certificate: &X509Certificate<'_>) -> BTreeSet<Name> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => Name::parse(name),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from).ok();
            v4.or_else(|| <[u8; 16]>::try_from(*bytes).map(IpAddr::from).ok()).map(Name::Ip)
        }
        _ => None,
    }
}

/// Whether the one's key signed the other.
pub fn is_signed_by(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    let (Ok((_, certificate)), Ok((_, authority))) =
        (parse_x509_certificate(certificate), parse_x509_certificate(authority))
    else {
        return false;
    };
    certificate.issuer().as_raw() == authority.subject().as_raw()
        && certificate.verify_signature(Some(authority.public_key())).is_ok()
}

/// The certificates of a text in PEM, and whether that is all there is in it.
pub fn from_pem(pem: &[u8]) -> (Vec<CertificateDer<'static>>, bool) {
    let mut is_whole = true;
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(|der| {
        is_whole &= der.is_ok();
        der.ok()
    });
    (certificates.collect(), is_whole)
}

/// Certificates in PEM: the same ones always make the same text.
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let blocks = certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.to_vec()));
    blocks.map(|block| pem::encode_config(&block, config)).collect()
}
