//! Who shows a token: what the token says of itself, and what the API server says of it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use serde::Deserialize;

use crate::api::{class::Backend, names};

/// Tokens of service accounts have one or two KiB.
const MOST_BYTES: usize = 8192;

/// The object whose token was shown: a Pod, or the Secret of a program that runs elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub namespace: String,
    /// The service account, by name.
    pub account: String,
    pub backend: Backend,
    /// Name of the object.
    pub name: String,
    /// UID of the object: the incarnation's true identity.
    pub uid: String,
    /// Until when the token is good.
    pub expires: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    aud: Audience,
    exp: i64,
    #[serde(default, rename = "kubernetes.io")]
    bound: Bound,
}

#[derive(Default, Deserialize)]
struct Bound {
    #[serde(default)]
    secret: Option<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    uid: String,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
    #[default]
    None,
}

impl Audience {
    fn is_ours(&self) -> bool {
        match self {
            Self::One(one) => one == names::AUDIENCE,
            Self::Many(many) => many.iter().any(|one| one == names::AUDIENCE),
            Self::None => false,
        }
    }
}

/// Whether it is worth asking the API server about `token`: by its own word it is for the operator, and not expired.
/// That proves nothing. It only spares the API server the tokens of strangers.
pub fn is_plausible(token: &str, now: Timestamp) -> bool {
    claims(token).is_some_and(|claims| claims.aud.is_ours() && claims.exp > now.as_second())
}

fn claims(token: &str) -> Option<Claims> {
    if token.len() > MOST_BYTES {
        return None;
    }
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The object that `token` is bound to, which the API server reviewed as `status`. None where the token is not good here.
pub fn reviewed(status: &TokenReviewStatus, token: &str) -> Option<Identity> {
    let is_ours = status.audiences.iter().flatten().any(|audience| audience == names::AUDIENCE);
    if status.authenticated != Some(true) || !is_ours {
        return None;
    }
    let user = status.user.as_ref()?;
    let account = user.username.as_deref()?.strip_prefix("system:serviceaccount:")?;
    let (namespace, account) = account.split_once(':')?;
    let extra = |key: &str| {
        let values = user.extra.as_ref()?.get(&format!("authentication.kubernetes.io/{key}"))?;
        values.first().cloned()
    };
    // It was authenticated, so what it says of itself is true. Of a Secret the review says nothing.
    let Claims { aud: _, exp, bound } = claims(token)?;
    let pod = extra("pod-name").zip(extra("pod-uid"));
    let pod = pod.map(|(name, uid)| (Backend::Pod, name, uid));
    let secret = bound.secret.map(|Reference { name, uid }| (Backend::External, name, uid));
    let (backend, name, uid) = pod.or(secret)?;
    Some(Identity {
        namespace: namespace.to_owned(),
        account: account.to_owned(),
        backend,
        name,
        uid,
        expires: Timestamp::from_second(exp).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn token(claims: Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1000).unwrap()
    }

    #[test]
    fn only_tokens_for_the_operator_that_are_not_expired_are_asked_about() {
        for (claims, plausible) in [
            (json!({"aud": ["workspaces.dev"], "exp": 1001}), true),
            (json!({"aud": "workspaces.dev", "exp": 1001}), true),
            (json!({"aud": ["workspaces.dev"], "exp": 1000}), false),
            (json!({"aud": ["api"], "exp": 1001}), false),
            (json!({"exp": 1001}), false),
            (json!({"aud": ["workspaces.dev"]}), false),
        ] {
            assert_eq!(is_plausible(&token(claims.clone()), now()), plausible, "{claims}");
        }
        let good = token(json!({"aud": ["workspaces.dev"], "exp": 1001}));
        for bad in [String::new(), "a.b".into(), format!("{good}.x"), format!("{good}{}", "x".repeat(8192))] {
            assert!(!is_plausible(&bad, now()));
        }
    }

    #[test]
    fn a_token_that_is_bound_to_nothing_is_nobody_s() {
        let token = token(json!({"aud": ["workspaces.dev"], "exp": 1001}));
        let review = |authenticated: bool, audience: &str, username: &str, extra: Value| {
            let status = json!({"authenticated": authenticated, "audiences": [audience],
                                "user": {"username": username, "extra": extra}});
            reviewed(&serde_json::from_value(status).unwrap(), &token)
        };
        let bound = json!({"authentication.kubernetes.io/pod-name": ["x"],
                           "authentication.kubernetes.io/pod-uid": ["uid"]});
        let account = "system:serviceaccount:ns:default";
        let identity = review(true, "workspaces.dev", account, bound.clone()).unwrap();
        assert_eq!(
            (identity.namespace.as_str(), identity.name.as_str(), identity.uid.as_str()),
            ("ns", "x", "uid")
        );
        assert_eq!(identity.expires.as_second(), 1001);
        assert_eq!(review(false, "workspaces.dev", account, bound.clone()), None);
        assert_eq!(review(true, "other", account, bound.clone()), None);
        assert_eq!(review(true, "workspaces.dev", "admin", bound), None);
        assert_eq!(review(true, "workspaces.dev", account, json!({})), None);
    }

    #[test]
    fn a_token_that_is_bound_to_a_secret_says_so_itself() {
        let review = |claims: Value| {
            let status = json!({"authenticated": true, "audiences": ["workspaces.dev"],
                                "user": {"username": "system:serviceaccount:ns:robot"}});
            reviewed(&serde_json::from_value(status).unwrap(), &token(claims))
        };
        let bound = json!({"namespace": "ns", "secret": {"name": "x-workspace", "uid": "uid"}});
        let identity = review(json!({"exp": 1001, "kubernetes.io": bound})).unwrap();
        let expected = Identity {
            namespace: "ns".into(),
            account: "robot".into(),
            backend: Backend::External,
            name: "x-workspace".into(),
            uid: "uid".into(),
            expires: Timestamp::from_second(1001).unwrap(),
        };
        assert_eq!(identity, expected);
        assert_eq!(review(json!({"exp": 1001, "kubernetes.io": {"namespace": "ns"}})), None);
    }

    proptest! {
        #[test]
        fn no_token_does_harm(token in "\\PC*", payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = is_plausible(&token, now());
            let _ = is_plausible(&format!("a.{}.b", URL_SAFE_NO_PAD.encode(payload)), now());
        }
    }
}
