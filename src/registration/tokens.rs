//! Tokens that the API server has verified. One is remembered until it expires, or its Pod is seen going; so a heartbeat
//! costs no call.

use std::collections::HashMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::Identity;

/// A token's hash: the token itself is not kept.
type Fingerprint = [u8; 32];

/// A Pod has one token, and for a moment two. More than this many are remembered of nobody.
const MOST: usize = 131_072;

/// The verified tokens.
#[derive(Debug, Default)]
pub struct Tokens {
    known: HashMap<Fingerprint, Identity>,
    /// The tokens of a Pod, by its UID.
    by_pod: HashMap<String, Vec<Fingerprint>>,
}

impl Tokens {
    /// Who shows `token`, if that was verified before.
    pub fn get(&self, token: &str, now: Timestamp) -> Option<&Identity> {
        self.known.get(&fingerprint(token)).filter(|identity| identity.expires > now)
    }

    /// Remembers that `token` is that of `identity`.
    pub fn insert(&mut self, token: &str, identity: Identity, now: Timestamp) {
        if self.known.len() >= MOST {
            self.retain(|identity| identity.expires > now);
        }
        if self.known.len() >= MOST {
            return;
        }
        let fingerprint = fingerprint(token);
        let of_pod = self.by_pod.entry(identity.uid.clone()).or_default();
        of_pod.retain(|other| self.known.get(other).is_some_and(|known| known.expires > now));
        if !of_pod.contains(&fingerprint) {
            of_pod.push(fingerprint);
        }
        self.known.insert(fingerprint, identity);
    }

    /// The Pod with this UID goes, and its tokens with it.
    pub fn forget(&mut self, uid: &str) {
        for token in self.by_pod.remove(uid).unwrap_or_default() {
            self.known.remove(&token);
        }
    }

    fn retain(&mut self, keep: impl Fn(&Identity) -> bool) {
        self.known.retain(|_, identity| keep(identity));
        let known = &self.known;
        self.by_pod.retain(|_, tokens| {
            tokens.retain(|token| known.contains_key(token));
            !tokens.is_empty()
        });
    }
}

fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::class::Backend,
        fixtures::{at, now},
    };

    fn identity(uid: &str) -> Identity {
        Identity {
            namespace: "ns".into(),
            account: "default".into(),
            backend: Backend::Pod,
            name: "x".into(),
            uid: uid.into(),
            expires: at(60),
        }
    }

    #[test]
    fn a_token_is_remembered_until_it_expires_or_its_pod_goes() {
        let mut tokens = Tokens::default();
        tokens.insert("a", identity("1"), now());
        tokens.insert("b", identity("1"), now());
        tokens.insert("c", identity("2"), now());
        assert_eq!(tokens.get("a", now()), Some(&identity("1")));
        assert_eq!(tokens.get("a", at(60)), None);
        tokens.forget("1");
        assert_eq!((tokens.get("a", now()), tokens.get("b", now())), (None, None));
        assert_eq!(tokens.get("c", now()), Some(&identity("2")));
    }

    #[test]
    fn tokens_that_expired_take_no_room() {
        let mut tokens = Tokens::default();
        for token in ["a", "b", "c"] {
            tokens.insert(token, identity("1"), at(0));
        }
        tokens.retain(|identity| identity.expires > at(60));
        assert!(tokens.known.is_empty() && tokens.by_pod.is_empty());
    }
}
