//! The forms of names and values, as the API server knows them.

/// Name of most objects: a DNS-1123 subdomain.
pub const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// A key of a Secret or ConfigMap.
pub const DATA_KEY: &str = r"^[-._a-zA-Z0-9]+$";

/// What is put before the names of environment variables: printable ASCII but `=`, or nothing.
pub const ENVIRONMENT_PREFIX: &str = r"^[ -<>-~]*$";

/// Name of a port (IANA): lower-case letters, digits and single hyphens inside, at least one letter.
pub const PORT_NAME: &str = r"^([0-9]+-)*[0-9]*[a-z](-?[a-z0-9])*$";

/// An image: nothing more than that there is no white space.
pub const IMAGE: &str = r"^\S+$";

/// The beginning of an absolute path.
pub const ABSOLUTE_PATH: &str = r"^/";

/// An absolute path that a volume can be mounted at.
pub const MOUNT_PATH: &str = r"^/[^:]+$";

/// A quantity. No quantity of ours may be negative, so there is no minus.
pub const QUANTITY: &str = r"^\+?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// A DNS-1123 label.
pub const LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// The name of a label, with a domain before it or without.
pub const QUALIFIED_NAME: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// The value of a label.
pub const LABEL_VALUE: &str = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

/// The host of a registry, with a port or without.
pub const REGISTRY: &str = r"^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]{1,5})?$";

/// A path below a Pod: fields between dots, an item of a list in brackets.
pub const OVERLAY_PATH: &str = r"^(metadata|spec)(\.[a-zA-Z][a-zA-Z0-9]*(\[(\*|[^\[\]]+)\])?)*$";

/// A range of addresses, nothing more than its form; the API server checks it where it is used.
pub const CIDR: &str = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$";

/// A number, or a percentage.
pub const COUNT_OR_PERCENT: &str = r"^([0-9]{1,6}|[0-9]{1,2}%|100%)$";
