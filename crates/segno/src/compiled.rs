//! Expressions of plans, compiled once: for the activities that carry plans out, and for a replay's dry run, which compares
//! many events' plans.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;
use segno_event::CompileError;

/// Expressions that are kept. Plans hold what the configuration said when their event came in, so there are about as many
/// as actions, and those of before a change.
const KEPT: NonZeroUsize = NonZeroUsize::new(2_000).unwrap();

/// Compiled expressions by their source. To compile one takes far longer than to apply it.
pub(crate) struct Compiled<T> {
    compile: fn(&str) -> Result<T, CompileError>,
    kept: Mutex<LruCache<String, Arc<T>>>,
}

impl<T> Compiled<T> {
    pub(crate) fn new(compile: fn(&str) -> Result<T, CompileError>) -> Self {
        Self {
            compile,
            kept: Mutex::new(LruCache::new(KEPT)),
        }
    }

    /// The expression that this is the source of.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn get(&self, source: &str) -> Result<Arc<T>, CompileError> {
        if let Some(compiled) = self.kept.lock().get(source) {
            return Ok(Arc::clone(compiled));
        }
        // Outside the lock: two at once compile it twice, and hold up nobody.
        let compiled = Arc::new((self.compile)(source)?);
        self.kept.lock().put(source.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use segno_event::Transform;

    use super::*;

    #[test]
    fn an_expression_is_compiled_once() {
        let transforms = Compiled::new(Transform::compile);
        let first = transforms.get(".data").unwrap();
        assert!(Arc::ptr_eq(&first, &transforms.get(".data").unwrap()));
        assert_eq!(transforms.get(".id").unwrap().source(), ".id");
        assert!(transforms.get("(").is_err());
        assert!(Arc::ptr_eq(&first, &transforms.get(".data").unwrap()));
    }
}
