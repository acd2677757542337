//! The custom attributes of a namespace, as registered in the file.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::attribute::{AttributeId, AttributeType, AttributeTypes};
use super::builtin::{FIRST_CUSTOM_NUMBER, is_system, predefined};

/// Why an attribute cannot be registered or removed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The name is a built-in attribute's.
    #[error("Search attribute {0} is reserved by system.")]
    Reserved(String),
    /// The name is in use with another type.
    #[error("Search attribute {name} already exists and has different type {ty}.")]
    OtherType { name: String, ty: &'static str },
    /// The file.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// The custom attributes of a namespace, in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    namespace: String,
    namespace_key: i64,
    custom: BTreeMap<String, AttributeId>,
}

impl AttributeTypes for Registry {
    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn custom(&self, name: &str) -> Option<AttributeId> {
        self.custom.get(name).copied()
    }
}

impl Registry {
    /// Reads a namespace's attributes.
    ///
    /// # Errors
    /// Those of the file.
    pub fn load(conn: &Connection, namespace_key: i64, namespace: &str) -> rusqlite::Result<Registry> {
        let mut statement = conn.prepare_cached(
            "SELECT name, type, number FROM search_attribute_type WHERE namespace_key = ? AND removed = 0",
        )?;
        let mut rows = statement.query([namespace_key])?;
        let mut custom = BTreeMap::new();
        while let Some(row) = rows.next()? {
            if let Some(ty) = AttributeType::from_number(row.get(1)?) {
                custom.insert(row.get(0)?, AttributeId::new(row.get(2)?, ty));
            }
        }
        Ok(Registry {
            namespace: namespace.to_owned(),
            namespace_key,
            custom,
        })
    }

    /// The custom attributes, by name.
    pub fn custom_attributes(&self) -> impl Iterator<Item = (&str, AttributeType)> {
        self.custom.iter().map(|(name, id)| (name.as_str(), id.ty()))
    }

    /// Registers an attribute; `false` if it is registered already. If the caller's transaction does not commit,
    /// this registry is to be loaded again.
    ///
    /// # Errors
    /// A name in other use, and those of the file.
    pub fn add(&mut self, conn: &Connection, name: &str, ty: AttributeType) -> Result<bool, RegistryError> {
        if is_system(name) || predefined(name).is_some() {
            return Err(RegistryError::Reserved(name.to_owned()));
        }
        match self.custom.get(name).map(|id| id.ty()) {
            Some(existing) if existing == ty => return Ok(false),
            Some(existing) => {
                return Err(RegistryError::OtherType {
                    name: name.to_owned(),
                    ty: existing.name(),
                });
            }
            None => {}
        }
        let number: i64 = conn.query_row(
            "INSERT INTO search_attribute_type (number, namespace_key, name, type) \
             VALUES ((SELECT coalesce(max(number) + 1, ?4) FROM search_attribute_type), ?1, ?2, ?3) \
             ON CONFLICT (namespace_key, name, type) DO UPDATE SET removed = 0 RETURNING number",
            params![self.namespace_key, name, ty as i32, FIRST_CUSTOM_NUMBER],
            |row| row.get(0),
        )?;
        self.custom.insert(name.to_owned(), AttributeId::new(number, ty));
        Ok(true)
    }

    /// Takes an attribute out of use; `false` if there is none of that name. Values already filed stay with their
    /// executions, and are found again if the attribute is registered again with the same type.
    ///
    /// # Errors
    /// A built-in attribute's name, and those of the file.
    pub fn remove(&mut self, conn: &Connection, name: &str) -> Result<bool, RegistryError> {
        if is_system(name) || predefined(name).is_some() {
            return Err(RegistryError::Reserved(name.to_owned()));
        }
        if self.custom.remove(name).is_none() {
            return Ok(false);
        }
        let removed: Option<i64> = conn
            .query_row(
                "UPDATE search_attribute_type SET removed = 1 WHERE namespace_key = ? AND name = ? RETURNING number",
                params![self.namespace_key, name],
                |row| row.get(0),
            )
            .optional()?;
        Ok(removed.is_some())
    }
}
