//! An event as a CEL value, without copying it.
//!
//! Only what an expression looks at is turned into CEL values, one level at a time: `event.data.total` costs two map
//! look-ups in the event's JSON, however big the event and however many filters read it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cel::ExecutionError;
use cel::common::traits::{Adder, Container, Indexer, Iterable, Sizer, Zeroer};
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp,
    CelUInt, LIST_TYPE, MAP_TYPE, Type,
};
use cel::common::value::{Builtin, BuiltinRef, CowVal, Val};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{Data, Event};

type Boxed<'j> = Box<dyn Val + 'j>;

/// The variable `event`: what the event has, and nothing for what it does not have.
pub(super) fn event(event: &Event) -> CelMap<'_> {
    let mut map: HashMap<CelMapKey<'_>, Boxed<'_>> = HashMap::with_capacity(8 + event.extensions.len());
    let mut extensions: HashMap<CelMapKey<'_>, Boxed<'_>> = HashMap::with_capacity(event.extensions.len());
    for (name, value) in &event.extensions {
        map.insert(key(name), json(value));
        extensions.insert(key(name), json(value));
    }
    map.insert(key("extensions"), Box::new(CelMap::from(extensions)));
    map.insert(key("specversion"), text("1.0"));
    map.insert(key("id"), text(&event.id));
    map.insert(key("source"), text(&event.source));
    map.insert(key("type"), text(&event.ty));
    let optional = [
        ("subject", &event.subject),
        ("datacontenttype", &event.datacontenttype),
        ("dataschema", &event.dataschema),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            map.insert(key(name), text(value));
        }
    }
    if let Some(time) = event.time.and_then(timestamp) {
        map.insert(key("time"), Box::new(time));
    }
    match &event.data {
        None => {}
        Some(Data::Json(value)) => drop(map.insert(key("data"), json(value))),
        Some(Data::Binary(bytes)) => {
            drop(map.insert(key("data"), Box::new(CelBytes::from(bytes.as_slice()))));
        }
    }
    CelMap::from(map)
}

fn key(name: &str) -> CelMapKey<'_> {
    CelMapKey::String(CelString::from(name))
}

fn text(text: &str) -> Boxed<'_> {
    Box::new(CelString::from(text))
}

fn timestamp(time: OffsetDateTime) -> Option<CelTimestamp> {
    let utc = chrono::DateTime::from_timestamp(time.unix_timestamp(), time.nanosecond())?;
    Some(CelTimestamp::from(utc.fixed_offset()))
}

/// A JSON value. Integers are CEL ints (uints above the ints' range), other numbers doubles: comparisons between them
/// go by value.
fn json(value: &Value) -> Boxed<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::String(value) => text(value),
        Value::Array(values) => Box::new(JsonList {
            json: values,
            all: OnceLock::new(),
        }),
        Value::Object(map) => Box::new(JsonMap {
            json: map,
            all: OnceLock::new(),
        }),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(uint)) => Box::new(CelUInt::from(uint)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
    }
}

/// A JSON object. `all` is its first level as a CEL map, made for whoever needs more than single fields.
#[derive(Debug)]
struct JsonMap<'j> {
    json: &'j Map<String, Value>,
    all: OnceLock<CelMap<'j>>,
}

impl<'j> JsonMap<'j> {
    fn all(&self) -> &CelMap<'j> {
        self.all.get_or_init(|| {
            let entries = self.json.iter().map(|(name, value)| (key(name), json(value)));
            CelMap::from(entries.collect::<HashMap<_, _>>())
        })
    }
}

/// A JSON array. `all` is its first level as a CEL list.
#[derive(Debug)]
struct JsonList<'j> {
    json: &'j [Value],
    all: OnceLock<CelList<'j>>,
}

impl<'j> JsonList<'j> {
    fn all(&self) -> &CelList<'j> {
        self.all
            .get_or_init(|| CelList::from(self.json.iter().map(json).collect::<Vec<_>>()))
    }
}

impl Indexer for JsonMap<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(name) = index.downcast_ref::<CelString>() else {
            return self.all().get(index);
        };
        match self.json.get(name.inner()) {
            Some(value) => Ok(CowVal::Owned(json(value))),
            None => Err(ExecutionError::NoSuchKey(Arc::new(name.inner().to_owned()))),
        }
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Boxed<'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl Container for JsonMap<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        match value.downcast_ref::<CelString>() {
            Some(name) => Ok(self.json.contains_key(name.inner())),
            None => self.all().contains(value),
        }
    }
}

impl Sizer for JsonMap<'_> {
    fn size(&self) -> CelInt {
        size(self.json.len())
    }
}

impl Indexer for JsonList<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let at = index
            .downcast_ref::<CelInt>()
            .and_then(|int| usize::try_from(*int.inner()).ok());
        match at.and_then(|at| self.json.get(at)) {
            Some(value) => Ok(CowVal::Owned(json(value))),
            None => self.all().get(index),
        }
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Boxed<'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl Container for JsonList<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        self.all().contains(value)
    }
}

impl Sizer for JsonList<'_> {
    fn size(&self) -> CelInt {
        size(self.json.len())
    }
}

fn size(len: usize) -> CelInt {
    CelInt::from(i64::try_from(len).unwrap_or(i64::MAX))
}

/// What both kinds have in common: what is not answered from the JSON is answered by `all`, which CEL takes for its own
/// map or list wherever it looks for one.
macro_rules! delegate {
    ($lazy:ident, $cel_type:ident, $builtin:ident) => {
        impl<'j> Val for $lazy<'j> {
            fn get_type(&self) -> &Type {
                Self::cel_type()
            }

            fn cel_type() -> &'static Type {
                &$cel_type
            }

            fn as_container(&self) -> Option<&dyn Container> {
                Some(self)
            }

            fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
            where
                Self: 'v,
            {
                self.all().as_iterable()
            }

            fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
            where
                Self: 'v,
            {
                self.all().as_adder()
            }

            fn as_sizer(&self) -> Option<&dyn Sizer> {
                Some(self)
            }

            fn as_zeroer(&self) -> Option<&dyn Zeroer> {
                self.all().as_zeroer()
            }

            fn equals(&self, other: &dyn Val) -> bool {
                self.all().equals(other)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new($lazy {
                    json: self.json,
                    all: OnceLock::new(),
                })
            }

            fn as_builtin<'b, 'v>(&'b self) -> BuiltinRef<'b, 'v>
            where
                Self: 'v,
            {
                BuiltinRef::$builtin(self.all())
            }

            fn into_builtin<'v>(self: Box<Self>) -> Option<Builtin<'v>>
            where
                Self: 'v,
            {
                self.all();
                self.all.into_inner().map(Builtin::$builtin)
            }
        }
    };
}

delegate!(JsonMap, MAP_TYPE, Map);
delegate!(JsonList, LIST_TYPE, List);
