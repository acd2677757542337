//! The catalogue: which types of events there are, what their data looks like, and which routes take them.
//!
//! A type is known by its schema, or by a route that names it without a star. Schemas are JSON Schemas of the data;
//! whatever comes in of their type has to fit.

pub(crate) mod asyncapi;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use segno_routing::{Handler, Routes};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use schema::{Misfit, Schema, SchemaError};

/// The schemas of a configuration, by event type.
#[derive(Clone, Debug, Default)]
pub struct Schemas(BTreeMap<String, Schema>);

impl FromIterator<Schema> for Schemas {
    fn from_iter<I: IntoIterator<Item = Schema>>(schemas: I) -> Self {
        Self(
            schemas
                .into_iter()
                .map(|schema| (schema.ty().to_owned(), schema))
                .collect(),
        )
    }
}

impl Schemas {
    /// The schema of an event type.
    pub fn get(&self, ty: &str) -> Option<&Schema> {
        self.0.get(ty)
    }

    /// All of them, by their types.
    pub fn iter(&self) -> impl Iterator<Item = &Schema> {
        self.0.values()
    }

    /// Everything in the event's data that does not fit. A type without a schema takes any data.
    pub fn misfits(&self, event: &segno_event::Event) -> Vec<Misfit> {
        self.get(&event.ty)
            .map(|schema| schema.misfits(event))
            .unwrap_or_default()
    }
}

/// What may be sent, and where it goes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Catalogue {
    /// The types of events that are known, by name.
    pub(crate) types: Vec<Type>,
    /// The routes, in order.
    pub(crate) routes: Vec<RouteEntry>,
}

/// A type of events.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CatalogueType)]
pub(crate) struct Type {
    /// Its name, the events' `type`.
    #[serde(rename = "type")]
    pub(crate) ty: String,
    /// What such an event means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The JSON Schema that the data has to fit; left out where any data is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Value>,
    /// Examples of the data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) examples: Vec<Value>,
    /// The routes that take events of the type, if their filters hold.
    pub(crate) routes: Vec<String>,
}

/// A route.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CatalogueRoute)]
pub(crate) struct RouteEntry {
    /// Its name.
    pub(crate) route: String,
    /// The event types it takes; `*` stands for any run of characters.
    pub(crate) on: Vec<String>,
    /// The condition on events, in CEL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) when: Option<String>,
    /// What it runs.
    #[serde(flatten)]
    pub(crate) handler: HandlerEntry,
}

/// What a route runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CatalogueHandler)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HandlerEntry {
    /// Deliveries, by ascending weight.
    Actions(Vec<ActionEntry>),
    /// A consumer.
    Consumer(String),
    /// A workflow.
    Workflow(String),
}

/// A delivery of a route.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CatalogueAction)]
pub(crate) struct ActionEntry {
    /// Its name.
    pub(crate) name: String,
    /// Those of lower weight come first.
    pub(crate) weight: u32,
    /// The sink.
    pub(crate) to: String,
    /// What kind of message it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<String>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entity: Option<String>,
}

impl Catalogue {
    /// What these routes and schemas tell.
    pub(crate) fn new(routes: &Routes, schemas: &Schemas) -> Self {
        let literal = routes
            .iter()
            .flat_map(|route| &route.on)
            .map(|pattern| pattern.as_str());
        let literal = literal.filter(|pattern| !pattern.contains('*'));
        let names: BTreeSet<&str> = literal.chain(schemas.iter().map(Schema::ty)).collect();
        let types = names.into_iter().map(|name| {
            let schema = schemas.get(name);
            Type {
                ty: name.to_owned(),
                description: schema.and_then(|schema| schema.description().map(str::to_owned)),
                schema: schema.map(|schema| schema.json().clone()),
                examples: schema
                    .map(|schema| schema.examples().to_vec())
                    .unwrap_or_default(),
                routes: routes.of_type(name).map(|route| route.name.clone()).collect(),
            }
        });
        Self {
            types: types.collect(),
            routes: routes.iter().map(RouteEntry::of).collect(),
        }
    }
}

impl RouteEntry {
    fn of(route: &segno_routing::Route) -> Self {
        let action = |action: &segno_routing::Action| ActionEntry {
            name: action.name.clone(),
            weight: action.weight,
            to: action.to.clone(),
            category: action.category.clone(),
            entity: action.entity.clone(),
        };
        Self {
            route: route.name.clone(),
            on: route.on.iter().map(ToString::to_string).collect(),
            when: route.when.as_ref().map(|filter| filter.source().to_owned()),
            handler: match &route.handler {
                Handler::Actions(actions) => {
                    let mut actions: Vec<_> = actions.iter().map(action).collect();
                    actions.sort_by_key(|action| action.weight);
                    HandlerEntry::Actions(actions)
                }
                Handler::Consumer { name, .. } => HandlerEntry::Consumer(name.clone()),
                Handler::Workflow(name) => HandlerEntry::Workflow(name.clone()),
            },
        }
    }
}
