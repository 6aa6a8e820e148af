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
