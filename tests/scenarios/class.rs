//! Defaults by class.
