//! Times to begin a search at.

use segno_engine::clock::{Nanos, SECOND};

/// 2026-11-01T00:30:00Z, the night in which American clocks go back.
pub(crate) const NOW: Nanos = 1_793_493_000 * SECOND;

/// Ordinary times, and the ends of what can be said.
pub(crate) const BEGINNINGS: [Nanos; 6] = [NOW, 0, -SECOND, 4_102_444_799 * SECOND, Nanos::MAX, Nanos::MIN];
