//! The search attributes by which executions are found, and their registration.
//!
//! A cluster knows custom search attributes only once they are registered in the namespace. Segno registers
//! the missing ones at start; where it may not, the error is the command an operator has to run.

use std::{collections::BTreeMap, time::Duration};

use segno_event::Event;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::{
    protos::temporal::api::{
        enums::v1::IndexedValueType,
        operatorservice::v1::{AddSearchAttributesRequest, ListSearchAttributesRequest},
        workflowservice::v1::CountWorkflowExecutionsRequest,
    },
    search_attributes::{SearchAttributeKey, SearchAttributes},
};

/// The event's `type`.
pub const EVENT_TYPE: SearchAttributeKey<String> = SearchAttributeKey::keyword("SegnoEventType");
/// The event's `source`.
pub const EVENT_SOURCE: SearchAttributeKey<String> = SearchAttributeKey::keyword("SegnoEventSource");
/// The event's `subject`, where it has one.
pub const EVENT_SUBJECT: SearchAttributeKey<String> = SearchAttributeKey::keyword("SegnoEventSubject");
/// The event's `id`.
pub const EVENT_ID: SearchAttributeKey<String> = SearchAttributeKey::keyword("SegnoEventId");
/// The route that the execution runs.
pub const ROUTE: SearchAttributeKey<String> = SearchAttributeKey::keyword("SegnoRoute");
/// The key that a flow decides for, where it is of one.
pub const KEY: SearchAttributeKey<String> = SearchAttributeKey::keyword("SegnoKey");
/// What holds an execution up that waits for the end of a pause: `route/<name>`, `sink/<name>`.
pub const PAUSED: SearchAttributeKey<Vec<String>> = SearchAttributeKey::keyword_list("SegnoPaused");
/// How many keys of a flow are parked.
pub const PARKED: SearchAttributeKey<i64> = SearchAttributeKey::int("SegnoParked");

/// Whether so many wait in a flow that no more are to be taken in; set once they have been.
pub const FULL: SearchAttributeKey<bool> = SearchAttributeKey::bool("SegnoFull");

/// The replay that an execution is part of.
pub const REPLAY: SearchAttributeKey<String> = SearchAttributeKey::keyword("SegnoReplay");

/// What an entry of the audit log is found by: `who:<name>`, `action:<method and path>`, `path:<path>`. One attribute for all,
/// as a cluster on SQL has room for few.
pub const AUDIT: SearchAttributeKey<Vec<String>> = SearchAttributeKey::keyword_list("SegnoAudit");

/// The attributes of events' executions, of flows and of the audit log, with their types.
const OWN: [(&str, IndexedValueType); 11] = [
    ("SegnoAudit", IndexedValueType::KeywordList),
    ("SegnoReplay", IndexedValueType::Keyword),
    ("SegnoEventId", IndexedValueType::Keyword),
    ("SegnoEventType", IndexedValueType::Keyword),
    ("SegnoEventSource", IndexedValueType::Keyword),
    ("SegnoEventSubject", IndexedValueType::Keyword),
    ("SegnoRoute", IndexedValueType::Keyword),
    ("SegnoKey", IndexedValueType::Keyword),
    ("SegnoPaused", IndexedValueType::KeywordList),
    ("SegnoParked", IndexedValueType::Int),
    ("SegnoFull", IndexedValueType::Bool),
];

/// Longest keyword, in bytes: the SQL visibility stores of a cluster keep 255 characters.
const MAX_KEYWORD: usize = 255;

/// How long new attributes may take to be known.
const PATIENCE: Duration = Duration::from_secs(20);

/// Registering the search attributes failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused; an operator has to do it.
    #[error(
        "the search attributes {} are not registered in namespace {namespace:?} and this client may not \
         register them; have an operator run:\n\n  {command}\n", .missing.join(", ")
    )]
    Refused {
        /// Names of the missing attributes.
        missing: Vec<String>,
        /// Namespace they are missing from.
        namespace: String,
        /// The command that registers them, ready to be pasted.
        command: String,
        /// What the server said.
        #[source]
        source: Status,
    },
    /// The namespace does not exist.
    #[error(
        "there is no namespace {namespace:?} on the server; create it, or name another by TEMPORAL_NAMESPACE:\n\n  \
         temporal operator namespace create --address {address} --namespace {namespace}\n"
    )]
    NoNamespace {
        /// The namespace.
        namespace: String,
        /// Address of the server.
        address: String,
    },
    /// An attribute of this name exists, but of another type.
    #[error("the search attribute {name} of namespace {namespace:?} is a {found}, but has to be a {needed}")]
    WrongType {
        /// Name of the attribute.
        name: String,
        /// Namespace that has it.
        namespace: String,
        /// Type it has there.
        found: String,
        /// Type it has to have.
        needed: String,
    },
}

/// Registers whatever attribute the client's namespace lacks. `address` is only named in the command of an
/// [`Error::Refused`].
pub async fn register(client: &Client, address: &str) -> Result<(), Error> {
    let namespace = client.namespace();
    let mut operator = client.connection().operator_service();
    let request = ListSearchAttributesRequest {
        namespace: namespace.clone(),
    };
    // Without the right to list them, adding all is still worth the attempt: it does nothing to those that
    // exist.
    let known = match operator.list_search_attributes(request.into_request()).await {
        Ok(reply) => reply.into_inner().custom_attributes,
        Err(status) if status.code() == Code::NotFound => {
            return Err(Error::NoNamespace {
                namespace,
                address: address.to_owned(),
            });
        }
        Err(status) => {
            tracing::debug!(%status, "the search attributes cannot be listed");
            Default::default()
        }
    };
    for (name, kind) in needed() {
        if let Some(found) = known.get(name).filter(|found| **found != kind as i32) {
            return Err(Error::WrongType {
                name: name.to_owned(),
                namespace,
                found: type_name(IndexedValueType::try_from(*found).unwrap_or_default()).to_owned(),
                needed: type_name(kind).to_owned(),
            });
        }
    }
    let missing: BTreeMap<_, _> = needed()
        .into_iter()
        .filter(|(name, _)| !known.contains_key(*name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let request = AddSearchAttributesRequest {
        namespace: namespace.clone(),
        search_attributes: missing
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), *kind as i32))
            .collect(),
    };
    match operator.add_search_attributes(request.into_request()).await {
        Ok(_) => tracing::info!(names = ?missing.keys(), namespace, "search attributes registered"),
        // Another process was quicker.
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => return Err(refused(missing, namespace, address, status)),
    }
    wait_until_known(client).await;
    Ok(())
}

/// A cluster's front ends learn of new attributes one after the other, and refuse executions that carry them
/// before that. Waits until one that is asked knows them, for a bounded time: a start that comes too early is
/// refused and can be repeated.
async fn wait_until_known(client: &Client) {
    let query: Vec<_> = needed().keys().map(|name| format!("{name} IS NULL")).collect();
    let request = CountWorkflowExecutionsRequest {
        namespace: client.namespace(),
        query: query.join(" AND "),
    };
    let ask = async {
        let mut service = client.connection().workflow_service();
        while service
            .count_workflow_executions(request.clone().into_request())
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, ask).await.is_err() {
        tracing::warn!("the search attributes are registered, but the server does not know them yet");
    }
}

/// Every attribute that has to be registered.
fn needed() -> BTreeMap<&'static str, IndexedValueType> {
    OWN.into_iter().chain(segno_timers::SEARCH_ATTRIBUTES).collect()
}

fn refused(
    missing: BTreeMap<&'static str, IndexedValueType>,
    namespace: String,
    address: &str,
    source: Status,
) -> Error {
    let mut command =
        format!("temporal operator search-attribute create --address {address} --namespace {namespace}");
    for (name, kind) in &missing {
        command.push_str(&format!(" --name {name} --type {}", type_name(*kind)));
    }
    let missing = missing.keys().map(|name| (*name).to_owned()).collect();
    Error::Refused {
        missing,
        namespace,
        command,
        source,
    }
}

/// The name the `temporal` CLI takes for a type.
fn type_name(kind: IndexedValueType) -> &'static str {
    match kind {
        IndexedValueType::Unspecified => "Unspecified",
        IndexedValueType::Text => "Text",
        IndexedValueType::Keyword => "Keyword",
        IndexedValueType::Int => "Int",
        IndexedValueType::Double => "Double",
        IndexedValueType::Bool => "Bool",
        IndexedValueType::Datetime => "Datetime",
        IndexedValueType::KeywordList => "KeywordList",
    }
}

/// The attributes of the execution that runs `route` for `event`. Values are cut to what a keyword holds.
pub(crate) fn of(route: &str, event: &Event) -> SearchAttributes {
    let mut attributes = of_event(event);
    attributes.apply(ROUTE.value_set(keyword(route)));
    attributes
}

/// The attributes of an execution for `event` that runs no route.
pub(crate) fn of_event(event: &Event) -> SearchAttributes {
    let mut attributes = vec![
        EVENT_ID.value_set(keyword(&event.id)),
        EVENT_TYPE.value_set(keyword(&event.ty)),
        EVENT_SOURCE.value_set(keyword(&event.source)),
    ];
    if let Some(subject) = &event.subject {
        attributes.push(EVENT_SUBJECT.value_set(keyword(subject)));
    }
    SearchAttributes::new(attributes)
}

/// The attributes of a flow: its route and, if it is of one key, that.
pub(crate) fn of_flow(route: &str, id: &str, key: &str) -> SearchAttributes {
    let mut attributes = vec![ROUTE.value_set(keyword(route)), PARKED.value_set(0)];
    if id.contains('/') {
        attributes.push(KEY.value_set(keyword(key)));
    }
    SearchAttributes::new(attributes)
}

/// A value as it is kept: cut to what a keyword holds.
pub(crate) fn keyword(value: &str) -> String {
    value[..value.floor_char_boundary(MAX_KEYWORD)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_cut_between_characters() {
        assert_eq!(keyword("short"), "short");
        assert_eq!(keyword(&"x".repeat(300)).len(), MAX_KEYWORD);
        assert_eq!(keyword(&"é".repeat(200)).len(), MAX_KEYWORD - 1);
    }

    #[test]
    fn the_command_names_every_missing_attribute_with_its_type() {
        let error = refused(
            needed(),
            "orders".into(),
            "host:7233",
            Status::permission_denied("no"),
        );
        let text = error.to_string();
        assert!(
            text.contains("temporal operator search-attribute create --address host:7233 --namespace orders")
        );
        for (name, kind) in needed() {
            assert!(
                text.contains(&format!("--name {name} --type {}", type_name(kind))),
                "{text}"
            );
        }
    }
}
