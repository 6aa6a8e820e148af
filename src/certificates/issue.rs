//! Makes certificates, each with a key of its own.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::{
    name::Name,
    plan::{AUTHORITY_LIFE, Life, SERVING_LIFE},
    private_key::PrivateKey,
};

/// A CA, signed by itself.
pub fn authority(now: Timestamp) -> Result<(CertificateDer<'static>, PrivateKey), rcgen::Error> {
    let key = PrivateKey::generate()?;
    // With a name of its own: some clients look no further than the first CA of the right name.
    let name = format!("workspace-operator registration CA {}", now.strftime("%Y-%m-%dT%H:%M:%SZ"));
    let mut params = params(&name, Life::begin(now, AUTHORITY_LIFE))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params.self_signed(key.pair())?.der().clone(), key))
}

/// A certificate to serve, signed by a CA.
pub fn serving(
    names: &BTreeSet<Name>,
    now: Timestamp,
    authority: &CertificateDer<'_>,
    authority_key: &PrivateKey,
) -> Result<(CertificateDer<'static>, PrivateKey), rcgen::Error> {
    let key = PrivateKey::generate()?;
    let mut params = params("workspace-operator registration", Life::begin(now, SERVING_LIFE))?;
    params.subject_alt_names = names.iter().map(alternative).collect::<Result<_, _>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_ca_cert_der(authority, authority_key.pair())?;
    Ok((params.signed_by(key.pair(), &issuer)?.der().clone(), key))
}

fn params(name: &str, life: Life) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = time(life.from)?;
    params.not_after = time(life.until)?;
    Ok(params)
}

fn alternative(name: &Name) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        Name::Ip(address) => SanType::IpAddress(*address),
    })
}

fn time(timestamp: Timestamp) -> Result<OffsetDateTime, rcgen::Error> {
    OffsetDateTime::from_unix_timestamp(timestamp.as_second()).map_err(|_| rcgen::Error::Time)
}
