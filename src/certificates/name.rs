//! A name that a certificate is for, in the one spelling that names are compared in.

use std::net::IpAddr;

use rustls::pki_types::DnsName;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Dns(String),
    Ip(IpAddr),
}

impl Name {
    /// The name in a text, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Ip(address));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        DnsName::try_from(text).ok().map(|name| Self::Dns(name.as_ref().to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_one_spelling() {
        assert_eq!(Name::parse("Operator.Test.svc."), Some(Name::Dns("operator.test.svc".to_owned())));
        assert_eq!(Name::parse("0:0:0:0:0:0:0:1"), Name::parse("::1"));
        assert_eq!(Name::parse("10.0.0.1"), Some(Name::Ip([10, 0, 0, 1].into())));
    }

    #[test]
    fn what_no_client_would_ask_for_is_no_name() {
        for text in ["", "a b", "https://a", "a:8443", "*.a", "-a"] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
