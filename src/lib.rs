//! A Kubernetes operator for workspaces: one long-lived, stateful container each, with its volume, address
//! and identity.
//!
//! Dependencies point inward: [`api`] is the contract and knows nobody; the pure modules ([`resolve`],
//! [`decide`], [`build`], [`status`] and what they use) know only it; [`reconcile`] feeds them from the API
//! server and carries out what they say; [`controller`] runs it for every object.

pub mod adjust;
pub mod amount;
pub mod api;
pub mod apply;
pub mod backoff;
pub mod bounds;
pub mod build;
pub mod certificates;
pub mod claim;
pub mod class_status;
pub mod classes;
pub mod cli;
pub mod context;
pub mod controller;
pub mod decide;
pub mod depth;
pub mod disruption;
pub mod election;
pub mod environment;
pub mod error;
pub mod events;
pub mod failure;
pub mod floor;
pub mod forbidden_env;
pub mod gates;
pub mod hash_key;
pub mod health;
pub mod heartbeats;
pub mod idle_probe;
pub mod image_check;
pub mod inputs;
pub mod leftovers;
mod lock;
pub mod memory;
pub mod observe;
pub mod overlay;
pub mod pod_spec;
pub mod protection;
pub mod quota;
pub mod readiness;
pub mod reconcile;
pub mod reference_cache;
pub mod references;
pub mod refusal;
pub mod registration;
pub mod resize;
pub mod resolve;
pub mod rest;
pub mod restart;
pub mod rollout;
pub mod run;
pub mod said;
pub mod server;
pub mod silence;
pub mod situation;
pub mod status;
pub mod stores;
pub mod telemetry;
pub mod timers;
pub mod unreadable;
pub mod verify;
pub mod view;
pub mod waker;
pub mod watch;

#[cfg(test)]
mod fixtures;
