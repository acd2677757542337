//! How far a search for a time may go. Who may define a schedule may define one whose search would take minutes, and it is
//! made where others wait: in the host's thread.

/// The steps that a search has left: one is a calendar looked at, or a year, month, day or shorter stretch passed over.
pub(crate) struct Steps(usize);

impl Steps {
    pub(crate) fn new(left: usize) -> Self {
        Self(left)
    }

    /// Takes one; none where they are spent.
    pub(crate) fn take(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }

    /// How many are left. What a search found that spent them all is not to be relied on.
    pub(crate) fn left(&self) -> usize {
        self.0
    }
}
