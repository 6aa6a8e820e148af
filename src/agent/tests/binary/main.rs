//! The agent's binary, against an operator that says what it is told to, and as the first process of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the tests' own functions may end a test too"
)]

mod commands;
mod heartbeats;
mod operator;
mod process;
mod registering;
mod terminal;
