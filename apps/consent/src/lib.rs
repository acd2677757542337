//! A consent study.
