//! Wraps services.
