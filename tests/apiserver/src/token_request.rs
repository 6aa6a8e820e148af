//! `serviceaccounts/NAME/token`: a token is made, and nothing is kept.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    failure::{self, Failure, bad_request},
    kind::{self, Kind},
    object::{self, Key},
    state::State,
    token,
};

/// The kind of such a request; it has no path of its own.
static TOKEN_REQUEST: Kind = Kind {
    group: "authentication.k8s.io",
    version: "v1",
    kind: "TokenRequest",
    plural: "tokenrequests",
    traits: &[],
};

/// How long a token is good for where nobody says.
const HOUR: i64 = 3600;

/// What dies with a token's validity.
struct Bound {
    kind: &'static Kind,
    object: Arc<Value>,
}

impl State {
    /// Makes a token of an account, and answers with the completed request.
    pub fn issue_token(&mut self, account: &Key, request: &Value) -> Result<Value, Failure> {
        if !object::is_well_formed(request) {
            return Err(bad_request("the object provided is unrecognized"));
        }
        let accounts = known("ServiceAccount")?;
        let found = self.stored(accounts, account)?;
        let uid = object::uid(request);
        if !uid.is_empty() && uid != object::uid(&found) {
            let why = format!(
                "the UID in the token request ({uid}) does not match the UID of the service account ({})",
                object::uid(&found)
            );
            return Err(failure::conflict(&TOKEN_REQUEST, &account.name, &why));
        }
        let spec = &request["spec"];
        let seconds = spec["expirationSeconds"].as_i64().unwrap_or(HOUR);
        check_validity(seconds)?;
        let audiences = match object::list(spec, "/audiences") {
            [] => json!([token::ISSUER]),
            audiences => json!(audiences),
        };
        let bound = match &spec["boundObjectRef"] {
            Value::Null => None,
            reference => Some(self.bound(account, reference)?),
        };
        let now = self.time();
        let end = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        let mut claims = json!({
            "aud": audiences,
            "exp": end.as_second(),
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "sub": format!("system:serviceaccount:{}:{}", account.namespace, account.name),
            "kubernetes.io": { "namespace": account.namespace, "serviceaccount": reference(&found) },
        });
        if let Some(Bound { kind, object }) = &bound {
            let own = &mut claims["kubernetes.io"];
            own[kind.kind.to_lowercase()] = reference(object);
            if let Some(node) = self.node_of(object) {
                own["node"] = node;
            }
        }
        Ok(json!({
            "kind": TOKEN_REQUEST.kind,
            "apiVersion": TOKEN_REQUEST.api_version(),
            "metadata": {
                "name": account.name,
                "namespace": account.namespace,
                "uid": object::uid(&found),
                "creationTimestamp": object::seconds(now),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": spec["boundObjectRef"],
            },
            "status": { "token": self.signer.sign(claims), "expirationTimestamp": object::seconds(end) },
        }))
    }

    /// The token that a kubelet would project into a Pod for an audience.
    pub fn projected_token(&mut self, pod: &Key, audience: &str) -> Result<String, Failure> {
        let object = self.stored(known("Pod")?, pod)?;
        let is_wanted = |token: &&Value| object::text(token, "/audience") == audience;
        let seconds = object::list(&object, "/spec/volumes")
            .iter()
            .flat_map(|volume| object::list(volume, "/projected/sources"))
            .map(|source| &source["serviceAccountToken"])
            .find(is_wanted)
            .and_then(|token| token["expirationSeconds"].as_i64());
        let account = Key::new(pod.namespace.as_str(), object::text(&object, "/spec/serviceAccountName"));
        let bound = json!({
            "apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": object::uid(&object),
        });
        let request = json!({ "spec": {
            "audiences": [audience],
            "expirationSeconds": seconds.unwrap_or(HOUR),
            "boundObjectRef": bound,
        } });
        let made = self.issue_token(&account, &request)?;
        Ok(object::text(&made, "/status/token").to_owned())
    }

    fn bound(&self, account: &Key, reference: &Value) -> Result<Bound, Failure> {
        let (version, name) = (object::text(reference, "/apiVersion"), object::text(reference, "/kind"));
        if version != "v1" || !matches!(name, "Pod" | "Secret") {
            let what = format!("/{version}, Kind={name}");
            return Err(bad_request(format!("cannot bind token to object of type {what}")));
        }
        let kind = known(name)?;
        let name = object::text(reference, "/name");
        let object = self.stored(kind, &Key::new(account.namespace.as_str(), name))?;
        if kind.is_core("Pod") && object::text(&object, "/spec/serviceAccountName") != account.name {
            return Err(bad_request(format!(
                "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                account.name
            )));
        }
        let uid = object::text(reference, "/uid");
        if !uid.is_empty() && uid != object::uid(&object) {
            let why = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might \
                 have been deleted and then recreated"
            );
            return Err(failure::conflict(kind, name, &why));
        }
        Ok(Bound { kind, object })
    }

    /// The node of a Pod, as far as it is known.
    fn node_of(&self, pod: &Value) -> Option<Value> {
        let name = object::text(pod, "/spec/nodeName");
        let node = kind::by_name("Node").and_then(|nodes| self.store.get(nodes, &Key::new("", name)));
        (!name.is_empty()).then(|| node.map_or_else(|| json!({ "name": name }), |node| reference(node)))
    }

    fn stored(&self, kind: &'static Kind, key: &Key) -> Result<Arc<Value>, Failure> {
        self.store.get(kind, key).cloned().ok_or_else(|| failure::not_found(kind, &key.name))
    }
}

fn known(name: &str) -> Result<&'static Kind, Failure> {
    kind::by_name(name).ok_or_else(failure::no_such_resource)
}

fn reference(object: &Value) -> Value {
    json!({ "name": object::name(object), "uid": object::uid(object) })
}

fn check_validity(seconds: i64) -> Result<(), Failure> {
    let bound = match seconds {
        ..600 => "less than 10 minutes",
        600..=0x1_0000_0000 => return Ok(()),
        _ => "larger than 2^32 seconds",
    };
    let why = format!("Invalid value: {seconds}: may not specify a duration {bound}");
    Err(failure::invalid(&TOKEN_REQUEST, "", "spec.expirationSeconds", &why))
}
