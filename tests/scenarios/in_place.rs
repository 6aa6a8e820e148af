//! Changes that need no new Pod.
