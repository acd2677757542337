//! A booking platform.
