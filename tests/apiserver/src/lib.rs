//! An API server in memory, with the parts of a cluster around it that an operator's tests need: no sockets, no
//! processes, the same every time.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use test_apiserver::{ApiServer, ClientOptions, Fault, Matcher, Verb, failure};
//!
//! let server = ApiServer::new();
//! let _cluster = server.run();
//! let operator = server.client_with(ClientOptions::named("operator"));
//! let once = Matcher::kind("Pod").verb(Verb::Create).times(1);
//! operator.faults().on(once, Fault::DoThenAnswer(failure::internal("etcd is slow")));
//! let _client: kube::Client = operator.client();
//! assert!(operator.log().writes().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # What holds it to the truth
//! The cases in `tests/conformance` run against this server and against a real one alike.
//!
//! # Known gaps
//! - Bodies and answers are JSON; no YAML, no protobuf, no compression, no discovery, no exec or attach.
//! - Objects are not validated against schemas: unknown fields are kept, `fieldValidation` is ignored, names and CRD
//!   rules are not checked. Only the immutable parts of Pods, claims, Services and Secrets are guarded.
//! - Defaults are written for Pods, claims, Services, Secrets and Namespaces, as far as an operator sees them. No
//!   Pod gets a volume for its account's token. Quantities keep their spelling.
//! - Server-side apply knows list keys by field name, tracks no empty maps, and does not know fields that a schema
//!   calls atomic maps.
//! - Strategic merge ignores the order directives and `$retainKeys`.
//! - A review of a token is always a fresh one; a real server remembers a success for 10 s. Tokens are bound to Pods and
//!   Secrets only, and no admission rule is asked about either.
//! - `/status` never changes metadata. PUT never creates.
//! - A continued list shows the present, not the state at its first page. Its token dies with the history.
//! - The Events of `v1` and `events.k8s.io/v1` are two kinds of objects.
//! - Budgets allow an eviction by whole numbers and what is Ready now. Quotas are rules the test writes.
//! - The kubelet starts and fails all containers of a Pod as one (a test can restart a single one), and says nothing between a deletion and its end.
//! - There are no `PersistentVolume` objects, and claims bind without waiting for a Pod.
//! - Finalizers of the cluster (claims in use, foreground deletion, namespaces) come off only while it works: in
//!   [`ApiServer::run`] or [`ApiServer::step`].

mod admission;
mod behaviour;
mod call;
mod client;
mod controllers;
mod controls;
mod defaults;
pub mod failure;
mod faults;
mod identity;
mod kind;
mod object;
mod observe;
mod patch;
mod reading;
pub mod recorder;
mod removal;
mod rules;
mod selector;
mod server;
mod service;
mod state;
mod store;
mod token;
mod token_request;
mod token_review;
mod watch;
mod write;

pub use admission::Admission;
pub use behaviour::{Behaviour, Binding, Resizing, Scheduling};
pub use call::Verb;
pub use client::{ClientOptions, TestClient};
pub use controllers::pod_status::Termination;
pub use controls::Running;
pub use failure::Failure;
pub use faults::{Fault, FaultRule, Faults, Gate, Matcher};
pub use kind::{KINDS, Kind, Trait};
pub use observe::{Happening, Observed};
pub use server::{ApiServer, Options};
pub use watch::{OpenWatch, Pace};
