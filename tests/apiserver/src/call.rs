//! What a request asks for, from its method and URI.

use std::{borrow::Cow, collections::BTreeMap};

use http::{HeaderMap, Method, Uri, header::CONTENT_TYPE};

/// What is done to an object. A server-side apply is told from other patches, though HTTP does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Apply,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// Whether it changes something.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// The parts of a resource path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

impl Target {
    pub fn parse(path: &str) -> Option<Self> {
        let mut segments = path.trim_matches('/').split('/');
        let (group, version) = match segments.next()? {
            "api" => ("", segments.next()?),
            "apis" => (segments.next()?, segments.next()?),
            _ => return None,
        };
        let rest: Vec<&str> = segments.collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, rest @ ..]
                if !matches!(rest, [] | ["status" | "finalize"]) || !group.is_empty() =>
            {
                (Some((*namespace).to_owned()), rest)
            }
            rest => (None, rest),
        };
        let (&plural, rest) = rest.split_first()?;
        let owned = |position: usize| {
            rest.get(position).filter(|part| !part.is_empty()).map(|part| (*part).to_owned())
        };
        (rest.len() <= 2).then(|| Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespace,
            name: owned(0),
            subresource: owned(1),
        })
    }
}

/// The parameters behind the question mark.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub fn of(uri: &Uri) -> Self {
        let owned = |(key, value): (Cow<str>, Cow<str>)| (key.into_owned(), value.into_owned());
        Self(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).map(owned).collect())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    pub fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value == "true" || value == "1")
    }

    pub fn is_dry_run(&self) -> bool {
        self.get("dryRun") == Some("All")
    }
}

/// A request's verb; none for a method that an API server does not have.
pub(crate) fn verb(method: &Method, target: &Target, query: &Query, headers: &HeaderMap) -> Option<Verb> {
    let is_apply = content_type(headers).starts_with("application/apply-patch");
    Some(match *method {
        Method::GET if target.name.is_some() => Verb::Get,
        Method::GET if query.is_set("watch") => Verb::Watch,
        Method::GET => Verb::List,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH if is_apply => Verb::Apply,
        Method::PATCH => Verb::Patch,
        Method::DELETE if target.name.is_some() => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => return None,
    })
}

pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> String {
        Target::parse(path).map_or_else(String::new, |target| {
            let or_none = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
            let lies = [target.namespace, target.name, target.subresource].map(or_none).join(" ");
            format!("{}/{} {} {lies}", target.group, target.version, target.plural)
        })
    }

    #[test]
    fn paths_are_told_apart() {
        assert_eq!(parsed("/api/v1/pods"), "/v1 pods - - -");
        assert_eq!(parsed("/api/v1/namespaces"), "/v1 namespaces - - -");
        assert_eq!(parsed("/api/v1/namespaces/a"), "/v1 namespaces - a -");
        assert_eq!(parsed("/api/v1/namespaces/a/status"), "/v1 namespaces - a status");
        assert_eq!(parsed("/api/v1/namespaces/a/pods/x/log"), "/v1 pods a x log");
        let workspace = "/apis/workspaces.dev/v1alpha1/namespaces/a/workspaces/x";
        assert_eq!(parsed(workspace), "workspaces.dev/v1alpha1 workspaces a x -");
        assert_eq!(parsed("/version"), "");
    }
}
