//! Every label, annotation and field manager in one place.

/// API group of our kinds, and the domain of our labels and annotations.
pub const GROUP: &str = "workspaces.dev";

/// Asks for a restart by hand: an RFC 3339 time.
pub const RESTARTED_AT: &str = "workspaces.dev/restartedAt";

/// Prefix of the annotations that keep a workspace (or a whole namespace) stopped; the rest of the key is the
/// actor who holds, the value says why.
pub const HOLD_PREFIX: &str = "hold.workspaces.dev/";

/// The operator's own hold: nobody uses the workspace.
pub const IDLE_HOLD: &str = "hold.workspaces.dev/idle";

/// Marks the class that workspaces without a class name get.
pub const DEFAULT_CLASS: &str = "workspaces.dev/is-default-class";

/// On every child: the name of its workspace.
pub const WORKSPACE: &str = "workspaces.dev/workspace";

/// On a Pod: the number of its incarnation.
pub const INCARNATION: &str = "workspaces.dev/incarnation";

/// On the Pod that tries an image out: the name of the workspace it asks for. Such a Pod never carries
/// [`WORKSPACE`].
pub const PROBE_FOR: &str = "workspaces.dev/probe-for";

/// On the Pod that tries an image out: what exactly it asks, as a hash.
pub const QUESTION: &str = "workspaces.dev/question";

/// On a Pod: the claim it was made for, as JSON, from which a lost status is rebuilt.
pub const CLAIM: &str = "workspaces.dev/claim";

/// On the operator's Lease: `ip:port` where its holder takes registrations and heartbeats.
pub const REGISTRATION_ADDRESS: &str = "workspaces.dev/registration-address";

/// What people see in lists of objects: which program, and who runs it.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// The value of [`APP_NAME`].
pub const APP_NAME_VALUE: &str = "workspace";
/// Who looks after an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "workspace-operator";

/// Field manager of everything the operator writes.
pub const FIELD_MANAGER: &str = "workspace-operator";

/// Name of the main container.
pub const MAIN_CONTAINER: &str = "main";
/// Name of the Pod's volume that holds the workspace's claim.
pub const VOLUME: &str = "workspace";
/// Where the volume is mounted unless the workspace says otherwise.
pub const DEFAULT_MOUNT_PATH: &str = "/workspace";

/// Variables by which the program learns who it is. They are set by the operator only.
pub const RESERVED_ENV: &[&str] = &[ENV_NAME, ENV_NAMESPACE, ENV_INCARNATION, ENV_REGISTRATION_URL];
/// The workspace's name.
pub const ENV_NAME: &str = "WORKSPACE_NAME";
/// The workspace's namespace.
pub const ENV_NAMESPACE: &str = "WORKSPACE_NAMESPACE";
/// The number of the start.
pub const ENV_INCARNATION: &str = "WORKSPACE_INCARNATION";
/// Where the program registers.
pub const ENV_REGISTRATION_URL: &str = "WORKSPACE_REGISTRATION_URL";

/// Prefix of the Pod's volumes that are the operator's own.
pub const OWN_VOLUMES: &str = "workspaces-dev-";
/// The volume with what a program registers by. A container that mounts it gets the variables, too.
pub const REGISTRATION_VOLUME: &str = "workspaces-dev-registration";
/// Where it is mounted in the main container: the files `token` and `ca.crt`.
pub const REGISTRATION_MOUNT: &str = "/var/run/secrets/workspaces.dev";
/// Whom the token is for.
pub const AUDIENCE: &str = GROUP;
/// On a Pod: the certificates its program trusts when it registers, as PEM.
pub const REGISTRATION_CA: &str = "workspaces.dev/registration-ca";
/// Condition and readiness gate of a Pod whose program has to register.
pub const REGISTERED: &str = "workspaces.dev/registered";

/// What the Secret of a workspace whose program runs elsewhere is called, after the workspace's name.
pub const CREDENTIAL_SUFFIX: &str = "-workspace";
/// On such a Secret: when its program registered (RFC 3339). Which one it was says [`REGISTERED`], an annotation there.
pub const REGISTERED_AT: &str = "workspaces.dev/registered-at";
/// On such a Secret: the service account whose tokens are heard.
pub const SERVICE_ACCOUNT: &str = "workspaces.dev/service-account";

/// Secret with the key that Secret data is hashed with, in the operator's own namespace.
pub const HASH_KEY_SECRET: &str = "workspace-operator-hash-key";

/// Secret with the certificates of the registration port, in the operator's own namespace.
pub const REGISTRATION_SECRET: &str = "workspace-operator-registration";

/// Name of the operator, of the Lease its replicas elect a leader by, and of its Pods' label [`APP_NAME`]: workspaces
/// may reach these through their policies.
pub const OPERATOR: &str = "workspace-operator";
/// Port of the operator that programs register at.
pub const REGISTRATION_PORT: i32 = 8443;
