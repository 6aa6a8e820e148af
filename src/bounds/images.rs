//! Images by name: the full form of a reference, and which ones a class allows.

use std::fmt;

use crate::api::bounds::{ImageBounds, ImagePattern};

use super::{Asked, Malformed, Outside, containers, listed, quoted};

const HUB: &str = "docker.io";
const FIELD: &str = "bounds.images";

/// What may run.
#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    allowed: Option<Vec<Pattern>>,
    require_digest: bool,
}

/// One way to allow images, with names in full.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    Prefix(String),
    Registry(String),
}

impl Images {
    pub(super) fn parse(bounds: Option<&ImageBounds>) -> Result<Self, Malformed> {
        let Some(ImageBounds { allowed, require_digest }) = bounds else { return Ok(Self::default()) };
        let patterns = |patterns: &Vec<ImagePattern>| {
            patterns.iter().enumerate().map(|(at, pattern)| Pattern::parse(at, pattern)).collect()
        };
        let allowed = allowed.as_ref().map(patterns).transpose()?;
        Ok(Self { allowed, require_digest: require_digest.unwrap_or(false) })
    }

    pub(super) fn check(&self, asked: &Asked<'_>) -> Result<(), Outside> {
        if self.allowed.is_none() && !self.require_digest {
            return Ok(());
        }
        let main = asked.spec.image.as_deref().map(|image| ("spec.image".to_owned(), image));
        let others = containers(asked.overlay)
            .filter_map(|(path, container)| Some((format!("{path}.image"), container.image.as_deref()?)));
        let volumes = asked.overlay.into_iter().flat_map(|overlay| overlay.volumes.iter().flatten());
        let mounted = volumes.filter_map(|volume| {
            let reference = volume.image.as_ref()?.reference.as_deref()?;
            Some((format!("spec.podTemplate.spec.volumes[{}].image.reference", volume.name), reference))
        });
        for (field, image) in main.into_iter().chain(others).chain(mounted) {
            self.check_one(image).map_err(|bound| Outside::new(&field, &quoted(image), bound))?;
        }
        Ok(())
    }

    /// Err names the bound.
    fn check_one(&self, text: &str) -> Result<(), String> {
        let Some(image) = Image::parse(text) else {
            return Err(format!("{FIELD}: it is no image reference with a name"));
        };
        if self.require_digest && image.digest.is_none() {
            return Err(format!("{FIELD}.requireDigest (as name@sha256:…, 64 digits)"));
        }
        match &self.allowed {
            Some(patterns) if !patterns.iter().any(|pattern| pattern.matches(&image)) => {
                Err(format!("{FIELD}.allowed ({})", listed(patterns)))
            }
            _ => Ok(()),
        }
    }
}

impl Pattern {
    fn parse(at: usize, pattern: &ImagePattern) -> Result<Self, Malformed> {
        let ImagePattern { exact, prefix, registry } = pattern;
        let field = |form: &str| format!("{FIELD}.allowed[{at}]{form}");
        match (exact, prefix, registry) {
            (Some(exact), None, None) => match Image::parse(exact) {
                Some(image) => Ok(Self::Exact(image.to_string())),
                None => Err(Malformed::new(field(".exact"), format!("{exact:?} is no image reference"))),
            },
            (None, Some(text), None) => full_prefix(text)
                .map(Self::Prefix)
                .map_err(|problem| Malformed::new(field(".prefix"), problem)),
            (None, None, Some(host)) if is_host(host) => Ok(Self::Registry(full_host(host))),
            (None, None, Some(host)) => {
                Err(Malformed::new(field(".registry"), format!("{host:?} is no host of a registry")))
            }
            _ => Err(Malformed::new(field(""), "exactly one of exact, prefix, registry must be set")),
        }
    }

    fn matches(&self, image: &Image) -> bool {
        match self {
            Self::Exact(exact) => image.to_string() == *exact,
            Self::Prefix(prefix) => begins_with(&image.to_string(), prefix),
            Self::Registry(host) => image.host == *host,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(image) => f.write_str(image),
            Self::Prefix(prefix) => write!(f, "what begins with {prefix}"),
            Self::Registry(host) => write!(f, "registry {host}"),
        }
    }
}

/// Whether `prefix` ends in `name` where a part of it ends.
fn begins_with(name: &str, prefix: &str) -> bool {
    let boundary = ['/', ':', '@'];
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(boundary) || prefix.ends_with(boundary))
}

/// A prefix in full, read as an image is. An organisation of the Docker Hub ends with `/`; without, it is one image.
fn full_prefix(text: &str) -> Result<String, String> {
    if !text.contains('/') {
        let name = text.split([':', '@']).next().unwrap_or(text);
        if name.contains('.') || name == "localhost" {
            return Err(format!(
                "{text:?} looks like a host; name a registry by `registry`, or end it with /"
            ));
        }
        return Ok(format!("{HUB}/library/{text}"));
    }
    let (host, rest) = split_host(text);
    if !is_host(&host) || rest.starts_with('/') {
        return Err(format!("{text:?} is the beginning of no image reference"));
    }
    // The organisation itself, not an image of its name.
    let rest = if host == HUB && rest == "library/library" { "library" } else { &rest };
    Ok(format!("{host}/{rest}"))
}

/// A reference in full, as container runtimes read it. Where there is a digest they don't look at the tag, so it is
/// no part of it: a tag that is allowed must not cover for a digest that isn't.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Image {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Image {
    fn parse(text: &str) -> Option<Self> {
        // Runtimes look such a name up among the images that the node has, whosever they are.
        if ["sha256:", "sha384:", "sha512:"].iter().any(|algorithm| text.starts_with(algorithm))
            || is_hex(text, 64)
        {
            return None;
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if !digest.is_none_or(is_digest) || !tag.is_none_or(is_tag) {
            return None;
        }
        let (host, repository) = split_host(name);
        if !is_host(&host) || !repository.split('/').all(is_component) {
            return None;
        }
        let tag = digest.is_none().then(|| tag.unwrap_or("latest").to_owned());
        Some(Self { host, repository, tag, digest: digest.map(str::to_owned) })
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The registry's host and the rest. The first part is a host if nothing else could look so.
fn split_host(name: &str) -> (String, String) {
    let (host, rest) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.contains(|c: char| c.is_ascii_uppercase()) =>
        {
            (full_host(first), rest)
        }
        _ => (HUB.to_owned(), name),
    };
    let is_official = host == HUB && !rest.is_empty() && !rest.contains('/');
    let rest = if is_official { format!("library/{rest}") } else { rest.to_owned() };
    (host, rest)
}

fn full_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if host == "index.docker.io" { HUB.to_owned() } else { host }
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let is_alphanumeric = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(is_alphanumeric)
        && name.ends_with(is_alphanumeric)
        && name.chars().all(|c| is_alphanumeric(c) || c == '-' || c == '.')
        && !port.is_empty()
        && port.chars().all(|c| c.is_ascii_digit())
}

/// One part of a repository's path.
fn is_component(part: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(is_alphanumeric)
        && part.ends_with(is_alphanumeric)
        && part.chars().all(|c| is_alphanumeric(c) || matches!(c, '.' | '_' | '-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=128).contains(&tag.len())
        && tag.starts_with(is_word)
        && tag.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

fn is_digest(digest: &str) -> bool {
    match digest.split_once(':') {
        Some(("sha256", hash)) => is_hex(hash, 64),
        Some(("sha512", hash)) => is_hex(hash, 128),
        _ => false,
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn images(bounds: Value) -> Images {
        Images::parse(Some(&serde_json::from_value(bounds).unwrap())).unwrap()
    }

    fn digest() -> String {
        format!("sha256:{}", "a".repeat(64))
    }

    #[test]
    fn a_name_is_read_as_runtimes_read_it() {
        for (text, full) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("team/app", "docker.io/team/app:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"),
            ("ghcr.io/team/app:v1", "ghcr.io/team/app:v1"),
            ("GHCR.io/team/app:v1", "ghcr.io/team/app:v1"),
            ("localhost/app", "localhost/app:latest"),
            ("host:5000/app", "host:5000/app:latest"),
            ("host:5000/app:1", "host:5000/app:1"),
            ("host/app", "docker.io/host/app:latest"),
            ("ghcr.io:1", "docker.io/library/ghcr.io:1"),
            ("r.io/a.b/c_d/e--f:T-1", "r.io/a.b/c_d/e--f:T-1"),
        ] {
            assert_eq!(Image::parse(text).unwrap().to_string(), full, "{text}");
        }
        let pinned = format!("busybox:1.36@{}", digest());
        let full = format!("docker.io/library/busybox@{}", digest());
        assert_eq!(Image::parse(&pinned).unwrap().to_string(), full);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let id = "a".repeat(64);
        let two = format!("a@{}@{}", digest(), digest());
        for text in [
            "",
            "/a",
            "a/",
            "a//b",
            "r.io/",
            "r.io/../a",
            "A",
            "a b",
            "a:",
            "a@",
            ":1",
            "a:b:c",
            "a@sha256:ff",
            "a@md5:ff",
            "r.io:x/a",
            "sha256:dead",
            &digest(),
            &id,
            &two,
        ] {
            assert_eq!(Image::parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_pattern_allows_what_it_names_and_nothing_else() {
        let pinned = format!("ghcr.io/a/b@{}", digest());
        let disguised = format!("ghcr.io/a/b:v1@{}", digest());
        for (pattern, image, is_allowed) in [
            (json!({"exact": "busybox"}), "docker.io/library/busybox:latest", true),
            (json!({"exact": "busybox"}), "busybox:1", false),
            (json!({"exact": "busybox:1"}), "evil/busybox:1", false),
            (json!({"exact": pinned}), disguised.as_str(), true),
            (json!({"exact": "ghcr.io/a/b:v1"}), disguised.as_str(), false),
            (json!({"prefix": "ghcr.io/a/b:v1"}), disguised.as_str(), false),
            (json!({"prefix": "ghcr.io/a/b"}), disguised.as_str(), true),
            (json!({"prefix": "r.example.com/team"}), "r.example.com/team/app:1", true),
            (json!({"prefix": "r.example.com/team"}), "r.example.com/team:1", true),
            (json!({"prefix": "r.example.com/team"}), "r.example.com/teams/app", false),
            (json!({"prefix": "r.example.com/"}), "r.example.com/any", true),
            (json!({"prefix": "r.example.com/"}), "r.example.com.evil.org/any", false),
            (json!({"prefix": "busybox"}), "busybox:1.36", true),
            (json!({"prefix": "busybox:1.3"}), "busybox:1.36", false),
            (json!({"prefix": "docker.io/library"}), "busybox", true),
            (json!({"prefix": "docker.io/library"}), "docker.io/library-evil/a", false),
            (json!({"prefix": "bitnami/"}), "docker.io/bitnami/redis", true),
            (json!({"prefix": "docker.io/bitnami"}), "docker.io/bitnami/redis", false),
            (json!({"registry": "r.example.com:5000"}), "r.example.com:5000/a", true),
            (json!({"registry": "r.example.com"}), "r.example.com:5000/a", false),
            (json!({"registry": "index.docker.io"}), "busybox", true),
            (json!({"registry": "R.example.com"}), "r.example.com/a", true),
            (json!({"registry": "docker.io"}), "ghcr.io/a", false),
            (json!({"registry": "docker.io"}), "sha256:dead", false),
        ] {
            let bounds = images(json!({"allowed": [pattern]}));
            assert_eq!(bounds.check_one(image).is_ok(), is_allowed, "{pattern} {image}");
        }
    }

    #[test]
    fn an_empty_list_allows_no_image_and_none_at_all_every() {
        assert!(images(json!({"allowed": []})).check_one("a").is_err());
        assert!(images(json!({})).check_one("a").is_ok());
    }

    #[test]
    fn a_required_digest_must_be_a_whole_one() {
        let bounds = images(json!({"requireDigest": true}));
        assert!(bounds.check_one(&format!("a@{}", digest())).is_ok());
        assert!(bounds.check_one(&format!("a:1@sha512:{}", "b".repeat(128))).is_ok());
        for image in ["a", "a:1", "a@sha256:abc", &format!("a@{}", digest().to_uppercase()), &digest()] {
            assert!(bounds.check_one(image).is_err(), "{image}");
        }
    }

    #[test]
    fn a_pattern_that_names_nothing_is_malformed() {
        for (pattern, field) in [
            (json!({}), "bounds.images.allowed[0]"),
            (json!({"exact": "a", "registry": "b.c"}), "bounds.images.allowed[0]"),
            (json!({"exact": "a b"}), "bounds.images.allowed[0].exact"),
            (json!({"prefix": "ghcr.io"}), "bounds.images.allowed[0].prefix"),
            (json!({"prefix": "localhost:5000"}), "bounds.images.allowed[0].prefix"),
            (json!({"prefix": "https://ghcr.io/a"}), "bounds.images.allowed[0].prefix"),
            (json!({"registry": "ghcr.io/a"}), "bounds.images.allowed[0].registry"),
        ] {
            let bounds = serde_json::from_value(json!({"allowed": [pattern]})).unwrap();
            assert_eq!(Images::parse(Some(&bounds)).unwrap_err().field, field, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_ends_at_a_boundary(team in "[a-z]{1,8}", more in "[a-z0-9]{1,8}", app in "[a-z]{1,8}") {
            let bounds = images(json!({"allowed": [{"prefix": format!("r.example.com/{team}")}]}));
            let inside = format!("r.example.com/{team}/{app}");
            let beside = format!("r.example.com/{team}{more}/{app}");
            prop_assert!(bounds.check_one(&inside).is_ok());
            prop_assert!(bounds.check_one(&beside).is_err());
        }

        #[test]
        fn the_full_form_is_its_own_full_form(text in "([a-z]{1,5}(\\.io|:50)?/)?[a-z]{1,5}(/[a-z]{1,5})?(:[a-z0-9]{1,5})?") {
            let full = Image::parse(&text).unwrap();
            prop_assert_eq!(Image::parse(&full.to_string()), Some(full));
        }
    }
}
