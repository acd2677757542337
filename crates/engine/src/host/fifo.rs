//! A queue that grows by a block at a time: what waits without a worker may be millions, and nobody is kept while all of
//! them move to a larger place.

use std::collections::VecDeque;

/// Entries of one block.
const BLOCK: usize = if cfg!(test) { 4 } else { 4_096 };

/// First in, first out.
#[derive(Debug)]
pub(super) struct Fifo<T> {
    /// Each has entries but the only one, which may be empty.
    blocks: VecDeque<VecDeque<T>>,
    len: usize,
}

impl<T> Fifo<T> {
    pub(super) fn push_back(&mut self, entry: T) {
        self.len += 1;
        match self.blocks.back_mut() {
            Some(block) if block.len() < BLOCK => block.push_back(entry),
            _ => self.blocks.push_back(VecDeque::from([entry])),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let block = self.blocks.front_mut()?;
        let entry = block.pop_front()?;
        self.len -= 1;
        if block.is_empty() && self.blocks.len() > 1 {
            self.blocks.pop_front();
        }
        Some(entry)
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.blocks.front()?.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self {
            blocks: VecDeque::new(),
            len: 0,
        }
    }
}

impl<T> Extend<T> for Fifo<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push_back(entry));
    }
}

impl<T> IntoIterator for Fifo<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::collections::vec_deque::IntoIter<VecDeque<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.blocks.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::{BLOCK, Fifo};

    proptest! {
        /// It is what the standard's queue is, and no block is larger than it may be.
        #[test]
        fn it_is_a_queue(pushes in prop::collection::vec(prop::option::of(any::<u8>()), 0..200)) {
            let (mut fifo, mut model) = (Fifo::default(), VecDeque::new());
            for push in pushes {
                match push {
                    Some(entry) => {
                        fifo.push_back(entry);
                        model.push_back(entry);
                    }
                    None => prop_assert_eq!(fifo.pop_front(), model.pop_front()),
                }
                prop_assert_eq!(fifo.len(), model.len());
                prop_assert_eq!(fifo.is_empty(), model.is_empty());
                prop_assert_eq!(fifo.front(), model.front());
                prop_assert!(fifo.blocks.iter().all(|block| block.len() <= BLOCK));
            }
            prop_assert!(fifo.iter().eq(model.iter()));
            prop_assert!(fifo.into_iter().eq(model));
        }
    }
}
