//! Names of tables and columns, quoted as each database has it.

use super::OptionError;

/// Most characters of a name: PostgreSQL's limit, below MySQL's.
const LONGEST: usize = 63;

/// A name that may be quoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

impl Name {
    fn new(name: &str, what: &'static str) -> Result<Self, OptionError> {
        let whole = !name.is_empty() && name.len() <= LONGEST && !name.contains(char::is_control);
        if whole {
            Ok(Self(name.to_owned()))
        } else {
            Err(OptionError::Name(name.to_owned(), what))
        }
    }

    pub(super) fn column(name: &str) -> Result<Self, OptionError> {
        Self::new(name, "column")
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Between these quotes; one within the name is doubled.
    fn quoted(&self, quote: char) -> String {
        let doubled = self.0.replace(quote, &format!("{quote}{quote}"));
        format!("{quote}{doubled}{quote}")
    }

    /// As PostgreSQL reads it.
    pub(super) fn postgres(&self) -> String {
        self.quoted('"')
    }

    /// As MySQL reads it.
    pub(super) fn mysql(&self) -> String {
        self.quoted('`')
    }
}

/// A table, in a schema or in the one that the connection finds.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) schema: Option<Name>,
    pub(super) name: Name,
}

impl std::str::FromStr for Table {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        Ok(match text.split_once('.') {
            Some((schema, name)) => Self {
                schema: Some(Name::new(schema, "schema")?),
                name: Name::new(name, "table")?,
            },
            None => Self {
                schema: None,
                name: Name::new(text, "table")?,
            },
        })
    }
}

impl Table {
    fn quoted(&self, quote: fn(&Name) -> String) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }

    /// As PostgreSQL reads it.
    pub(super) fn postgres(&self) -> String {
        self.quoted(Name::postgres)
    }

    /// As MySQL reads it.
    pub(super) fn mysql(&self) -> String {
        self.quoted(Name::mysql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_whatever_is_in_them() {
        let table: Table = "shop.or\"d`ers".parse().unwrap();
        assert_eq!(table.postgres(), "\"shop\".\"or\"\"d`ers\"");
        assert_eq!(table.mysql(), "`shop`.`or\"d``ers`");
        for bad in ["", ".a", "a.", "a\0b", &"n".repeat(64)] {
            assert!(bad.parse::<Table>().is_err(), "{bad:?}");
        }
    }
}
