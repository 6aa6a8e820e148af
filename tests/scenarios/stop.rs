//! Stopping and starting.
