//! A Kubernetes operator for workspaces: one long-lived, stateful container each, with its volume, address
//! and identity.
//!
//! Dependencies point inward: [`api`] is the contract and knows nobody; the pure modules ([`resolve`],
//! [`decide`], [`build`], [`status`] and what they use) know only it; [`reconcile`] feeds them from the API
//! server and carries out what they say; [`controller`] runs it for every object.

pub mod api;
pub mod backoff;
pub mod claim;
pub mod decide;
pub mod failure;
pub mod health;
pub mod inputs;
pub mod references;
pub mod resize;
pub mod resolve;
pub mod restart;
pub mod situation;
pub mod status;
pub mod view;
