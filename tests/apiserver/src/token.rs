//! Tokens of service accounts: JWTs by shape, signed with a key of this server.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{identity::Identities, object};

/// The issuer, and the audience of tokens that name none.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";

/// Why a text is no token of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It has not the shape of one, or names another issuer.
    Stranger,
    /// The signature is not of this server and these claims.
    Forged,
}

/// Signs tokens and knows its own.
pub(crate) struct Signer {
    key: String,
    // Apart from those of objects, so that a token moves nobody's UID.
    identities: Identities,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub fn new(seed: u64) -> Self {
        let mut identities = Identities::new(!seed);
        Self { key: identities.uid(), identities }
    }

    /// A token of these claims, to which it adds the issuer and an identity.
    pub fn sign(&mut self, mut claims: Value) -> String {
        claims["iss"] = json!(ISSUER);
        claims["jti"] = json!(self.identities.uid());
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = parts.join(".");
        let signature = self.signature(&signed).map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims of a token, if this server signed it.
    pub fn claims(&self, token: &str) -> Result<Value, Unreadable> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Unreadable::Stranger)?;
        let (_, payload) = signed.split_once('.').ok_or(Unreadable::Stranger)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Unreadable::Stranger)?;
        let claims: Value = serde_json::from_slice(&payload).map_err(|_| Unreadable::Stranger)?;
        if object::text(&claims, "/iss") != ISSUER {
            return Err(Unreadable::Stranger);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Unreadable::Stranger)?;
        let is_own = self.signature(signed).is_some_and(|mac| mac.verify_slice(&signature).is_ok());
        if is_own { Ok(claims) } else { Err(Unreadable::Forged) }
    }

    // A key of any length will do, so there always is one.
    fn signature(&self, signed: &str) -> Option<Hmac<Sha256>> {
        Hmac::new_from_slice(self.key.as_bytes()).ok().map(|mac: Hmac<Sha256>| mac.chain_update(signed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(signer: &mut Signer) -> String {
        signer.sign(json!({ "sub": "someone" }))
    }

    #[test]
    fn a_token_gives_its_claims_back() {
        let mut signer = Signer::new(1);
        let token = token(&mut signer);
        let claims = signer.claims(&token).unwrap();
        assert_eq!((&claims["sub"], &claims["iss"]), (&json!("someone"), &json!(ISSUER)));
        assert!(claims["jti"].is_string());
    }

    #[test]
    fn changed_claims_and_those_of_another_server_are_forged() {
        let mut signer = Signer::new(1);
        let (own, other) = (token(&mut signer), token(&mut Signer::new(2)));
        let parts: Vec<&str> = own.split('.').collect();
        let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": "another", "iss": ISSUER }).to_string());
        let changed = [parts[0], &claims, parts[2]].join(".");
        for forged in [changed, other] {
            assert_eq!(signer.claims(&forged), Err(Unreadable::Forged));
        }
    }

    #[test]
    fn what_is_no_token_is_a_stranger() {
        let signer = Signer::new(1);
        for text in ["", "a.b", "a.b.c", "...", "a.e30.c"] {
            assert_eq!(signer.claims(text), Err(Unreadable::Stranger), "{text}");
        }
    }
}
