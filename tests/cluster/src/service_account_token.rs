//! Tokens signed as the API server signs those of service accounts, for what it would never issue: an expired one.

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};

use crate::{
    certificates::Certificates,
    error::{Doing, Error},
};

/// Half of a signature by a key of this curve, P-256.
const HALF: usize = 32;

/// A token that makes these claims. What in them is not true, the API server still finds out.
pub(crate) fn sign(certificates: &Certificates, claims: &Value) -> Result<String, Error> {
    let path = certificates.service_account_key();
    let pem = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
    let doing = || "sign a token".to_owned();
    let key = KeyPair::from_pem(&pem).doing(doing)?;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT"})), part(claims));
    let signature = bare(&key.sign(signed.as_bytes()).doing(doing)?).ok_or_else(|| Error::Parse {
        what: "a signature".into(),
        reason: "it is not two integers".into(),
    })?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The two integers of an ASN.1 signature, one after the other, each of its full length.
fn bare(signature: &[u8]) -> Option<[u8; 2 * HALF]> {
    let [0x30, _, rest @ ..] = signature else { return None };
    let (first, rest) = integer(rest)?;
    let (second, _) = integer(rest)?;
    let mut bare = [0; 2 * HALF];
    for (number, place) in [first, second].into_iter().zip(bare.chunks_exact_mut(HALF)) {
        place.get_mut(HALF.checked_sub(number.len())?..)?.copy_from_slice(number);
    }
    Some(bare)
}

/// The first integer, without the zero that keeps it positive, and what follows it.
fn integer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x02, length, rest @ ..] = der else { return None };
    let (number, rest) = rest.split_at_checked((*length).into())?;
    Some((number.strip_prefix(&[0]).filter(|rest| rest.len() >= HALF).unwrap_or(number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_of_a_signature_have_their_full_length() {
        let mut der = vec![0x30, 0, 0x02, 33, 0];
        der.extend([0xff; 32]);
        der.extend([0x02, 31]);
        der.extend([0x01; 31]);
        let bare = bare(&der).unwrap();
        assert_eq!((bare[0], bare[31], bare[32], bare[33]), (0xff, 0xff, 0, 1));
        assert_eq!(super::bare(&der[..20]), None);
    }
}
