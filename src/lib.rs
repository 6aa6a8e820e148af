//! A Kubernetes operator for workspaces: one long-lived, stateful container each, with its volume, address
//! and identity.
//!
//! Dependencies point inward: [`api`] is the contract and knows nobody; the pure modules ([`resolve`],
//! [`decide`], [`build`], [`status`] and what they use) know only it; [`reconcile`] feeds them from the API
//! server and carries out what they say; [`controller`] runs it for every object.

pub mod api;
pub mod adjust;
pub mod backoff;
pub mod build;
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
pub mod apply;
pub mod context;
pub mod error;
pub mod events;
pub mod image_check;
pub mod memory;
pub mod observe;
pub mod quota;
pub mod readiness;
pub mod reconcile;
pub mod reference_cache;
pub mod refusal;
pub mod rest;
pub mod stores;
pub mod timers;
pub mod verify;
pub mod cli;
pub mod controller;
pub mod hash_key;
pub mod run;
pub mod server;
pub mod telemetry;
pub mod unreadable;
pub mod watch;

#[cfg(test)]
mod fixtures;
