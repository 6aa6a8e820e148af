//! `tokenreviews`: whose token it is, if anyone's. Nothing is kept.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    failure::{Failure, bad_request},
    kind::{self, Kind},
    object::{self, Key},
    rules,
    state::State,
    token::{self, Unreadable},
};

/// How long after its end a token is still taken, and so is one whose object should have gone.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

const INVALIDATED: &str = "service account token has been invalidated";

impl State {
    /// Answers a review as the API server does.
    pub fn review_token(&self, kind: &'static Kind, mut review: Value) -> Result<Value, Failure> {
        rules::check_body(kind, None, &mut review)?;
        let token = object::text(&review, "/spec/token");
        if token.is_empty() {
            return Err(bad_request("token is required for TokenReview in authentication"));
        }
        let wanted = match object::list(&review, "/spec/audiences") {
            [] => vec![json!(token::ISSUER)],
            audiences => audiences.to_vec(),
        };
        review["status"] = match self.authenticate(token, &wanted) {
            Ok(status) => status,
            Err(None) => json!({ "user": {}, "error": "invalid bearer token" }),
            Err(Some(why)) => json!({ "user": {}, "error": format!("[invalid bearer token, {why}]") }),
        };
        Ok(review)
    }

    /// The status of a good token; otherwise why it is not, where it is a token at all.
    fn authenticate(&self, token: &str, wanted: &[Value]) -> Result<Value, Option<String>> {
        let claims = self.signer.claims(token).map_err(|error| match error {
            Unreadable::Stranger => None,
            Unreadable::Forged => Some("go-jose/go-jose: error in cryptographic primitive".to_owned()),
        })?;
        let own = object::list(&claims, "/aud");
        let audiences: Vec<&Value> = own.iter().filter(|audience| wanted.contains(audience)).collect();
        if audiences.is_empty() {
            let (own, wanted) = (listed(own), listed(wanted));
            return Err(Some(format!("token audiences {own} is invalid for the target audiences {wanted}")));
        }
        self.check(&claims)?;
        let bound = &claims["kubernetes.io"];
        let namespace = object::text(bound, "/namespace");
        let mut extra = json!({
            "authentication.kubernetes.io/credential-id": [format!("JTI={}", object::text(&claims, "/jti"))],
        });
        for what in ["pod", "node"] {
            for field in ["name", "uid"] {
                if let Some(value) = bound[what].get(field) {
                    extra[format!("authentication.kubernetes.io/{what}-{field}")] = json!([value]);
                }
            }
        }
        Ok(json!({
            "authenticated": true,
            "user": {
                "username": claims["sub"],
                "uid": bound["serviceaccount"]["uid"],
                "groups": [
                    "system:serviceaccounts",
                    format!("system:serviceaccounts:{namespace}"),
                    "system:authenticated",
                ],
                "extra": extra,
            },
            "audiences": audiences,
        }))
    }

    /// Refuses a token whose time is over, or whose account or object is gone.
    fn check(&self, claims: &Value) -> Result<(), String> {
        let oldest = self.time().checked_sub(LEEWAY).unwrap_or(Timestamp::MIN);
        if claims["exp"].as_i64().is_none_or(|end| end < oldest.as_second()) {
            return Err("service account token has expired".to_owned());
        }
        let bound = &claims["kubernetes.io"];
        let namespace = object::text(bound, "/namespace");
        let account = &bound["serviceaccount"];
        let (name, uid) = (object::text(account, "/name"), object::text(account, "/uid"));
        let found = self.referred("ServiceAccount", namespace, name);
        let found = found.ok_or_else(|| format!("serviceaccounts \"{name}\" not found"))?;
        if object::uid(found) != uid {
            let is = object::uid(found);
            return Err(format!("service account UID ({is}) does not match claim ({uid})"));
        }
        if is_overdue(found, oldest) {
            return Err(format!("service account {namespace}/{name} has been deleted"));
        }
        for (kind, field) in [("Secret", "secret"), ("Pod", "pod")] {
            let Some(reference) = bound.get(field) else { continue };
            let (name, uid) = (object::text(reference, "/name"), object::text(reference, "/uid"));
            let found = self.referred(kind, namespace, name).ok_or(INVALIDATED)?;
            if object::uid(found) != uid {
                let is = object::uid(found);
                return Err(format!(
                    "{field} UID ({is}) does not match service account {field} ref claim ({uid})"
                ));
            }
            if is_overdue(found, oldest) {
                return Err(INVALIDATED.to_owned());
            }
        }
        Ok(())
    }

    fn referred(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.store.get(kind::by_name(kind)?, &Key::new(namespace, name)).map(|object| &**object)
    }
}

/// Whether an object should have gone before that time. One that still has its grace period is none.
fn is_overdue(object: &Value, oldest: Timestamp) -> bool {
    let end = object::text(object, "/metadata/deletionTimestamp").parse::<Timestamp>();
    end.is_ok_and(|end| end < oldest)
}

fn listed(audiences: &[Value]) -> String {
    let texts: Vec<String> = audiences.iter().map(ToString::to_string).collect();
    format!("[{}]", texts.join(" "))
}
