//! Secrets and ConfigMaps the environment refers to.
