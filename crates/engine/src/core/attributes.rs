//! Search attributes and memo: how a change of some entries is applied to all.

use std::collections::HashMap;

use temporalio_protos::temporal::api::common::v1::Payload;

/// Sets what `new` names; a null or empty payload takes the entry away.
pub(super) fn merge(all: &mut HashMap<String, Payload>, new: HashMap<String, Payload>) {
    for (name, value) in new {
        let is_null = value
            .metadata
            .get("encoding")
            .is_some_and(|encoding| encoding == b"binary/null");
        if is_null || value.data.is_empty() || value.data == b"null" || value.data == b"[]" {
            all.remove(&name);
        } else {
            all.insert(name, value);
        }
    }
}
