//! Lost Pods, crash loops, deadlines.
